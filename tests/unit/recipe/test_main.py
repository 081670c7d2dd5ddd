"""The door of a recipe: help without torch, and one clear line for each error of its user."""

import logging
import re
import subprocess
import sys

import pytest

from emosphere_sb.recipe.arguments import HPARAMS
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.main import main

FILE = str(HPARAMS / "emosphere.yaml")
HELP = """
import runpy, sys
sys.argv = ["train.py", "--help"]
try:
    runpy.run_path("recipes/MSP-Podcast/train.py", run_name="__main__")
except SystemExit as end:
    print("status", end.code, "torch" in sys.modules, "speechbrain" in sys.modules)
"""


@pytest.fixture(autouse=True)
def _own_log_handlers(monkeypatch):
    """main() sets up logging once a process, onto the stream that an earlier test had captured."""
    monkeypatch.setattr(logging.root, "handlers", [])


@pytest.fixture
def fail(smoke_corpus, tmp_path, capsys, monkeypatch):
    """Start a run that must end with status 2, and return its one line."""
    monkeypatch.delenv("EMOSPHERE_TRACEBACK", raising=False)

    def start(*options, file=FILE, corpus="MSP-Podcast", preset="smoke"):
        folders = [f"--data_folder={smoke_corpus}", f"--results_folder={tmp_path}/results"]
        words = [file, f"--preset={preset}", "--noprogressbar", *folders, *options]
        assert main(words, corpus=corpus) == 2
        lines = capsys.readouterr().err.splitlines()
        errors = [line for line in lines if line.startswith("error: ")]
        assert errors == lines[-1:]
        assert "Traceback" not in "".join(lines)
        return errors[0]

    return start


def test_help_does_not_import_torch(root):
    run = subprocess.run(
        [sys.executable, "-c", HELP], cwd=root, capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(root)},
    )  # fmt: skip
    assert run.stdout.splitlines()[-1] == "status 0 False False"
    assert run.stdout.startswith("usage: python recipes/MSP-Podcast/train.py HPARAMS.yaml")


@pytest.mark.parametrize("words", [[], ["-h"], [FILE, "--preset=nope", "--help"]])
def test_help_ends_with_status_0(words, capsys):
    assert main(words, corpus="MSP-Podcast") == 0
    assert capsys.readouterr().out.startswith("usage: ")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--data_folder=/no/where", "/no/where"),
        ("--bach_size=3", "Unknown key 'bach_size'. Did you mean 'batch_size'"),
        ("--labels_file=nope.csv", "nope.csv"),
        ("--backbone=nobody/nothing", "backbone must be .*'nobody/nothing' could not be loaded"),
        ("--backbone=nope.json", "'nope.json'.* has wavlm_demo.json, wavlm_smoke.json"),
        ("--pooling=!new:emosphere_sb.lobes.MeanPool [16]", "emosphere_sb.lobes.MeanPool"),
        ("--pooling=!nwe:a.B", "!nwe"),
        ("--auxiliary_head=null", "RegionTask needs an auxiliary_head.*--preset=no_regions"),
        ("--batch_size=0", "batch_size must be an integer >= 1; found 0"),
        ("--number_of_epochs=0", "number_of_epochs must be an integer >= 1; found 0"),
        ("--schedule_name=step", "schedule_name must be one of constant, linear, cosine"),
        ("--device=toaster", "--device=toaster cannot be used"),
        ("--seed", "--seed needs a value"),
        ("--data_folder=", "--data_folder is empty"),
        ("--test_only", "must hold a checkpoint to test; found none"),
    ],
)
def test_error_of_the_user_is_one_clear_line_and_status_2(fail, option, said):
    assert re.search(said, fail(option))


def test_wrong_preset(fail):
    assert "Unknown preset 'smok'. Did you mean 'smoke'?" in fail(preset="smok")


def test_wrong_corpus(fail):
    assert "Unknown corpus 'Nope'. Allowed: MSP-Podcast, IEMOCAP, MSP-IMPROV, OwnData." in fail(
        corpus="Nope"
    )


def test_missing_label_file(fail, tmp_path):
    (tmp_path / "empty" / "Audios").mkdir(parents=True)
    assert "labels_consensus.csv" in fail(f"--data_folder={tmp_path}/empty")


def test_no_data_and_no_demo_of_that_corpus(fail):
    assert "--data_folder" in fail(
        "--data_folder=null", "--synthetic_corpus=null", corpus="OwnData"
    )


def test_invalid_yaml_is_one_line_too(fail, tmp_path):
    (tmp_path / "own.yaml").write_text("a: [1, 2\nb: 3\n")
    assert "own.yaml is not valid YAML" in fail(file=str(tmp_path / "own.yaml"))


def test_missing_file(fail):
    assert "Hyperparameter file no.yaml does not exist" in fail(file="no.yaml")


def test_own_file_that_lacks_keys_names_them(fail, tmp_path):
    text = (HPARAMS / "emosphere.yaml").read_text(encoding="utf-8")
    (tmp_path / "own.yaml").write_text(
        text.replace("\ndata_folder: null", "\n").replace("crop: start", "")
    )
    line = fail(file=str(tmp_path / "own.yaml"))
    assert "own.yaml must have every key" in line
    assert "it lacks crop, data_folder." in line


def test_traceback_is_to_be_had(monkeypatch):
    monkeypatch.setenv("EMOSPHERE_TRACEBACK", "1")
    with pytest.raises(ValueError, match="Unknown preset 'smok'"):
        main([FILE, "--preset=smok"], corpus="MSP-Podcast")


def test_fault_of_the_program_is_not_hidden(monkeypatch):
    import emosphere_sb.recipe.run

    def broken(*_, **__):
        raise KeyError("a fault")

    monkeypatch.setattr(emosphere_sb.recipe.run, "run_request", broken)
    with pytest.raises(KeyError, match="a fault"):
        main([FILE], corpus="MSP-Podcast")


def test_keys_of_an_own_file_are_known(tmp_path):
    text = (HPARAMS / "emosphere.yaml").read_text(encoding="utf-8")
    (tmp_path / "own.yaml").write_text(text + "\ndebug: False\n", encoding="utf-8")
    words = [str(tmp_path / "own.yaml"), "--debug=True", "--jit"]
    request = read_command(words, corpus="IEMOCAP")
    tree, options = request.tree, request.run_options
    assert tree["debug"] is True
    assert options == {"jit": True}


@pytest.mark.parametrize(("words", "preset"), [(["--debug"], "smoke+debug"), (["--jit"], "smoke")])
def test_debug_marks_the_preset_that_names_the_folder(monkeypatch, words, preset):
    import emosphere_sb.recipe.run

    seen = []

    def stop(settings, corpus):
        seen.append(settings["preset"])
        raise ValueError("far enough")

    monkeypatch.setattr(emosphere_sb.recipe.run, "prepare_corpus", stop)
    assert main([FILE, "--preset=smoke", *words], corpus="MSP-Podcast") == 2
    assert seen == [preset]

"""Entry point of the recipes: help without torch and one-line error messages."""

import logging
import re
import subprocess
import sys

import pytest

from emosphere_sb.recipe.arguments import HPARAMS
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.main import main
from tests.helpers.own_preset import own_preset_file

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
    """Remove log handlers that write to the captured stream of an earlier test."""
    monkeypatch.setattr(logging.root, "handlers", [])


@pytest.fixture
def fail(smoke_corpus, tmp_path, capsys, monkeypatch):
    """Function that starts a run, checks for exit status 2 and returns the error message."""
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
    ("option", "message"),
    [
        ("--data_folder=/no/where", "/no/where"),
        ("--bach_size=3", "Unknown key 'bach_size'. Did you mean 'batch_size'"),
        ("--labels_file=nope.csv", "nope.csv"),
        ("--backbone=nobody/nothing", "backbone must be .*'nobody/nothing' could not be loaded"),
        ("--backbone=nope.json", "'nope.json'.* package: wavlm_demo.json, wavlm_smoke.json"),
        ("--pooling=!new:emosphere_sb.lobes.MeanPooling [16]", "pooling must be a plain value"),
        ("--pooling=!apply:os.system [exit]", "pooling must be a plain value; .*'!apply:os.system"),
        ("--release=../../x", "release must be a name without"),
        ("--auxiliary_head=null", "RegionTask requires an auxiliary_head.*--preset=no_regions"),
        ("--batch_size=0", "batch_size must be an integer >= 1; found 0"),
        ("--number_of_epochs=0", "number_of_epochs must be an integer >= 1; found 0"),
        ("--schedule_name=step", "schedule_name must be one of constant, linear, cosine"),
        ("--device=toaster", "--device=toaster is not available"),
        ("--seed", "--seed needs a value"),
        ("--data_folder=", "--data_folder is empty"),
        ("--test_only", "No checkpoint found in"),
    ],
)
def test_user_error_is_printed_on_one_line_with_status_2(fail, option, message):
    assert re.search(message, fail(option))


def test_wrong_preset(fail):
    assert "Unknown preset 'smok'. Did you mean 'smoke'?" in fail(preset="smok")


def test_wrong_corpus(fail):
    assert "Unknown corpus 'Nope'. Allowed: MSP-Podcast, IEMOCAP, MSP-IMPROV, OwnData." in fail(
        corpus="Nope"
    )


def test_missing_label_file(fail, tmp_path):
    (tmp_path / "empty" / "Audios").mkdir(parents=True)
    assert "labels_consensus.csv" in fail(f"--data_folder={tmp_path}/empty")


def test_corpus_without_data_and_synthetic_layout(fail):
    assert "--data_folder" in fail(
        "--data_folder=null", "--synthetic_corpus=null", corpus="OwnData"
    )


def test_invalid_yaml_is_reported_on_one_line(fail, tmp_path):
    (tmp_path / "own.yaml").write_text("a: [1, 2\nb: 3\n")
    assert "own.yaml is not valid YAML" in fail(file=str(tmp_path / "own.yaml"))


def test_missing_file(fail):
    assert "Hyperparameter file no.yaml does not exist" in fail(file="no.yaml")


def test_missing_keys_of_a_custom_file_are_named(fail, tmp_path):
    text = (HPARAMS / "emosphere.yaml").read_text(encoding="utf-8")
    (tmp_path / "own.yaml").write_text(
        text.replace("\ndata_folder: null", "\n").replace("crop: start", "")
    )
    line = fail(file=str(tmp_path / "own.yaml"))
    assert "own.yaml must contain all keys of" in line
    assert "Copy the missing keys: crop, data_folder." in line


def test_traceback_is_shown_on_request(monkeypatch):
    monkeypatch.setenv("EMOSPHERE_TRACEBACK", "1")
    with pytest.raises(ValueError, match="Unknown preset 'smok'"):
        main([FILE, "--preset=smok"], corpus="MSP-Podcast")


def test_programming_error_is_raised(monkeypatch):
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


def test_object_of_a_preset_that_cannot_be_created_is_named(fail):
    with own_preset_file({"pooling": "!new:emosphere_sb.lobes.MeanPool [16]"}) as file:
        assert "emosphere_sb.lobes.MeanPool" in fail(file=str(file), preset="smoke+own")


def test_finished_progress_bars_are_removed_from_the_console(monkeypatch, capsys):
    monkeypatch.delenv("TQDM_LEAVE", raising=False)
    assert main(["--help"], corpus="OwnData") == 0
    script = "from tqdm import tqdm; print(tqdm(range(1), disable=True).leave)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.stdout == "False\n"

"""``emosphere prepare`` writes the manifests that training uses."""

import csv
import sys

import pytest

from emosphere_sb import cli
from emosphere_sb.commands.prepare import prepare_help, write_manifests
from emosphere_sb.fileio.yaml_tree import scalars
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.workspace import prepare_corpus


def options(smoke_corpus, tmp_path):
    return [f"--data_folder={smoke_corpus}", f"--results_folder={tmp_path}", "--preset=smoke"]


def test_manifests_are_written_and_the_summary_is_printed(smoke_corpus, tmp_path, capsys):
    assert cli.main(["prepare", "msp-podcast", *options(smoke_corpus, tmp_path)]) == 0
    output = capsys.readouterr().out
    (manifest,) = tmp_path.glob("MSP-Podcast/manifests/*/train.csv")
    with open(manifest, encoding="utf-8", newline="") as file:
        count = len(list(csv.DictReader(file)))
    assert count > 0 and f"train: {count} utterances" in output
    assert f"manifests in {manifest.parent}" in output and "rejected: " in output
    assert {path.name for path in tmp_path.iterdir()} == {"MSP-Podcast"}
    assert {path.name for path in (tmp_path / "MSP-Podcast").iterdir()} == {"manifests"}


def test_training_reuses_the_manifests(smoke_corpus, tmp_path):
    words = options(smoke_corpus, tmp_path)
    write_manifests("MSP-Podcast", words)
    tree = read_command(["hparams/emosphere.yaml", *words], corpus="MSP-Podcast").tree
    assert prepare_corpus(scalars(tree), "MSP-Podcast").skipped
    assert "unchanged since the last preparation" in write_manifests("MSP-Podcast", words)[0]


def test_all_folds(tmp_path, root):
    from data_prep.synthetic import write as synthetic

    pytest.importorskip("espeakng_loader", reason="the 'demo' extra is not installed")
    folder = tmp_path / "IEMOCAP"
    synthetic.write("IEMOCAP", folder, size="smoke")
    lines = write_manifests(
        "IEMOCAP", [f"--data_folder={folder}", f"--results_folder={tmp_path / 'r'}", "--fold=all"]
    )
    heads = [line for line in lines if "manifests in" in line]
    assert len(heads) == len(list(tmp_path.glob("r/IEMOCAP/manifests/*"))) == 5


@pytest.mark.parametrize(
    "words, reason",
    [
        (["nowhere"], "Unknown corpus 'nowhere'"),
        (["--data_folder=x", "IEMOCAP"], "The corpus must come first"),
        (["IEMOCAP"], "--data_folder is required, e.g. --data_folder=/path/to/IEMOCAP"),
        (
            ["IEMOCAP", "--data_folder=x", "--device=cpu"],
            "`emosphere prepare`: --device.",
        ),
        (["IEMOCAP", "--data_folder=x", "--raters=True"], "--raters is a setting of MSP-Podcast"),
        (["IEMOCAP", "--data_folder=x", "--no_key=1"], "no_key"),
        (["IEMOCAP", "--data_folder=/no/such/folder"], "/no/such/folder"),
    ],
)
def test_invalid_arguments_are_rejected(tmp_path, monkeypatch, capsys, words, reason):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["prepare", *words]) == 2
    assert reason in capsys.readouterr().err


def test_help_lists_the_settings_of_the_corpus(capsys):
    assert cli.main(["prepare", "IEMOCAP", "--help"]) == 0
    output = capsys.readouterr().out
    assert "four_classes" in output and "raters" not in output
    assert "raters" in prepare_help() and "MSP-IMPROV" in prepare_help()
    assert cli.main(["prepare"]) == 2


@pytest.mark.parametrize("command", ["predict", "timeline", "prepare"])
def test_help_imports_nothing_heavy(command):
    import subprocess

    code = (
        "import sys; from emosphere_sb.cli import main\n"
        f"try: main(['{command}', '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'pandas', 'matplotlib', 'soundfile'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"emosphere {command}" in done.stdout

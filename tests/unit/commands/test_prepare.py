"""emosphere prepare: the manifests that a training would write, without a training."""

import csv
import sys

import pytest

from emosphere_sb import cli
from emosphere_sb.commands.prepare import prepare, usage
from emosphere_sb.fileio.yaml_tree import scalars
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.workspace import prepare_corpus


def options(smoke_corpus, tmp_path):
    return [f"--data_folder={smoke_corpus}", f"--results_folder={tmp_path}", "--preset=smoke"]


def test_manifests_are_written_and_the_summary_is_printed(smoke_corpus, tmp_path, capsys):
    assert cli.main(["prepare", "msp-podcast", *options(smoke_corpus, tmp_path)]) == 0
    said = capsys.readouterr().out
    (manifest,) = tmp_path.glob("MSP-Podcast/manifests/*/train.csv")
    with open(manifest, encoding="utf-8", newline="") as file:
        count = len(list(csv.DictReader(file)))
    assert count > 0 and f"train: {count} utterances" in said
    assert f"manifests in {manifest.parent}" in said and "rejected: " in said
    assert {path.name for path in tmp_path.iterdir()} == {"MSP-Podcast"}
    assert {path.name for path in (tmp_path / "MSP-Podcast").iterdir()} == {"manifests"}


def test_a_training_finds_them(smoke_corpus, tmp_path):
    words = options(smoke_corpus, tmp_path)
    prepare("MSP-Podcast", words)
    tree = read_command(["hparams/emosphere.yaml", *words], corpus="MSP-Podcast").tree
    assert prepare_corpus(scalars(tree), "MSP-Podcast").skipped
    assert "unchanged since the last preparation" in prepare("MSP-Podcast", words)[0]


def test_all_folds(tmp_path, root):
    from data_prep.synthetic import write as synthetic

    pytest.importorskip("espeakng_loader", reason="the extra 'demo' is not installed")
    folder = tmp_path / "IEMOCAP"
    synthetic.write("IEMOCAP", folder, size="smoke")
    lines = prepare(
        "IEMOCAP", [f"--data_folder={folder}", f"--results_folder={tmp_path / 'r'}", "--fold=all"]
    )
    heads = [line for line in lines if "manifests in" in line]
    assert len(heads) == len(list(tmp_path.glob("r/IEMOCAP/manifests/*"))) == 5


@pytest.mark.parametrize(
    "words, reason",
    [
        (["nowhere"], "Unknown corpus 'nowhere'"),
        (["--data_folder=x", "IEMOCAP"], "The corpus comes first"),
        (["IEMOCAP"], "Say where IEMOCAP is: --data_folder="),
        (["IEMOCAP", "--data_folder=x", "--device=cpu"], "--device would do nothing"),
        (["IEMOCAP", "--data_folder=x", "--raters=True"], "--raters belongs to MSP-Podcast"),
        (["IEMOCAP", "--data_folder=x", "--no_key=1"], "no_key"),
        (["IEMOCAP", "--data_folder=/no/such/folder"], "/no/such/folder"),
    ],
)
def test_what_is_refused(tmp_path, monkeypatch, capsys, words, reason):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["prepare", *words]) == 2
    assert reason in capsys.readouterr().err


def test_the_help_names_the_settings_of_the_corpus(capsys):
    assert cli.main(["prepare", "IEMOCAP", "--help"]) == 0
    said = capsys.readouterr().out
    assert "four_classes" in said and "raters" not in said
    assert "raters" in usage() and "MSP-IMPROV" in usage()
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

"""``emosphere train`` runs a recipe, by default with the package's hyperparameter file."""

import pytest

from emosphere_sb import cli
from emosphere_sb.commands import train


@pytest.fixture
def started(monkeypatch):
    """Calls of the recipe's entry point."""
    calls = []

    def main(words, **options):
        calls.append((words, options))
        return 75

    monkeypatch.setattr("emosphere_sb.recipe.main.main", main)
    return calls


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["OwnData", "--lr=0.1"], ["hparams/emosphere.yaml", "--lr=0.1"]),
        (["owndata", "mine.yaml", "--lr", "0.1"], ["mine.yaml", "--lr", "0.1"]),
        (["OwnData", "--preset=smoke", "a/b.yml"], ["--preset=smoke", "a/b.yml"]),
        (["OwnData", "--log_config", "log.yaml"],
         ["hparams/emosphere.yaml", "--log_config", "log.yaml"]),
        (["OwnData", "--debug", "own.yaml", "--lr=1"], ["--debug", "own.yaml", "--lr=1"]),
        (["OwnData", "--help=presets"], ["hparams/emosphere.yaml", "--help=presets"]),
    ],
)  # fmt: skip
def test_arguments_and_exit_status_are_those_of_the_recipe(started, words, expected):
    assert cli.main(["train", *words]) == 75
    assert started == [(expected, {"corpus": "OwnData", "program": "emosphere train OwnData"})]


@pytest.mark.parametrize("words", [["--lr=1", "OwnData"], ["hparams/emosphere.yaml", "OwnData"]])
def test_corpus_must_come_first(words):
    with pytest.raises(ValueError, match=r"The corpus must come first.*OwnData"):
        train.run(words)


def test_unknown_corpus_names_the_corpora(capsys):
    assert cli.main(["train", "Nope"]) == 2
    assert "Unknown corpus 'Nope'. Allowed: MSP-Podcast" in capsys.readouterr().err


def test_help_names_the_corpora(capsys):
    assert cli.main(["train", "--help"]) == 0
    assert "MSP-Podcast, IEMOCAP, MSP-IMPROV, OwnData" in capsys.readouterr().out


def test_help_of_a_corpus_names_the_command(capsys):
    assert cli.main(["train", "IEMOCAP", "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: emosphere train IEMOCAP HPARAMS.yaml")
    assert "--four_classes" in text

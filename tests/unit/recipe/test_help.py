"""The help of a recipe: groups, defaults, types and meanings as in emosphere.yaml."""

import re

import pytest

from emosphere_sb.fileio.yaml_tree import read_tree
from emosphere_sb.recipe.arguments import HPARAMS, RUN_OPTIONS
from emosphere_sb.recipe.corpora import CORPORA, reader_settings
from emosphere_sb.recipe.help import HelpEntry, read_entries, recipe_help
from emosphere_sb.recipe.hparams import read_presets

FILE = HPARAMS / "emosphere.yaml"
KEYS = [key for key in read_tree(FILE) if not key.startswith("__")]


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")


def options(text: str) -> dict[str, str]:
    """Key to type in a help text."""
    return dict(re.findall(r"^  --(\w+) (\S+)$", text, flags=re.MULTILINE))


@pytest.mark.parametrize("corpus", CORPORA)
def test_usage_lists_the_keys_of_the_corpus_and_no_others(corpus):
    foreign = set().union(*(reader_settings(name) for name in CORPORA)) - reader_settings(corpus)
    assert list(options(recipe_help(corpus))) == [
        key for key in KEYS if key not in {*foreign, "preset", "modules"}
    ]


def test_usage_of_all_corpora_names_every_key():
    listed = set().union(*(options(recipe_help(corpus)) for corpus in CORPORA))
    assert listed == set(KEYS) - {"preset", "modules"}


def test_usage_shows_type_meaning_and_default():
    text = " ".join(recipe_help("OwnData").split())
    assert text.startswith("usage: python recipes/OwnData/train.py HPARAMS.yaml [--preset=")
    for expected in (
        "--batch_size INTEGER utterances per optimiser step, over all processes (default: 32)",
        "--max_seconds NUMBER seconds; longer utterances are truncated, including in "
        "evaluation (as in the paper); null: no limit (default: 12.0)",
        "--lr_backbone NUMBER learning rate of the backbone and its adapters (default: lr)",
        "--lora_targets LIST names of the linear layers to which adapters are added (default: "
        "[q_proj, v_proj])",
        "--pooling OBJECT object that pools the features of all frames into one vector per "
        "utterance (default: StylePooling)",
        "--logger null|tensorboard|wandb log each epoch to another service as well: tensorboard",
        "--label_low NUMBER lower end of the label scale; required (default: null)",
    ):
        assert expected in text


def test_usage_lists_groups_in_the_order_of_the_file_and_run_options():
    text = recipe_help("IEMOCAP")
    headings = re.findall(r"^(\S.*):$", text, flags=re.MULTILINE)
    groups = dict.fromkeys(entry.group for entry in read_entries(FILE))
    assert headings == [
        *(g for g in groups if not g.startswith("Data: ") or g in ("Data: all corpora",) or
          g.startswith("Data: IEMOCAP")), "SpeechBrain's run options",
    ]  # fmt: skip
    names = text.partition("run options:")[2].replace(",", " ").split()
    assert set(names) == {name for name in RUN_OPTIONS if name not in KEYS}


def test_every_key_and_preset_has_a_comment():
    entries = [*read_entries(FILE), *read_entries(HPARAMS / "presets.yaml")]
    assert len(entries) > 100
    listed = options(recipe_help("OwnData"))
    components = [key for key in KEYS if key not in listed]
    silent = {e.name for e in entries if not e.meaning and e.group != "Components"}
    assert silent <= {"__set_seed", *components}


def test_help_presets_lists_every_preset_with_its_comment():
    lines = recipe_help("MSP-Podcast", topic="presets").splitlines()
    for name in read_presets(FILE):
        (line,) = [line for line in lines if line.startswith(f"  {name} ")]
        assert len(line.split()) > 2


def test_unknown_topic_raises():
    with pytest.raises(ValueError, match="--help can only have the value presets; found 'x'"):
        recipe_help("MSP-Podcast", topic="x")


def test_entries_of_a_file(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "# ---- One ----\na: 1 # the first\nb:\n    c: 2 # nested\n"
        "# ---- Two: more ----\nd: [x] # text\n"
    )
    assert read_entries(path) == [
        HelpEntry("One", "a", "the first"), HelpEntry("One", "b", ""),
        HelpEntry("Two: more", "d", "text"),
    ]  # fmt: skip

"""Suggestions for renamed keys, synonyms and typing errors."""

import pytest

from emosphere_sb.fileio.yaml_tree import read_tree
from emosphere_sb.recipe.arguments import HPARAMS, RUN_OPTIONS, parse_arguments
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.renamed_keys import RENAMED, RENAMED_VALUES, SYNONYMS, unknown_name

FILE = HPARAMS / "emosphere.yaml"
KEYS = set(read_tree(FILE))


def test_new_names_are_keys_and_old_ones_are_not():
    assert set(RENAMED.values()) | set(SYNONYMS.values()) <= KEYS
    assert not (set(RENAMED) | set(SYNONYMS)) & (KEYS | set(RUN_OPTIONS))
    assert {key for key, _ in RENAMED_VALUES} <= KEYS


@pytest.mark.parametrize("old", RENAMED)
@pytest.mark.parametrize("separator", ["=", " "])
def test_renamed_option_names_the_new_one(old, separator):
    words = f"--{old}{separator}x".split(" ")
    with pytest.raises(ValueError, match=rf"--{old} was renamed to --{RENAMED[old]} in version 0"):
        parse_arguments([str(FILE), *words], KEYS)


@pytest.mark.parametrize("words", [["--crop=first"], ["--crop", "first"]])
def test_renamed_value_names_the_new_one(words):
    with pytest.raises(ValueError, match=r"--crop=first was renamed to --crop=start"):
        parse_arguments([str(FILE), *words], KEYS)


def test_renamed_value_in_a_file_of_one_s_own_names_the_new_one(tmp_path):
    text = FILE.read_text(encoding="utf-8").replace("\ncrop: start", "\ncrop: first")
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"own.yaml: replace 'crop: first' with 'crop: start'"):
        read_command([str(tmp_path / "own.yaml")], corpus="IEMOCAP")


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("epochs", "number_of_epochs"),  # by meaning
        ("Learning-Rate", "lr"),
        ("model", "backbone"),
        ("batchsize", "batch_size"),  # by spelling
        ("num_epochs", "number_of_epochs"),
        ("poolingdim", "pooling_dim"),
    ],
)
def test_unknown_key_suggests_a_synonym_or_similar_name(name, suggestion):
    message = unknown_name("key", name, KEYS)
    assert message.startswith(f"Unknown key {name!r}. Did you mean {suggestion!r}? Allowed: ")


def test_no_suggestion_for_a_dissimilar_name():
    assert unknown_name("key", "xyzzy", ["seed"]) == "Unknown key 'xyzzy'. Allowed: seed."

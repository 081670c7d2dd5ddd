"""Suggestions for renamed keys, synonyms and typing errors."""

import re

import pytest

from emosphere_sb.fileio.yaml_tree import read_tree
from emosphere_sb.recipe.arguments import HPARAMS, RUN_OPTIONS, Arguments, parse_arguments
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.hparams import SAVED, differences, merge
from emosphere_sb.recipe.renamed_keys import (
    RENAMED,
    RENAMED_VALUES,
    REPLACED,
    SYNONYMS,
    replace_keys,
    unknown_name,
)

FILE = HPARAMS / "emosphere.yaml"
KEYS = set(read_tree(FILE))


def test_new_names_are_keys_and_old_ones_are_not():
    replacements = {new for new, _ in REPLACED.values()}
    assert set(RENAMED.values()) | set(SYNONYMS.values()) | replacements <= KEYS
    assert not (set(RENAMED) | set(SYNONYMS) | set(REPLACED)) & (KEYS | set(RUN_OPTIONS))
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


# --- keys that are still accepted ------------------------------------------------------------


@pytest.mark.parametrize(("value", "expected"), [("True", "tensorboard"), ("false", None)])
@pytest.mark.parametrize("separator", ["=", " "])
def test_option_tensorboard_still_works_and_warns(caplog, value, expected, separator):
    words = f"--tensorboard{separator}{value}".split(" ")
    tree = read_command([str(FILE), *words], corpus="IEMOCAP").tree
    assert tree["logger"] == expected and "tensorboard" not in tree
    new = expected or "null"
    assert f"--tensorboard={value} is deprecated; use --logger={new}." in caplog.messages


def test_option_tensorboard_and_its_replacement_together_are_rejected():
    with pytest.raises(ValueError, match="--tensorboard was replaced by --logger; remove"):
        read_command([str(FILE), "--tensorboard=True", "--logger=wandb"], corpus="IEMOCAP")


@pytest.mark.parametrize("value", ["wandb", "1"])
def test_option_tensorboard_with_another_value_is_rejected(value):
    with pytest.raises(ValueError, match=rf"--tensorboard must be True or False; found '{value}'"):
        read_command([str(FILE), f"--tensorboard={value}"], corpus="IEMOCAP")


@pytest.mark.parametrize(("old", "expected"), [("True", "tensorboard"), ("False", None)])
@pytest.mark.parametrize("name", ["own.yaml", SAVED])
def test_tensorboard_in_a_file_still_works_and_warns(tmp_path, caplog, name, old, expected):
    text = re.sub(
        r"^logger: .*", f"tensorboard: {old}", FILE.read_text(encoding="utf-8"), flags=re.M
    )
    (tmp_path / name).write_text(text, encoding="utf-8")
    tree = read_command([str(tmp_path / name)], corpus="IEMOCAP").tree
    assert tree["logger"] == expected and "tensorboard" not in tree
    assert f"{name}: tensorboard is deprecated; use logger: {expected or 'null'}." in caplog.text


def test_tensorboard_in_a_preset_still_works(tmp_path):
    (tmp_path / "emosphere.yaml").write_text(FILE.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "presets.yaml").write_text("mine:\n    tensorboard: True\n", encoding="utf-8")
    tree = merge(Arguments(tmp_path / "emosphere.yaml", ["mine"]))
    assert tree["logger"] == "tensorboard"


def test_file_with_both_keys_is_rejected():
    with pytest.raises(ValueError, match=r"own.yaml: tensorboard was replaced by logger; remove"):
        replace_keys({"tensorboard": True, "logger": "wandb"}, "own.yaml")


def test_folder_of_a_run_with_the_old_key_can_be_resumed():
    tree, saved = {"seed": 7, "logger": "wandb"}, {"seed": 7, "tensorboard": True}
    assert differences(tree, saved) == []


# --- suggestions -----------------------------------------------------------------------------


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

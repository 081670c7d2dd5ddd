"""Merging of ``emosphere.yaml``, presets and the command line, with strict validation.

Values are merged in the YAML tree, before any object is created. Presets and the command line
replace top-level values completely, so none of the arguments of a replaced class are kept, and the
merged tree saved with a run describes the run completely. In contrast,
``hyperpyyaml.load_hyperpyyaml(file, overrides)`` keeps the class and merges mappings into its
arguments.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, TaggedScalar
from ruamel.yaml.error import YAMLError

from emosphere_sb.fileio.yaml_tree import dump, read_tree, tag_of, tagged_value
from emosphere_sb.recipe.arguments import HPARAMS, Arguments
from emosphere_sb.recipe.key_usage import (
    check_effects,
    check_preset_effect,
    references_of_files,
    unused_preset_keys,
)
from emosphere_sb.recipe.renamed_keys import (
    LAST_VERSION_WITH_OLD_NAMES,
    REPLACED,
    check_values_not_renamed,
    renamed_in,
    replace_keys,
    unknown_name,
)

# Keys that do not affect the results. They may change when a run is resumed.
RESULT_NEUTRAL_KEYS = (
    "data_folder", "results_folder", "output_folder", "reuse_manifests", "eval_batch",
    "num_workers", "test_corpus", "test_data_folder", "test_options", "logger",
    "acoustic_baseline", "check_memory", "gradient_checkpointing", "feature_cache_folder",
)  # fmt: skip

# Always read as text: release 1.10 is not 1.1, and a folder may be named 007.
STRING_KEYS = (
    "data_folder", "results_folder", "output_folder", "labels_file", "audio_folder", "release",
    "test_corpus", "test_data_folder", "test_options", "synthetic_corpus", "feature_cache_folder",
    "logger",
)  # fmt: skip
# Part of the path of a folder below results_folder.
FOLDER_NAME_KEYS = ("preset", "release", "partition", "synthetic_corpus")
# True, False or one of these words.
CHOICE_KEYS = {"feature_cache": ("frames", "averages")}
# Null or one of these words.
WORD_KEYS = {"logger": ("tensorboard", "wandb")}
# Null in the file, otherwise a number.
NUMBER_KEYS = ("layerdrop", "label_low", "label_high", "region_soft_targets")
# Text or a number.
STRING_OR_NUMBER_KEYS = ("layers", "pooling_attention_scale")
# Of these keys, those that can also be a list.
LIST_KEYS = ("layers",)
# Null in the file, otherwise a mapping.
MAPPING_KEYS = ("freeze_schedule",)
# May be replaced with null (no limit, no auxiliary head).
NULLABLE_KEYS = ("max_seconds", "auxiliary_head")
NUMBER, INTEGER = "a number", "an integer"
# Minimum values of integer keys.
MINIMA = {
    "seed": 0, "head_width": 1, "pooling_dim": 1, "pooling_heads": 1, "pooling_kernel_size": 1,
    "aux_decay_epochs": 1, "number_of_epochs": 1, "patience": 0, "batch_size": 1, "micro_batch": 1,
    "bucket_batches": 0, "eval_batch": 1, "num_workers": 0, "warmup_steps": 0, "lora_rank": 0,
    "average_checkpoints": 0,
}  # fmt: skip
MIN_SECONDS = 0.025  # length of one frame: 400 samples at 16 kHz
SAVED = "hyperparams.yaml"
ALL_FOLDS = "all"  # value of the key fold, which is a number otherwise
# These are booleans or null in YAML 1.1 but text in YAML 1.2. As a boolean, any text is true.
YAML11_BOOLEANS = ("yes", "no", "on", "off", "none")


def merge(
    arguments: Arguments, tree: CommentedMap | None = None, defaults: CommentedMap | None = None
) -> CommentedMap:
    """Merge the hyperparameters of a run: the file, then presets, then the command line.

    Arguments
    ---------
    arguments : Arguments
        Parsed command line.
    tree : CommentedMap, optional
        Parsed YAML tree of the hyperparameter file, if already read. It is modified in place.
    defaults : CommentedMap, optional
        Parsed YAML tree of the package's default hyperparameter file, if already read. It may be
        ``tree`` itself.

    Raises
    ------
    ValueError
        If a preset or a key is unknown, a value has the wrong type, or a key on the command line
        has no effect.
    """
    tree = read_tree(arguments.file) if tree is None else tree
    defaults = read_tree(HPARAMS / "emosphere.yaml") if defaults is None else defaults
    _check_file(tree, arguments.file, {key: _kind(value) for key, value in defaults.items()})
    before = references_of_files(defaults, tree)
    _apply_presets(tree, arguments, before)
    for key, text in arguments.overrides.items():
        if key not in tree:
            raise ValueError(unknown_name("key", key, tree))
        if key == "fold" and text == ALL_FOLDS:
            tree[key] = text
        else:
            _replace(tree, key, parse_command_line_value(key, text, tree[key]), "the command line")
    if (
        arguments.presets or arguments.file.name != SAVED
    ):  # the file of a saved run preserves its preset
        tree["preset"] = arguments.preset
    _check_ranges(tree)
    for key in FOLDER_NAME_KEYS:
        if tree.get(key) is not None:
            check_folder_name(key, str(tree[key]))
    check_effects(tree, before, arguments.overrides)
    return tree


def _apply_presets(
    tree: CommentedMap, arguments: Arguments, before: Mapping[str, set[str]]
) -> None:
    presets = read_presets(arguments.file) if arguments.presets else {}
    for name in arguments.presets:
        if name not in presets:
            raise ValueError(unknown_name("preset", name, presets))
        if not isinstance(presets[name], dict):
            raise ValueError(f"Preset {name!r} must be a mapping; found {presets[name]!r}.")
        settings = dict(presets[name])
        replace_keys(settings, f"preset {name!r}")
        for key, value in settings.items():
            _replace(tree, key, value, f"preset {name!r}")
        check_preset_effect(tree, before, name, settings)


def _check_ranges(tree: CommentedMap) -> None:
    for key in MINIMA.keys() & tree.keys():
        value, minimum = tree[key], MINIMA[key]
        if not isinstance(value, TaggedScalar) and (_kind(value) != INTEGER or value < minimum):
            raise ValueError(f"{key} must be an integer >= {minimum}; found {value}.")
    for key, words in CHOICE_KEYS.items():
        value = tree.get(key, False)
        if not isinstance(value, bool) and value not in words:
            raise ValueError(f"{key} must be True, False, {' or '.join(words)}; found {value!r}.")
    for key, words in WORD_KEYS.items():
        value = tree.get(key)
        if value is not None and value not in words:
            raise ValueError(f"{key} must be null, {' or '.join(words)}; found {str(value)!r}.")
    share = tree.get("warmup_share")
    if isinstance(share, (int, float)) and not 0 <= share <= 1:
        raise ValueError(f"warmup_share must be from 0 to 1; found {share}.")
    norm = tree.get("max_grad_norm")
    if isinstance(norm, (int, float)) and not norm > 0:
        raise ValueError(
            f"max_grad_norm must be positive; found {norm}. Use --max_grad_norm=inf to disable "
            f"clipping."
        )
    seconds = tree.get("max_seconds")
    if isinstance(seconds, (int, float)) and not seconds >= MIN_SECONDS:
        raise ValueError(f"max_seconds must be null or at least {MIN_SECONDS}; found {seconds}.")


def check_folder_name(key: str, name: str) -> None:
    """Check that a value that becomes the name of a folder cannot lead to another folder.

    Raises
    ------
    ValueError
        If the value contains a path separator or a control character, or is ``.`` or ``..``.

    Example
    -------
    >>> check_folder_name("release", "1.11")
    >>> check_folder_name("release", "../../x")
    Traceback (most recent call last):
    ValueError: release must be a name without '/' or '\\', because it is part of the path of the \
run's folder; found '../../x'.
    """
    if not name.strip(". ") or not name.isprintable() or any(mark in name for mark in "/\\"):
        raise ValueError(
            f"{key} must be a name without '/' or '\\', because it is part of the path of the "
            f"run's folder; found {name!r}."
        )


def check_keys(tree: CommentedMap, own: CommentedMap, file: Path) -> None:
    """Check that a file has all keys of ``emosphere.yaml`` and no renamed keys of version 0.1.

    Arguments
    ---------
    tree, own : CommentedMap
        Trees of the file and of ``emosphere.yaml``.
    file : Path
        Path of the file, for error messages.

    Raises
    ------
    ValueError
        If a key is missing or was renamed.
    """
    if renamed := renamed_in(tree):
        raise ValueError(
            f"{file} was written for version {LAST_VERSION_WITH_OLD_NAMES}. Rename these keys: "
            f"{renamed}; CHANGELOG.md lists all changes."
        )
    check_values_not_renamed(tree, file)
    if missing := sorted(own.keys() - tree.keys()):
        raise ValueError(
            f"{file} must contain all keys of {HPARAMS / 'emosphere.yaml'}. Copy the missing keys: "
            f"{', '.join(missing)}."
        )


def _check_file(tree: CommentedMap, file: Path, kinds: Mapping[str, str | None]) -> None:
    """Reject values such as ``None`` or ``off``, which YAML 1.2 reads as text."""
    for key, value in tree.items():
        takes_text = kinds[key] == "text" if key in kinds else file.name == SAVED
        if key in STRING_KEYS:
            _check_kind(key, value, value, str(file), tree)
        elif (
            isinstance(value, str)
            and value.lower() in YAML11_BOOLEANS
            and (value == "None" or not takes_text)  # freeze: none is text
        ):
            raise ValueError(f"{file}: {key} is {value!r}. Use True, False or null.")


def read_presets(file: Path) -> CommentedMap:
    """Read ``presets.yaml`` from the folder of ``file`` if it is there, else from the package."""
    presets = Path(file).parent / "presets.yaml"
    return read_tree(presets if presets.is_file() else HPARAMS / "presets.yaml")


def _replace(tree: CommentedMap, key: str, value: Any, source: str) -> None:
    if key not in tree:
        raise ValueError(f"{source}: {unknown_name('key', key, tree)}")
    old = tree[key]
    if isinstance(old, CommentedMap) and old.tag.value is None and key not in MAPPING_KEYS:
        raise ValueError(
            f"{source}: {key!r} cannot be overridden, because it defines how the components are "
            f"connected. Override the keys that it refers to instead."
        )
    _check_kind(key, old, value, source, tree)
    tree[key] = value


def _check_kind(key: str, old: Any, new: Any, source: str, tree: CommentedMap) -> None:
    expected = _expected_kind(key, old, new, tree)
    if str(new) == "None" and new is not None:
        raise ValueError(f"{source}: {key} is 'None'. Use null for no value.")
    if isinstance(new, float) and math.isnan(new):
        raise ValueError(f"{source}: {key} must be {expected}; found 'nan'.")
    nullable = old is None or key in NULLABLE_KEYS + STRING_KEYS + NUMBER_KEYS + MAPPING_KEYS
    if new is None and nullable and key != "results_folder":
        return
    found = _kind(new)
    if (expected in (None, found) and new is not None) or (expected, found) == (NUMBER, INTEGER):
        return
    expected = expected or "a value"
    hint = f" Use '[{new}]'." if expected == "a list" else ""
    raise ValueError(
        f"{source}: {key} must be {expected}; found {'null' if new is None else repr(str(new))}."
        f"{hint}"
    )


def _expected_kind(key: str, old: Any, new: Any, tree: CommentedMap) -> str | None:
    if key in STRING_KEYS:
        return "text"
    if key in NUMBER_KEYS:
        return NUMBER
    if key in MAPPING_KEYS:
        return "a mapping"
    if key in STRING_OR_NUMBER_KEYS and _kind(new) in ("text", INTEGER, NUMBER):
        return _kind(new)
    if key in CHOICE_KEYS and (isinstance(new, bool) or new in CHOICE_KEYS[key]):
        return _kind(new)
    if key in LIST_KEYS and isinstance(new, list):
        return _kind(new)
    return _kind(old, tree)


def _kind(value: Any, tree: CommentedMap | None = None) -> str | None:
    """Return the kind of a value; ``None`` for null and references, which any value may replace.

    With ``tree``, references are resolved: the kind is that of the value they refer to.
    """
    if isinstance(value, TaggedScalar) and value.tag.value == "!ref":
        name = value.value.strip("<>")
        return _kind(tree[name]) if tree is not None and name in tree else None
    if value is None:
        return None
    if tag_of(value):
        return "an object (!new: or !name:)"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return INTEGER
    if isinstance(value, float):
        return NUMBER
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else "text"


def parse_command_line_value(key: str, text: str, old: Any) -> Any:
    """Parse a value from the command line.

    The value is parsed as YAML unless the value in the file is text (a path could be valid YAML).

    Raises
    ------
    ValueError
        If the value has a YAML tag.
    """
    if key in CHOICE_KEYS:
        return {"true": True, "false": False}.get(text.lower(), text)
    mixed = key in STRING_OR_NUMBER_KEYS
    if (_kind(old) == "text" and not mixed) or key in STRING_KEYS:
        return None if text == "null" else text
    if isinstance(old, bool) and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if _kind(old) == NUMBER and text.lower().lstrip("+-") in ("inf", "nan"):
        return float(text)  # YAML's own spelling, .inf, is parsed below
    check_no_tags(key, text)
    try:
        value = YAML().load(f"- {text}")[0]
    except YAMLError:
        value = text
    if key in MAPPING_KEYS:
        return value
    # Paths with ": " would be parsed as mappings, and " #" would start a comment.
    if (isinstance(value, CommentedMap) and value.tag.value is None) or " #" in text:
        return text
    if value is None and text.lower() not in ("null", "~"):
        return text
    return value


def check_no_tags(key: str, text: str) -> None:
    """Check that a value from the command line is plain YAML, which cannot run code.

    Raises
    ------
    ValueError
        If the value, or a part of it, has a tag such as ``!new:`` or ``!apply:``.

    Example
    -------
    >>> check_no_tags("drop_train", "[happy, sad]")
    >>> check_no_tags("pooling", "!new:emosphere_sb.lobes.MeanPooling [16]")
    Traceback (most recent call last):
    ValueError: the command line: pooling must be a plain value; found the YAML tag \
'!new:emosphere_sb.lobes.MeanPooling'. To change an object, write a preset or a hyperparameter \
file; values on the command line cannot create objects or run code.
    """
    try:
        for event in YAML().parse(f"- {text}"):
            if tag := getattr(event, "tag", None):
                raise ValueError(
                    f"the command line: {key} must be a plain value; found the YAML tag "
                    f"{str(tag)!r}. To change an object, write a preset or a hyperparameter file; "
                    f"values on the command line cannot create objects or run code."
                )
    except YAMLError:  # the value is used as text
        pass


def build_objects(tree: CommentedMap) -> dict[str, Any]:
    """Create the objects that a hyperparameter tree defines.

    Raises
    ------
    ValueError
        If an object cannot be created. The message names the object.
    """
    from hyperpyyaml import load_hyperpyyaml

    try:
        return load_hyperpyyaml(dump(tree))
    except (ImportError, TypeError, AttributeError, YAMLError) as error:
        parts = [error] if isinstance(error, YAMLError) else error.args
        reason = " ".join(map(str, parts))
        raise ValueError(f"Could not instantiate the hyperparameters: {reason}") from error


def neutral_keys(tree: CommentedMap) -> set[str]:
    """Return the keys of a run that do not affect its results."""
    return {*RESULT_NEUTRAL_KEYS, *REPLACED, *unused_preset_keys(tree)}  # REPLACED: earlier runs


def differences(tree: CommentedMap, saved: CommentedMap) -> list[str]:
    """Return the keys that differ between two trees and affect the results."""
    neutral = neutral_keys(tree) & neutral_keys(saved)
    keys = [key for key in {**tree, **saved} if key not in neutral]
    return [key for key in keys if tagged_value(tree.get(key)) != tagged_value(saved.get(key))]

"""emosphere.yaml + presets + the command line, with the checks that HyperPyYAML does not make.

The merge happens on the YAML tree, before any object is built: a preset or the command line
replaces a top-level value as a whole, so no argument of a replaced class survives, and the merged
tree that is saved with a run describes it completely. In contrast,
``hyperpyyaml.load_hyperpyyaml(file, overrides)`` merges a mapping of arguments into the class that
is there, and keeps that class.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, TaggedScalar
from ruamel.yaml.error import YAMLError

from emosphere_sb.fileio.yaml_tree import dump, plain, read_tree, tag_of
from emosphere_sb.recipe.arguments import HPARAMS, Arguments
from emosphere_sb.recipe.key_usage import (
    check_effects,
    check_preset_effect,
    references_of_files,
)
from emosphere_sb.recipe.renamed_keys import (
    LAST_VERSION_WITH_OLD_NAMES,
    check_values_not_renamed,
    renamed_in,
    unknown_name,
)

# Keys that may differ between two runs in one output folder: they change no result.
RESULT_NEUTRAL_KEYS = (
    "data_folder", "results_folder", "output_folder", "reuse_manifests", "eval_batch",
    "num_workers", "test_corpus", "test_data_folder", "test_options", "tensorboard",
    "acoustic_baseline", "check_memory", "gradient_checkpointing",
)  # fmt: skip

# Always read as text: release 1.10 is not 1.1, and a folder may be called 007.
STRING_KEYS = (
    "data_folder", "results_folder", "output_folder", "labels_file", "audio_folder", "release",
    "test_corpus", "test_data_folder", "test_options", "synthetic_corpus",
)  # fmt: skip
# Null in the file, and a number otherwise.
NUMBER_KEYS = ("layerdrop", "label_low", "label_high", "region_soft_targets")
# Text in the file, or a number.
STRING_OR_NUMBER_KEYS = ("layers", "pooling_attention_scale")
# Null in the file, and a mapping otherwise.
MAPPING_KEYS = ("freeze_schedule",)
# May be null although the file has a value: no limit, and no head without a task.
NULLABLE_KEYS = ("max_seconds", "auxiliary_head")
NUMBER, INTEGER = "a number", "an integer"
# Smallest allowed integers; below these a run would train on nothing, or with the wrong sign.
MINIMA = {
    "seed": 0, "head_width": 1, "pooling_dim": 1, "pooling_heads": 1, "pooling_kernel_size": 1,
    "aux_decay_epochs": 1, "number_of_epochs": 1, "patience": 0, "batch_size": 1, "micro_batch": 1,
    "bucket_batches": 0, "eval_batch": 1, "num_workers": 0, "warmup_steps": 0, "lora_rank": 0,
    "average_checkpoints": 0,
}  # fmt: skip
MIN_SECONDS = 0.025  # the first frame needs 400 samples
SAVED = "hyperparams.yaml"
ALL_FOLDS = "all"  # the one text that the number of a fold may be
# Booleans or null in YAML 1.1 but text in YAML 1.2, where any text is true.
YAML11_BOOLEANS = ("yes", "no", "on", "off", "none")


def merge(
    arguments: Arguments, tree: CommentedMap | None = None, own: CommentedMap | None = None
) -> CommentedMap:
    """Merge a run's hyperparameters: the file, then its presets, then the command line.

    Arguments
    ---------
    arguments : Arguments
        The parsed command line.
    tree : CommentedMap, optional
        The file's tree if it was read before; it is changed in place.
    own : CommentedMap, optional
        The tree of the package's own file if it was read before; it may be ``tree``.

    Raises
    ------
    ValueError
        If a preset or a key is unknown, a value has the wrong type, or a key on the command line
        has no effect.
    """
    tree = read_tree(arguments.file) if tree is None else tree
    own = read_tree(HPARAMS / "emosphere.yaml") if own is None else own
    _check_file(tree, arguments.file, {key: _kind(value) for key, value in own.items()})
    before = references_of_files(own, tree)
    _apply_presets(tree, arguments, before)
    for key, text in arguments.overrides.items():
        if key not in tree:
            raise ValueError(unknown_name("key", key, tree))
        if key == "fold" and text == ALL_FOLDS:
            tree[key] = text
        else:
            _replace(tree, key, parse_value(key, text, tree[key]), "the command line")
    if arguments.presets or arguments.file.name != SAVED:  # a saved run keeps its name
        tree["preset"] = arguments.preset
    _check_ranges(tree)
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
            raise ValueError(f"Preset {name!r} must map keys to values; found {presets[name]!r}.")
        for key, value in presets[name].items():
            _replace(tree, key, value, f"preset {name!r}")
        check_preset_effect(tree, before, name, presets[name])


def _check_ranges(tree: CommentedMap) -> None:
    for key in MINIMA.keys() & tree.keys():
        value, minimum = tree[key], MINIMA[key]
        if not isinstance(value, TaggedScalar) and (_kind(value) != INTEGER or value < minimum):
            raise ValueError(f"{key} must be an integer >= {minimum}; found {value}.")
    norm = tree.get("max_grad_norm")
    if isinstance(norm, (int, float)) and not norm > 0:
        raise ValueError(
            f"max_grad_norm must be positive; found {norm}. Use --max_grad_norm=inf for no "
            f"clipping: a negative norm would flip the sign of every gradient."
        )
    seconds = tree.get("max_seconds")
    if isinstance(seconds, (int, float)) and not seconds >= MIN_SECONDS:
        raise ValueError(f"max_seconds must be null or at least {MIN_SECONDS}; found {seconds}.")


def check_keys(tree: CommentedMap, own: CommentedMap, file: Path) -> None:
    """Raise ``ValueError`` if a file lacks keys of the package's own, or has those of version 0.1.

    Arguments
    ---------
    tree, own : CommentedMap
        The file's tree, and that of ``emosphere.yaml``.
    file : Path
        The file, for the message.
    """
    if renamed := renamed_in(tree):
        raise ValueError(
            f"{file} was written for version {LAST_VERSION_WITH_OLD_NAMES}. Rename these keys: "
            f"{renamed}; CHANGELOG.md lists all changes."
        )
    check_values_not_renamed(tree, file)
    if missing := sorted(own.keys() - tree.keys()):
        raise ValueError(
            f"{file} must have every key of {HPARAMS / 'emosphere.yaml'}; it lacks "
            f"{', '.join(missing)}. Copy them from there."
        )


def _check_file(tree: CommentedMap, file: Path, kinds: Mapping[str, str | None]) -> None:
    """Reject values that YAML reads as something else than they look like."""
    for key, value in tree.items():
        takes_text = kinds[key] == "text" if key in kinds else file.name == SAVED
        if key in STRING_KEYS:
            _check_kind(key, value, value, str(file), tree)
        elif (
            isinstance(value, str)
            and value.lower() in YAML11_BOOLEANS
            and (value == "None" or not takes_text)  # freeze: none is text
        ):
            raise ValueError(f"{file}: {key} is {value!r}; write True, False or null.")


def read_presets(file: Path) -> CommentedMap:
    """Read the presets next to ``file``, or the package's own."""
    beside = Path(file).parent / "presets.yaml"
    return read_tree(beside if beside.is_file() else HPARAMS / "presets.yaml")


def _replace(tree: CommentedMap, key: str, value: Any, source: str) -> None:
    if key not in tree:
        raise ValueError(f"{source}: {unknown_name('key', key, tree)}")
    old = tree[key]
    if isinstance(old, CommentedMap) and old.tag.value is None and key not in MAPPING_KEYS:
        raise ValueError(
            f"{source}: {key!r} connects the components and cannot be replaced; set the keys that "
            f"it refers to instead."
        )
    _check_kind(key, old, value, source, tree)
    tree[key] = value


def _check_kind(key: str, old: Any, new: Any, source: str, tree: CommentedMap) -> None:
    expected = _expected_kind(key, old, new, tree)
    if str(new) == "None" and new is not None:
        raise ValueError(f"{source}: {key} is 'None'; use null for no value.")
    if isinstance(new, float) and math.isnan(new):
        raise ValueError(f"{source}: {key} must be {expected}; found 'nan'.")
    nullable = old is None or key in NULLABLE_KEYS + STRING_KEYS + NUMBER_KEYS + MAPPING_KEYS
    if new is None and nullable and key != "results_folder":
        return
    found = _kind(new)
    if (expected in (None, found) and new is not None) or (expected, found) == (NUMBER, INTEGER):
        return
    expected = expected or "a value"
    hint = f" Write [{new}], in quotes on a command line." if expected == "a list" else ""
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
    return _kind(old, tree)


def _kind(value: Any, tree: CommentedMap | None = None) -> str | None:
    """Return the kind of a value; ``None`` if it may be replaced by any (null, a reference).

    With ``tree``, a reference to one of its keys has the kind of that key's value.
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


def parse_value(key: str, text: str, old: Any) -> Any:
    """Parse a value of the command line.

    It stays text if the file has text there (a path may look like anything), else it is YAML.
    """
    mixed = key in STRING_OR_NUMBER_KEYS
    if (_kind(old) == "text" and not mixed) or key in STRING_KEYS:
        return None if text == "null" else text
    if isinstance(old, bool) and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if _kind(old) == NUMBER and text.lower().lstrip("+-") in ("inf", "nan"):
        return float(text)  # YAML's own spelling, .inf, is parsed below
    try:
        value = YAML().load(f"- {text}")[0]
    except YAMLError:
        value = text
    if key in MAPPING_KEYS:
        return value
    # A path with a colon and a blank would become a mapping, and one with a "#" would be cut.
    if (isinstance(value, CommentedMap) and value.tag.value is None) or " #" in text:
        return text
    if value is None and text.lower() not in ("null", "~"):
        return text
    return value


def build(tree: CommentedMap) -> dict[str, Any]:
    """Build the objects of a tree.

    Raises
    ------
    ValueError
        If an object cannot be built, naming it.
    """
    from hyperpyyaml import load_hyperpyyaml

    try:
        return load_hyperpyyaml(dump(tree))
    except (ImportError, TypeError, AttributeError, YAMLError) as error:
        parts = [error] if isinstance(error, YAMLError) else error.args
        reason = " ".join(map(str, parts))
        raise ValueError(f"Could not instantiate the hyperparameters: {reason}") from error


def differences(tree: CommentedMap, saved: CommentedMap) -> list[str]:
    """Return the keys in which two trees differ and that change a result."""
    keys = [key for key in {**tree, **saved} if key not in RESULT_NEUTRAL_KEYS]
    return [key for key in keys if plain(tree.get(key)) != plain(saved.get(key))]

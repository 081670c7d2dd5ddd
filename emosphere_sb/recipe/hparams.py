"""emosphere.yaml + presets + the command line, refusing what HyperPyYAML lets through.

The merge happens on the YAML tree, before any object is built: a preset or the command line replaces
a top-level value as a whole, so that no argument of a replaced class survives, and the merged tree
that is saved beside a run is all there is to know about it.
"""

from __future__ import annotations

import difflib
import io
import math
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, TaggedScalar
from ruamel.yaml.error import YAMLError

from emosphere_sb.recipe.arguments import HPARAMS, Arguments

# What may differ between two runs that claim the same output folder: it changes no result.
HARMLESS = (
    "data_folder", "results_folder", "output_folder", "reuse_manifests", "eval_batch", "num_workers",
    "test_corpus", "test_data_folder", "test_options", "tensorboard", "acoustic_baseline",
    "check_memory", "gradient_checkpointing",
)  # fmt: skip

# Text whatever they look like: release 1.10 is not 1.1, and a folder may be called 007.
TEXT = (
    "data_folder", "results_folder", "output_folder", "labels_file", "audio_folder", "release",
    "test_corpus", "test_data_folder", "test_options", "synthetic_corpus",
)  # fmt: skip
# Null in the file, and a number otherwise.
NUMBERS = ("layerdrop", "label_low", "label_high")
# May be null although the file has a value: no cut, and no head without a task.
OPTIONAL = ("max_seconds", "auxiliary_head")
NUMBER, WHOLE = "a number", "a whole number"
# What a whole number must at least be; below, a run would train on nothing, or with the wrong sign.
SMALLEST = {
    "seed": 0, "head_width": 1, "number_of_epochs": 1, "patience": 0, "batch_size": 1,
    "micro_batch": 1, "bucket_batches": 0, "eval_batch": 1, "num_workers": 0, "warmup_steps": 0,
    "average_checkpoints": 0,
}  # fmt: skip
SHORTEST = 0.025  # seconds: 400 samples are what the first frame needs
SAVED = "hyperparams.yaml"
ALL_FOLDS = "all"  # the one text that the number of a fold may be
# YAML 1.1 read these as values; YAML 1.2 reads text, and text is true.
FORMER_VALUES = ("yes", "no", "on", "off", "none")


def read_tree(path: Path) -> CommentedMap:
    """Read a YAML file with its tags and comments.

    Raises
    ------
    ValueError
        If it is not a YAML mapping, with the place.
    """
    try:
        tree = YAML().load(Path(path).read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(tree, CommentedMap):
        raise ValueError(
            f"{path} must hold a mapping of keys to values; found {type(tree).__name__}."
        )
    return tree


def merge(arguments: Arguments) -> CommentedMap:
    """The tree of a run: the file, then its presets, then the command line.

    Raises
    ------
    ValueError
        If a preset or a key is unknown, or a value is not of the kind that the file gives.
    """
    tree = read_tree(arguments.file)
    _check_file(tree, arguments.file)
    table = read_presets(arguments.file)
    for name in arguments.presets:
        if name not in table:
            raise ValueError(unknown("preset", name, table))
        if not isinstance(table[name], dict):
            raise ValueError(f"Preset {name!r} must map keys to values; found {table[name]!r}.")
        for key, value in table[name].items():
            _replace(tree, key, value, f"preset {name!r}")
    for key, text in arguments.overrides.items():
        if key not in tree:
            raise ValueError(unknown("key", key, tree))
        if key == "fold" and text == ALL_FOLDS:
            tree[key] = text
        else:
            _replace(tree, key, parse_value(key, text, tree[key]), "the command line")
    if arguments.presets or arguments.file.name != SAVED:  # a saved run keeps the name that it has
        tree["preset"] = arguments.preset
    for key in SMALLEST.keys() & tree.keys():
        value, smallest = tree[key], SMALLEST[key]
        if not isinstance(value, TaggedScalar) and (_kind(value) != WHOLE or value < smallest):
            raise ValueError(f"{key} must be a whole number from {smallest} on; found {value}.")
    norm = tree.get("max_grad_norm")
    if isinstance(norm, (int, float)) and not norm > 0:
        raise ValueError(
            f"max_grad_norm must be positive; found {norm}. To switch clipping off say "
            f"--max_grad_norm=inf: a negative norm would flip the sign of every gradient."
        )
    seconds = tree.get("max_seconds")
    if isinstance(seconds, (int, float)) and not seconds >= SHORTEST:
        raise ValueError(f"max_seconds must be null or at least {SHORTEST}; found {seconds}.")
    return tree


def _check_file(tree: CommentedMap, file: Path) -> None:
    """Refuse values in the file that would be read as something else than they look like."""
    for key, value in tree.items():
        if key in TEXT:
            _check_kind(key, value, value, str(file), tree)
        elif (
            isinstance(value, str)
            and value.lower() in FORMER_VALUES
            and (value == "None" or not _takes_text(key, file))  # freeze: none is meant so
        ):
            raise ValueError(f"{file}: {key} is {value!r}; write True, False or null.")


def _takes_text(key: str, file: Path) -> bool:
    """Whether a key's value may be text: by the package's file, or as a run has checked it."""
    own = read_tree(HPARAMS / "emosphere.yaml")
    return _kind(own[key]) == "text" if key in own else file.name == SAVED


def read_presets(file: Path) -> CommentedMap:
    """The named presets that lie beside ``file``, or the package's own."""
    beside = Path(file).parent / "presets.yaml"
    return read_tree(beside if beside.is_file() else HPARAMS / "presets.yaml")


def unknown(kind: str, name: str, known) -> str:
    """An error text: what was found, what comes nearest, and what is allowed."""
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown {kind} {name!r}.{hint} Allowed: {', '.join(sorted(known))}."


def _replace(tree: CommentedMap, key: str, value: Any, source: str) -> None:
    if key not in tree:
        raise ValueError(f"{source}: {unknown('key', key, tree)}")
    old = tree[key]
    if isinstance(old, CommentedMap) and old.tag.value is None:
        raise ValueError(
            f"{source}: {key!r} is a mapping that wires parts together; set the top-level keys "
            f"that it refers to instead."
        )
    _check_kind(key, old, value, source, tree)
    tree[key] = value


def _check_kind(key: str, old: Any, new: Any, source: str, tree: CommentedMap) -> None:
    expected = "text" if key in TEXT else NUMBER if key in NUMBERS else _kind(old, tree)
    if str(new) == "None" and new is not None:
        raise ValueError(f"{source}: {key} is 'None'; an empty value is written null.")
    if isinstance(new, float) and math.isnan(new):
        raise ValueError(f"{source}: {key} must be {expected}; found 'nan'.")
    nullable = old is None or key in OPTIONAL + TEXT + NUMBERS
    if new is None and nullable and key != "results_folder":
        return
    found = _kind(new)
    if (expected in (None, found) and new is not None) or (expected, found) == (NUMBER, WHOLE):
        return
    expected = expected or "a value"
    hint = f" Write [{new}], in quotes on a command line." if expected == "a list" else ""
    raise ValueError(
        f"{source}: {key} must be {expected}; found {'null' if new is None else repr(str(new))}."
        f"{hint}"
    )


def _kind(value: Any, tree: CommentedMap | None = None) -> str | None:
    """What a value may be replaced by; ``None`` where anything goes (null, a reference).

    With ``tree`` a reference to one of its keys counts as that key's value.
    """
    if isinstance(value, TaggedScalar) and value.tag.value == "!ref":
        name = value.value.strip("<>")
        return _kind(tree[name]) if tree is not None and name in tree else None
    if value is None:
        return None
    if getattr(getattr(value, "tag", None), "value", None):
        return "an object (!new: or !name:)"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return WHOLE
    if isinstance(value, float):
        return NUMBER
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else "text"


def parse_value(key: str, text: str, old: Any) -> Any:
    """A command line's text as the value it stands for.

    Where the file has text, text it stays (a path may look like anything); else it is read as YAML.
    """
    if _kind(old) == "text" or key in TEXT:
        return None if text == "null" else text
    if isinstance(old, bool) and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if _kind(old) == NUMBER and text.lower().lstrip("+-") in ("inf", "nan"):
        return float(text)  # YAML's own spelling, .inf, is read below
    try:
        value = YAML().load(f"- {text}")[0]
    except YAMLError:
        value = text
    # A path with a colon and a blank would be read as a mapping, and one with a "#" be cut.
    if (isinstance(value, CommentedMap) and value.tag.value is None) or " #" in text:
        return text
    if value is None and text.lower() not in ("null", "~"):
        return text
    return value


def dump(tree: CommentedMap) -> str:
    """The tree as HyperPyYAML text."""
    stream = io.StringIO()
    writer = YAML()
    writer.width = 4096  # a wrapped line would break a reference apart
    writer.dump(tree, stream)
    return stream.getvalue()


def copy_tree(tree: CommentedMap) -> CommentedMap:
    """A copy with all tags (``copy.deepcopy`` loses those of empty lists)."""
    return YAML().load(dump(tree))


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
        raise ValueError(f"The hyperparameters do not fit together: {reason}") from error


def differences(tree: CommentedMap, saved: CommentedMap) -> list[str]:
    """Keys in which two trees differ and that change a result."""
    keys = [key for key in {**tree, **saved} if key not in HARMLESS]
    return [key for key in keys if plain(tree.get(key)) != plain(saved.get(key))]


def plain(value: Any) -> Any:
    """A value without YAML's wrappers, tag included, for comparison."""
    tag = getattr(getattr(value, "tag", None), "value", None)
    if isinstance(value, TaggedScalar):
        return (tag, value.value)
    if isinstance(value, dict):
        return (tag, {key: plain(item) for key, item in value.items()})
    if isinstance(value, list):
        return (tag, [plain(item) for item in value])
    return value


def scalars(tree: CommentedMap) -> dict[str, Any]:
    """The values that need no object: what preparation asks for before anything is built."""
    return {
        key: list(value) if isinstance(value, list) else value
        for key, value in tree.items()
        if not getattr(getattr(value, "tag", None), "value", None) and not isinstance(value, dict)
    }

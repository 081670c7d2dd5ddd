"""Detection of command-line keys that have no effect on a run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ruamel.yaml.comments import CommentedMap, TaggedScalar

from emosphere_sb.fileio.yaml_tree import tag_of
from emosphere_sb.recipe.arguments import RUN_OPTIONS

READ_BY_RECIPE = ("backbone", "normalisation", "number_of_epochs", "seed")
"""Keys that the recipe itself uses, regardless of the components."""

_REFERENCE = re.compile(r"<([A-Za-z_]\w*)")
FIXED_WEIGHTINGS = ("LinearDecay", "ConstantWeight")
"""Weightings without learned loss weights."""
PRESET_KEYS = ("emotion_classes",)
"""Keys to which no component of ``emosphere.yaml`` refers, but those of presets."""
LOSS_WEIGHT_KEYS = ("lr_loss_weights",)
"""Keys that the recipe uses to train the weighting of the auxiliary loss."""


def _is_ssl(tree: Mapping) -> bool:
    """Return whether the encoder is ``SSLEncoder``. Others may use the settings differently."""
    return class_of(tree.get("encoder")) == "SSLEncoder"


_NO_LORA = (("lora_rank", lambda tree: _is_ssl(tree) and tree["lora_rank"] == 0),)
# Adapters freeze all other weights.
_LORA = ("lora_rank", lambda tree: _is_ssl(tree) and tree["lora_rank"] > 0)

CONDITIONS: dict[str, tuple[tuple[str, Callable[[Mapping], bool]], ...]] = {
    "lora_alpha": _NO_LORA,
    "lora_dropout": _NO_LORA,
    "lora_targets": _NO_LORA,
    "feature_cache_folder": (("feature_cache", lambda tree: not tree["feature_cache"]),),
    "feature_cache_precision": (("feature_cache", lambda tree: not tree["feature_cache"]),),
    "freeze": (
        ("freeze_schedule", lambda tree: _is_ssl(tree) and tree["freeze_schedule"] is not None),
        _LORA,
    ),
    "freeze_schedule": (_LORA,),
    "lr_layer_weights": (("layers", lambda tree: _is_ssl(tree) and tree["layers"] != "weighted"),),
    "test_weights": (
        (
            "average_checkpoints",
            lambda tree: tree["average_checkpoints"] > 0 and tree["test_weights"] != "average",
        ),
    ),
    "warmup_steps": (("warmup_share", lambda tree: tree["warmup_share"] > 0),),
    "partition_per_class": (("partition", lambda tree: tree["partition"] != "paper"),),
    "folds": (("partition", lambda tree: tree["partition"] != "folds"),),
    "synthetic_corpus": (("data_folder", lambda tree: tree["data_folder"] is not None),),
    "emotion_classes": (("task", lambda tree: bool(unused_preset_keys(tree))),),
    "lr_loss_weights": (
        ("weighting", lambda tree: class_of(tree["weighting"]) in FIXED_WEIGHTINGS),
    ),
}
"""For each key: keys that can disable it, each with the condition under which it has no effect."""


def unused_preset_keys(tree: CommentedMap) -> list[str]:
    """Return the :data:`PRESET_KEYS` that no component of a run refers to.

    Example
    -------
    >>> from ruamel.yaml import YAML
    >>> text = "emotion_classes: [happy, sad]\\ntask: !new:a.Task {names: !ref <emotion_classes>}"
    >>> unused_preset_keys(YAML().load(text))
    []
    >>> unused_preset_keys(YAML().load("emotion_classes: [happy, sad]\\ntask: !new:a.Task {}"))
    ['emotion_classes']
    """
    users = references(tree)
    return [key for key in PRESET_KEYS if not users.get(key)]


def references(tree: CommentedMap) -> dict[str, set[str]]:
    """Return, for each key, the top-level keys that refer to it directly or through a reference.

    Example
    -------
    >>> from ruamel.yaml import YAML
    >>> text = "lr: 1\\nlr_backbone: !ref <lr>\\npart: !new:a.B {rate: !ref <lr_backbone>}"
    >>> {key: sorted(users) for key, users in references(YAML().load(text)).items() if users}
    {'lr': ['lr_backbone', 'part'], 'lr_backbone': ['part']}
    """
    users: dict[str, set[str]] = {str(key): set() for key in tree}
    for key, value in tree.items():
        for name in _names_in(value):
            users.setdefault(name, set()).add(str(key))
    for key, value in tree.items():
        if _is_alias(value):
            for name in _names_in(value):
                users[name] |= users[str(key)]
    return users


def references_of_files(own: CommentedMap, tree: CommentedMap) -> dict[str, set[str]]:
    """Return, for each key of a hyperparameter file, the components that use it before any merge.

    Arguments
    ---------
    own : CommentedMap
        Parsed YAML tree of ``emosphere.yaml``. Components that use a key there are
        included, because the file may be the saved hyperparameters of a run, in which other
        components replace them.
    tree : CommentedMap
        Parsed YAML tree of the hyperparameter file. A key that neither
        ``emosphere.yaml`` nor a component of the file uses is listed as its own user,
        so it can be reported as unused.

    Example
    -------
    >>> from ruamel.yaml import YAML
    >>> own = YAML().load("dim: 1\\npooling: !new:a.Style {width: !ref <dim>}")
    >>> tree = YAML().load("dim: 1\\npooling: !new:a.Mean {}\\nmine: 1")
    >>> users = references_of_files(own, tree)
    >>> users["dim"], users["mine"], users["pooling"]
    ({'pooling'}, {'mine'}, set())
    """
    users, regular = references(tree), references(own)
    for key, found in users.items():
        found |= regular.get(key, set())
        read = key in own or key in RUN_OPTIONS  # SpeechBrain reads run options from hparams too
        if not (read or found or class_of(tree[key])):
            found.add(key)
    return users


def check_effects(tree: CommentedMap, before: Mapping[str, set[str]], keys: Iterable[str]) -> None:
    """Check that all keys on the command line have an effect on this run.

    Arguments
    ---------
    tree : CommentedMap
        Merged hyperparameters.
    before : mapping
        Result of :func:`references_of_files` before presets and the command line are applied.
    keys : iterable of str
        Keys given on the command line.

    Raises
    ------
    ValueError
        If a key has no effect.

    Example
    -------
    >>> from ruamel.yaml import YAML
    >>> before = references(YAML().load("dim: 1\\npooling: !new:a.Style {width: !ref <dim>}"))
    >>> check_effects(YAML().load("dim: 2\\npooling: !new:a.Mean {}"), before, ["dim"])
    Traceback (most recent call last):
    ValueError: --dim has no effect: pooling is Mean, which does not use it. Remove --dim, or \
choose another pooling.
    """
    for key in keys:
        if found := _no_effect(key, tree, before):
            reason, other = found
            remedy = f", or {other}" if other else ""
            raise ValueError(f"--{key} has no effect: {reason}. Remove --{key}{remedy}.")


def check_preset_effect(
    tree: CommentedMap, before: Mapping[str, set[str]], name: str, keys: Iterable[str]
) -> None:
    """Raise ``ValueError`` if no key of a preset has an effect at the position of the preset.

    Arguments
    ---------
    tree : CommentedMap
        Hyperparameters after applying this preset and all previous ones.
    before : mapping
        Result of :func:`references_of_files` before presets and the command line are applied.
    name : str
        Name of the preset.
    keys : iterable of str
        Keys of the preset.

    Example
    -------
    >>> from ruamel.yaml import YAML
    >>> before = references(YAML().load("dim: 1\\npooling: !new:a.Style {width: !ref <dim>}"))
    >>> tree = YAML().load("dim: 2\\npooling: !new:a.Mean {}")
    >>> check_preset_effect(tree, before, "wide", ["dim"])
    Traceback (most recent call last):
    ValueError: Preset 'wide' has no effect in this position (dim: pooling is Mean, which does \
not use it). Remove it, or move it before the other presets.
    """
    reasons = {key: _no_effect(key, tree, before) for key in keys}
    if reasons and all(reasons.values()):
        text = "; ".join(f"{key}: {found[0]}" for key, found in reasons.items())
        raise ValueError(
            f"Preset {name!r} has no effect in this position ({text}). Remove it, or move it "
            f"before the other presets."
        )


def class_of(value: Any) -> str | None:
    """Return the class name of a ``!new:`` or ``!name:`` object; ``None`` for other values."""
    tag = tag_of(value) or ""
    return tag.rpartition(".")[2] if tag.startswith(("!new:", "!name:", "!apply:")) else None


def _no_effect(
    key: str, tree: CommentedMap, before: Mapping[str, set[str]]
) -> tuple[str, str] | None:
    """Return why a key has no effect and how to change that; ``None`` if it has an effect."""
    idle = {"weighting"} if class_of(tree.get("task")) == "NoTask" else set()
    components = sorted(before.get(key, ()))
    unused = bool(components) and not references(tree).get(key, set()) - idle
    if key in {*idle, *LOSS_WEIGHT_KEYS} and idle:
        return "task is NoTask, so there is no auxiliary loss to weight", "choose another task"
    if unused and key not in READ_BY_RECIPE:
        if idle & {*components}:
            return "task is NoTask, so there is no auxiliary loss", "choose another task"
        if components == [key]:
            return "no component refers to it", ""
        names = " and ".join(f"{name} is {_format_value(tree.get(name))}" for name in components)
        which = "which does not use it" if len(components) == 1 else "which do not use it"
        return f"{names}, {which}", f"choose another {' or '.join(components)}"
    for other, is_unused in CONDITIONS.get(key, ()):
        if key in tree and other in tree and is_unused(tree):
            return f"{other} is {_format_value(tree[other])}", f"change --{other}"
    return None


def _format_value(value: Any) -> str:
    return class_of(value) or ("null" if value is None else str(value))


def _is_alias(value: Any) -> bool:
    return isinstance(value, TaggedScalar) and value.tag.value in ("!ref", "!copy")


def _names_in(value: Any) -> set[str]:
    """Return the top-level keys that the ``!ref`` and ``!copy`` nodes in ``value`` refer to."""
    if _is_alias(value):
        return set(_REFERENCE.findall(str(value.value)))
    if isinstance(value, Mapping):
        return set().union(*(_names_in(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(_names_in(item) for item in value))
    return set()

"""Suggestions for keys that were renamed, are misspelt or have another name in other toolkits."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

logger = logging.getLogger(__name__)

RENAMED = {
    "row": "preset",
    "skip_prep": "reuse_manifests",
    "dry_run": "check_memory",
    "sort_pool": "bucket_batches",
    "outside_scale": "out_of_range_labels",
    "demo_size": "synthetic_corpus",
    "vad_loss": "regression_loss",
    "lr_weighting": "lr_loss_weights",
}
"""Names of keys in version 0.1, mapped to their names since version 0.2.0."""

RENAMED_VALUES = {("crop", "first"): "start"}
"""Keys and values of version 0.1, mapped to the values since version 0.2.0."""

REPLACED = {"tensorboard": ("logger", {"true": "tensorboard", "false": None})}
"""Keys that are still accepted: the key to use instead, with its value for each old value."""

LAST_VERSION_WITH_OLD_NAMES = "0.1.0"

SYNONYMS = {
    "accumulation": "micro_batch",
    "amp": "precision",
    "angle": "region_angle",
    "average": "average_checkpoints",
    "bs": "batch_size",
    "checkpoint": "backbone",
    "clip": "max_grad_norm",
    "data": "data_folder",
    "data_dir": "data_folder",
    "data_path": "data_folder",
    "dataset": "data_folder",
    "dropout": "head_dropout",
    "early_stopping": "patience",
    "encoder_name": "backbone",
    "epochs": "number_of_epochs",
    "eval_batch_size": "eval_batch",
    "fp16": "precision",
    "grad_accumulation": "micro_batch",
    "grad_clip": "max_grad_norm",
    "gradient_accumulation_steps": "micro_batch",
    "heads": "pooling_heads",
    "hidden_size": "head_width",
    "learning_rate": "lr",
    "lr_scheduler": "schedule_name",
    "lr_scheduler_type": "schedule_name",
    "max_audio_length": "max_seconds",
    "max_epochs": "number_of_epochs",
    "max_len": "max_seconds",
    "max_length": "max_seconds",
    "mixed_precision": "precision",
    "model": "backbone",
    "model_name": "backbone",
    "model_name_or_path": "backbone",
    "n_epochs": "number_of_epochs",
    "num_epochs": "number_of_epochs",
    "num_train_epochs": "number_of_epochs",
    "out": "output_folder",
    "output_dir": "output_folder",
    "output_path": "output_folder",
    "per_device_eval_batch_size": "eval_batch",
    "per_device_train_batch_size": "micro_batch",
    "pretrained_model": "backbone",
    "random_seed": "seed",
    "report_to": "logger",
    "results_dir": "results_folder",
    "sample_length": "max_seconds",
    "scheduler": "schedule_name",
    "split": "partition",
    "ssl_model": "backbone",
    "train_batch_size": "batch_size",
    "train_logger": "logger",
    "upstream": "backbone",
    "use_wandb": "logger",
    "valid_batch_size": "eval_batch",
    "wandb": "logger",
    "warmup": "warmup_steps",
    "width": "pooling_dim",
    "workers": "num_workers",
}
"""Names used by other toolkits, mapped to the keys with the same meaning."""


def check_not_renamed(name: str, value: str, known: Iterable[str]) -> None:
    """Check that a command-line option has not been renamed since version 0.1.

    Raises
    ------
    ValueError
        If it was renamed. The message contains the new name.

    Example
    -------
    >>> check_not_renamed("row", "demo", ["preset"])
    Traceback (most recent call last):
    ValueError: --row was renamed to --preset in version 0.2.0; use --preset=demo.
    """
    if name in RENAMED and name not in known:
        new = RENAMED[name]
        raise ValueError(
            f"--{name} was renamed to --{new} in version 0.2.0; use --{new}"
            f"{f'={value}' if value else ''}."
        )
    if (new := RENAMED_VALUES.get((name, value))) is not None:
        raise ValueError(
            f"--{name}={value} was renamed to --{name}={new} in version 0.2.0; use that instead."
        )


def replaced_option(name: str, value: str) -> tuple[str, str]:
    """Return the option to use instead of a command-line option in :data:`REPLACED`.

    A warning with the new option is logged.

    Raises
    ------
    ValueError
        If the old option does not have this value.

    Example
    -------
    >>> replaced_option("tensorboard", "True"), replaced_option("tensorboard", "False")
    (('logger', 'tensorboard'), ('logger', 'null'))
    """
    new, found = _replaced(name, value, f"--{name}")
    text = "null" if found is None else found
    logger.warning("--%s=%s is deprecated; use --%s=%s.", name, value, new, text)
    return new, text


def replace_keys(values: MutableMapping[str, Any], source: object) -> None:
    """Replace the keys in :data:`REPLACED` in the settings of a preset or a file, in place.

    A warning with the new key is logged.

    Arguments
    ---------
    values : mutable mapping
        Settings.
    source : object
        Name of the preset or the file, for messages.

    Raises
    ------
    ValueError
        If an old key has another value, or the new key is given as well.

    Example
    -------
    >>> settings = {"tensorboard": True, "seed": 1}
    >>> replace_keys(settings, "own.yaml")
    >>> settings
    {'seed': 1, 'logger': 'tensorboard'}
    """
    for old in [name for name in REPLACED if name in values]:
        new, found = _replaced(old, values[old], f"{source}: {old}")
        if new in values:
            raise ValueError(f"{source}: {old} was replaced by {new}; remove {old}.")
        text = "null" if found is None else found
        logger.warning("%s: %s is deprecated; use %s: %s.", source, old, new, text)
        del values[old]
        values[new] = found


def _replaced(name: str, value: Any, place: str) -> tuple[str, str | None]:
    new, values = REPLACED[name]
    if str(value).lower() not in values:
        allowed = " or ".join(text.capitalize() for text in values)
        raise ValueError(f"{place} must be {allowed}; found {str(value)!r}.")
    return new, values[str(value).lower()]


def renamed_in(keys: Iterable[str]) -> str:
    """Return "old (now new), …" for the keys of version 0.1 in ``keys``, or an empty string."""
    return ", ".join(f"{key} (now {RENAMED[key]})" for key in keys if key in RENAMED)


def check_values_not_renamed(values: Mapping[str, Any], file: object) -> None:
    """Raise ``ValueError`` with the new value if a file contains a value of version 0.1.

    Example
    -------
    >>> check_values_not_renamed({"crop": "first"}, "own.yaml")
    Traceback (most recent call last):
    ValueError: own.yaml: replace 'crop: first' with 'crop: start' (renamed in version 0.2.0).
    """
    for (key, old), new in RENAMED_VALUES.items():
        if values.get(key) == old:
            raise ValueError(
                f"{file}: replace '{key}: {old}' with '{key}: {new}' (renamed in version 0.2.0)."
            )


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return an error message with the unknown name, the closest match and the allowed names.

    Example
    -------
    >>> unknown_name("key", "epochs", ["number_of_epochs", "seed"])
    "Unknown key 'epochs'. Did you mean 'number_of_epochs'? Allowed: number_of_epochs, seed."
    """
    known = sorted(known)
    near = nearest_name(name, known)
    hint = f" Did you mean {near!r}?" if near else ""
    return f"Unknown {kind} {name!r}.{hint} Allowed: {', '.join(known)}."


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name with the same meaning or a similar spelling; ``None`` without a match.

    Example
    -------
    >>> nearest_name("epochs", ["number_of_epochs"]), nearest_name("sead", ["seed"])
    ('number_of_epochs', 'seed')
    """
    known = sorted(known)
    near = SYNONYMS.get(name.lower().replace("-", "_"))
    return near if near in known else next(iter(difflib.get_close_matches(name, known, n=1)), None)

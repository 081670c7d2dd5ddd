"""Files of a checkpoint folder: the states of objects, and the digests of all files."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from pathlib import Path

import torch
import yaml
from speechbrain.utils.checkpoints import METAFNAME

from emosphere_sb.fileio.atomic import digest_of, fsync_tree
from emosphere_sb.training.trained_weights import read_tensors

logger = logging.getLogger(__name__)

CHECKSUM_FILE = "sha256.json"


def integrity_error(folder: Path, *, only: Collection[str] = ()) -> str:
    """Compare the files of a checkpoint with their checksums.

    Arguments
    ---------
    folder : path
        Folder of the checkpoint.
    only : collection of str
        Names of the files to compare. (default: all)

    Returns
    -------
    str
        Description of the error; empty if the checkpoint is intact.
    """
    try:
        sums = json.loads((folder / CHECKSUM_FILE).read_text(encoding="utf-8"))
        existing = {path.name for path in folder.iterdir()} - {CHECKSUM_FILE}
        if existing != set(sums):
            return f"missing or unexpected files: {', '.join(sorted(existing ^ set(sums)))}"
        names = set(only) or set(sums)
        wrong = sorted(name for name in names if digest_of(folder / name) != sums[name])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{CHECKSUM_FILE} is missing or invalid: {error}"
    return f"SHA-256 of {', '.join(wrong)} does not match {CHECKSUM_FILE}" if wrong else ""


def write_checksums(folder: Path) -> None:
    """Write the digest of each file in a folder, and sync the folder to disk."""
    sums = {path.name: digest_of(path) for path in sorted(folder.iterdir())}
    (folder / CHECKSUM_FILE).write_text(json.dumps(sums, indent=1), encoding="utf-8")
    fsync_tree(folder)


def holds_epoch(folder: Path, epoch: int) -> bool:
    """Return whether a folder of ``save_weights`` is intact and belongs to an epoch."""
    if not folder.is_dir():
        return False
    if fault := integrity_error(folder):
        logger.error("The weights in %s are corrupted (%s) and are not used.", folder, fault)
        return False
    return yaml.safe_load((folder / METAFNAME).read_text(encoding="utf-8")).get("epoch") == epoch


def missing_keys(meta: object) -> str:
    """Return a description of the keys missing from a checkpoint's metadata, or ''."""
    existing = set(meta) if isinstance(meta, dict) else set()
    absent = sorted({"unixtime", "end-of-epoch"} - existing)
    return f"{METAFNAME} does not contain {' and '.join(absent)}" if absent else ""


def has_state(recoverable: object) -> bool:
    """Return whether an object has a ``state_dict``; others are saved by a SpeechBrain hook."""
    return hasattr(recoverable, "state_dict")


def write_state(recoverable: object, path: Path) -> None:
    """Write the state of an object to a file."""
    if has_state(recoverable):
        torch.save(recoverable.state_dict(), path)
    else:
        _hook(recoverable, "saver")(recoverable, path)


def read_state(recoverable: object, path: Path, end_of_epoch: bool) -> None:
    """Restore the state of an object from a file."""
    if not has_state(recoverable):
        _hook(recoverable, "loader")(recoverable, path, end_of_epoch)
    # The state of an fp16 scaler is empty in a run without a GPU; on a GPU it then starts afresh.
    elif state := read_tensors(path):
        recoverable.load_state_dict(state)


def _hook(recoverable: object, kind: str):
    from speechbrain.utils import checkpoints as sb_checkpoints

    is_saver = kind == "saver"
    table = sb_checkpoints.DEFAULT_SAVE_HOOKS if is_saver else sb_checkpoints.DEFAULT_LOAD_HOOKS
    hook = sb_checkpoints.get_default_hook(recoverable, table)
    if hook is None:
        raise TypeError(
            f"No checkpoint {kind} found for objects of type {type(recoverable).__name__}."
        )
    return hook

"""Atomic, checksummed checkpoints that contain tensors only.

SpeechBrain's Checkpointer decides what is saved and how it is found. This one changes how a folder
is written, verified and deleted.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import time
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

import torch
import yaml
from speechbrain.utils.checkpoints import CKPT_PREFIX, METAFNAME, Checkpoint
from speechbrain.utils.checkpoints import Checkpointer as SpeechBrainCheckpointer
from speechbrain.utils.distributed import MainProcessContext

from emosphere_sb import distributed
from emosphere_sb.fileio.atomic import MAKE_ROOM, atomic_replace, digest_of, fsync_tree
from emosphere_sb.training.trained_weights import average_weights, read_tensors

logger = logging.getLogger(__name__)

SUMS = "sha256.json"
INTRA_EPOCH = "within_epoch"  # in the meta of checkpoints that lie between two steps of an epoch
PARTIAL, BROKEN, DELETED = "partial-", "broken-", "deleted-"


class Checkpointer(SpeechBrainCheckpointer):
    """Checkpointer with atomic, checksummed checkpoints.

    A folder is written under another name, with a digest of each file, forced to the disk, and
    renamed; one that is deleted is renamed first. Before one is read its files are compared with
    their digests; one that differs, or holds more than tensors, is renamed to ``broken-…`` with an
    error in the log, and the one before it is taken. Only the main process writes and chooses.
    """

    # --- saving ------------------------------------------------------------------------------

    def save_checkpoint(
        self, meta: dict | None = None, end_of_epoch: bool = True, name=None, verbosity=logging.INFO
    ) -> Checkpoint | None:
        """Save all recoverables in the main process.

        Raises
        ------
        OSError
            If it cannot be written; the checkpoints that are there stay as they are.
        """
        if not distributed.is_main_process():
            return None
        path_of = self._custom_checkpoint_dirpath
        final = self._new_checkpoint_dirpath() if name is None else path_of(name)
        partial = final.with_name(PARTIAL + final.name)
        try:
            partial.mkdir()
            self._write(partial, {"unixtime": self._now(), **(meta or {})}, end_of_epoch)
            atomic_replace(partial, final)
        except (OSError, RuntimeError) as error:  # PyTorch's writer raises a RuntimeError
            shutil.rmtree(partial, ignore_errors=True)
            kept = sorted(path.name for path in self._list_checkpoint_dirs())
            raise OSError(
                f"A checkpoint could not be written to {self.checkpoints_dir} ({error}). Kept: "
                f"{', '.join(kept) or 'none'}. {MAKE_ROOM}"
            ) from error
        logger.log(verbosity, "Saved a checkpoint in %s", final)
        (checkpoint,) = self._construct_checkpoint_objects([final])
        return checkpoint

    def _new_checkpoint_dirpath(self) -> Path:
        """A name by the time of day, to the microsecond: names sort as the checkpoints do."""
        return self.checkpoints_dir / datetime.now().strftime(f"{CKPT_PREFIX}+%Y-%m-%d+%H-%M-%S.%f")

    def _now(self) -> float:
        """The time, later than that of every checkpoint: a clock may be set back."""
        return max([time.time(), *(c.meta["unixtime"] + 0.001 for c in self.list_checkpoints())])

    def _write(self, folder: Path, meta: dict, end_of_epoch: bool) -> None:
        self._save_checkpoint_metafile(folder / METAFNAME, meta, end_of_epoch)
        with MainProcessContext():  # SpeechBrain's savers would wait for the other processes
            for name, thing in self.recoverables.items():
                _write_state(thing, folder / f"{name}.ckpt")
        sums = {path.name: digest_of(path) for path in sorted(folder.iterdir())}
        (folder / SUMS).write_text(json.dumps(sums, indent=1), encoding="utf-8")
        fsync_tree(folder)

    # --- finding -----------------------------------------------------------------------------

    def list_checkpoints(self) -> list[Checkpoint]:
        """List checkpoints with an intact description; rename others, with an error in the log."""
        found = []
        for folder in sorted(self.checkpoints_dir.glob(f"{CKPT_PREFIX}*")):
            fault = integrity_error(folder, only=[METAFNAME])
            try:
                made = [] if fault else self._construct_checkpoint_objects([folder])
                fault = fault or _lacks(made[0].meta)
            except (yaml.YAMLError, ValueError) as error:  # safe YAML has no tags that run code
                fault = f"{METAFNAME} is not plain values: {str(error).splitlines()[0]}"
            if fault:
                self._quarantine(folder, fault)
            else:
                found += made
        return found

    def find_intact(self, count: int = 1, **how) -> list[Checkpoint]:
        """The first ``count`` of :meth:`find_checkpoints` that are intact, in every process."""
        found = []
        if distributed.is_main_process():
            for checkpoint in self.find_checkpoints(**how):
                if len(found) < count and self.is_intact(checkpoint):
                    found.append(checkpoint)
        return distributed.broadcast_from_main(found)

    def load_tested(
        self, average: int = 0, *, max_key: str | None = "mean_ccc"
    ) -> list[Checkpoint]:
        """Load the weights that are tested: the best epoch's, or the mean of the last ones.

        Arguments
        ---------
        average : int
            How many epochs' weights are averaged; 0: the best epoch alone.
        max_key : str
            What the best has most of.

        Returns
        -------
        list of Checkpoint
            Those that were read, the newest first.

        Raises
        ------
        ValueError
            If there is no whole checkpoint, or it is of another model.
        """
        how = (
            {"ckpt_predicate": lambda c: INTRA_EPOCH not in c.meta}
            if average
            else {"max_key": max_key}
        )
        tested = self.find_intact(average or 1, **how)
        if not tested:
            raise ValueError(f"No whole checkpoint to test in {self.checkpoints_dir}.")
        logger.info("Weights of %s", ", ".join(c.path.name for c in tested))
        # Mapped: the mean needs no more memory than one of them.
        states = [read_tensors(c.path / "model.ckpt", mmap=True) for c in tested]
        model = self.recoverables["model"]
        model.load_state_dict(average_weights(states, model.trained))
        return tested

    def is_intact(self, checkpoint: Checkpoint) -> bool:
        """Whether all files are as written; otherwise it is renamed, with an error in the log."""
        fault = integrity_error(checkpoint.path) or self._code_in(checkpoint.path)
        if fault:
            self._quarantine(checkpoint.path, fault)
        return not fault

    def _code_in(self, folder: Path) -> str:
        """What is wrong with a file that should hold tensors, numbers and text alone."""
        for name, thing in self.recoverables.items():
            if _has_state(thing):
                try:
                    read_tensors(folder / f"{name}.ckpt", mmap=True)  # values are not read
                except (OSError, RuntimeError, pickle.UnpicklingError) as error:
                    return f"{name}.ckpt is not tensors alone: {str(error).splitlines()[0]}"
        return ""

    def _quarantine(self, folder: Path, fault: str) -> None:
        if not distributed.is_main_process():
            return
        aside = folder.with_name(BROKEN + folder.name)
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(folder, aside)
        logger.error(
            "CHECKPOINT BROKEN: %s (%s). It was renamed to %s; the one before it is used.",
            folder, fault, aside.name,
        )  # fmt: skip

    # --- reading -----------------------------------------------------------------------------

    def recover_if_possible(
        self, importance_key=None, max_key=None, min_key=None, ckpt_predicate=None
    ) -> Checkpoint | None:
        """Load the best or newest checkpoint that is intact."""
        found = self.find_intact(
            importance_key=importance_key,
            max_key=max_key,
            min_key=min_key,
            ckpt_predicate=ckpt_predicate,
        )
        for chosen in found:
            self.load_checkpoint(chosen)
        if not found and any(self.checkpoints_dir.glob(f"{BROKEN}*")):
            logger.error("No whole checkpoint is left: training begins at the beginning.")
        distributed.barrier()  # before anyone saves or deletes
        return found[0] if found else None

    def load_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Load all recoverables."""
        logger.info("Loading %s", checkpoint.path)
        for name, thing in self.recoverables.items():
            _read_state(thing, checkpoint.path / f"{name}.ckpt", checkpoint.meta["end-of-epoch"])

    # --- deleting ----------------------------------------------------------------------------

    def prune(self, *, best: str, last: int) -> None:
        """Delete all but the best, the ``last`` newest ends of an epoch, and the two newest.

        Two, so that there is one before the newest, should that be damaged.
        """
        if not distributed.is_main_process():
            return
        everything = self.find_checkpoints()  # the newest first
        kept = everything[:2] + [c for c in everything if INTRA_EPOCH not in c.meta][:last]
        kept += self.find_checkpoints(max_key=best)[:1]
        paths = {checkpoint.path for checkpoint in kept}
        for checkpoint in everything:
            if checkpoint.path not in paths:
                self._delete_checkpoint(checkpoint, verbosity=logging.DEBUG)

    def remove_partial(self) -> None:
        """Delete what an interrupted save or deletion left; only one run may use the folder."""
        if distributed.is_main_process():
            for prefix in (PARTIAL, DELETED):
                for path in self.checkpoints_dir.glob(f"{prefix}*"):
                    logger.info("Removing %s: a save or a deletion was interrupted there.", path)
                    shutil.rmtree(path)

    @staticmethod
    def _delete_checkpoint(checkpoint: Checkpoint, verbosity: int = logging.INFO) -> None:
        away = checkpoint.path.with_name(DELETED + checkpoint.path.name)
        os.replace(checkpoint.path, away)
        shutil.rmtree(away)
        logger.log(verbosity, "Deleted checkpoint %s", checkpoint.path)


def integrity_error(folder: Path, *, only: Collection[str] = ()) -> str:
    """Compare a checkpoint's folder with its checksums.

    Arguments
    ---------
    folder : path
        Folder of a checkpoint.
    only : collection of str
        Names of the files to compare. (default: all)

    Returns
    -------
    str
        What is wrong, or an empty string.
    """
    try:
        sums = json.loads((folder / SUMS).read_text(encoding="utf-8"))
        there = {path.name for path in folder.iterdir()} - {SUMS}
        if there != set(sums):
            return f"files {sorted(there ^ set(sums))} are missing or too many"
        names = set(only) or set(sums)
        wrong = sorted(name for name in names if digest_of(folder / name) != sums[name])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{SUMS} cannot be read, or does not fit: {error}"
    return f"{', '.join(wrong)} changed since written" if wrong else ""


def _lacks(meta: object) -> str:
    """What a checkpoint's description lacks; empty where that is nothing."""
    there = set(meta) if isinstance(meta, dict) else set()
    absent = sorted({"unixtime", "end-of-epoch"} - there)
    return f"{METAFNAME} lacks {' and '.join(absent)}" if absent else ""


def _has_state(thing: object) -> bool:
    """Whether it gives a ``state_dict``, or is saved by a hook of SpeechBrain's."""
    return hasattr(thing, "state_dict")


def _write_state(thing: object, path: Path) -> None:
    if _has_state(thing):
        torch.save(thing.state_dict(), path)
    else:
        _hook(thing, "saver")(thing, path)


def _read_state(thing: object, path: Path, end_of_epoch: bool) -> None:
    if not _has_state(thing):
        _hook(thing, "loader")(thing, path, end_of_epoch)
    # An fp16 scaler is empty in a run without a GPU; with one, it then begins anew.
    elif state := read_tensors(path):
        thing.load_state_dict(state)


def _hook(thing: object, kind: str):
    from speechbrain.utils import checkpoints as theirs

    table = theirs.DEFAULT_SAVE_HOOKS if kind == "saver" else theirs.DEFAULT_LOAD_HOOKS
    hook = theirs.get_default_hook(thing, table)
    if hook is None:
        raise TypeError(f"A {type(thing).__name__} can be in no checkpoint: it has no {kind}.")
    return hook

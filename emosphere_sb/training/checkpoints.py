"""Atomic, checksummed checkpoints that contain only tensors and plain values.

SpeechBrain's Checkpointer selects what is saved and loaded. The subclass in this module changes how
a checkpoint folder is written, verified and deleted.
"""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import time
from datetime import datetime
from pathlib import Path

import yaml
from speechbrain.utils.checkpoints import CKPT_PREFIX, METAFNAME, Checkpoint
from speechbrain.utils.checkpoints import Checkpointer as SpeechBrainCheckpointer
from speechbrain.utils.distributed import MainProcessContext

from emosphere_sb import distributed
from emosphere_sb.fileio.atomic import MAKE_ROOM, atomic_replace
from emosphere_sb.training.checkpoint_files import (
    has_state,
    holds_epoch,
    integrity_error,
    missing_keys,
    read_state,
    write_checksums,
    write_state,
)
from emosphere_sb.training.trained_weights import average_weights, read_tensors

logger = logging.getLogger(__name__)

INTRA_EPOCH = "within_epoch"  # key in the meta of checkpoints saved within an epoch
PARTIAL, BROKEN, DELETED = "partial-", "broken-", "deleted-"


class Checkpointer(SpeechBrainCheckpointer):
    """Checkpointer with atomic, checksummed checkpoints.

    A checkpoint folder is written under a temporary name with the digest of each file, synced to
    disk and renamed. Before a checkpoint is deleted, its folder is renamed. Before a checkpoint is
    loaded, its files are compared with their digests. If a digest differs, or a file contains more
    than tensors and plain values, the folder is renamed to ``broken-…``, an error is logged, and
    the previous checkpoint is used. Only the main process writes and selects checkpoints.
    """

    # --- saving ------------------------------------------------------------------------------

    def save_checkpoint(
        self, meta: dict | None = None, end_of_epoch: bool = True, name=None, verbosity=logging.INFO
    ) -> Checkpoint | None:
        """Save all recoverables in the main process.

        Raises
        ------
        OSError
            If the checkpoint cannot be written; existing checkpoints are not affected.
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
            intact = sorted(path.name for path in self._list_checkpoint_dirs())
            raise OSError(
                f"Could not write a checkpoint to {self.checkpoints_dir} ({error}). Existing "
                f"checkpoints: {', '.join(intact) or 'none'}. {MAKE_ROOM}"
            ) from error
        logger.log(verbosity, "Saved checkpoint %s", final)
        (checkpoint,) = self._construct_checkpoint_objects([final])
        return checkpoint

    def save_weights(self, name: str, meta: dict) -> None:
        """Save only the model's weights, under a name that is never found as a checkpoint.

        An existing folder of this name is replaced. Only the main process writes.

        Arguments
        ---------
        name : str
            Name of the folder.
        meta : dict
            Metadata, such as the epoch.

        Raises
        ------
        OSError
            If the weights cannot be written.
        """
        if not distributed.is_main_process():
            return
        final = self.checkpoints_dir / name
        partial = final.with_name(PARTIAL + name)
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir()
            (partial / METAFNAME).write_text(yaml.safe_dump(meta), encoding="utf-8")
            write_state(self.recoverables["model"], partial / "model.ckpt")
            write_checksums(partial)
            self.remove_weights(name)
            atomic_replace(partial, final)
        except (OSError, RuntimeError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise OSError(f"Could not write weights to {final} ({error}). {MAKE_ROOM}") from error
        logger.debug("Saved weights %s", final)

    def remove_weights(self, name: str) -> None:
        """Delete the weights saved under a name, if any, in the main process."""
        folder = self.checkpoints_dir / name
        if distributed.is_main_process() and folder.is_dir():
            deleted = folder.with_name(DELETED + name)
            shutil.rmtree(deleted, ignore_errors=True)
            os.replace(folder, deleted)
            shutil.rmtree(deleted)

    def load_weights_of_epoch(self, epoch: int, name: str) -> bool:
        """Load the model's weights at the end of an epoch.

        Every process must call this method.

        Arguments
        ---------
        epoch : int
            Number of the epoch.
        name : str
            Name for :meth:`save_weights`, used if no checkpoint of the epoch is left.

        Returns
        -------
        bool
            Whether intact weights of this epoch were found.
        """

        def at_end(checkpoint: Checkpoint) -> bool:
            return INTRA_EPOCH not in checkpoint.meta and checkpoint.meta.get("epoch") == epoch

        found = [c.path for c in self.find_intact(ckpt_predicate=at_end)]
        if not found and distributed.is_main_process():
            found = [path for path in [self.checkpoints_dir / name] if holds_epoch(path, epoch)]
        found = distributed.broadcast_from_main(found)
        if not found:
            return False
        logger.info("Loading the weights of %s", found[0].name)
        self.recoverables["model"].load_state_dict(read_tensors(found[0] / "model.ckpt", mmap=True))
        return True

    def _new_checkpoint_dirpath(self) -> Path:
        """Return a path named after the current time in microseconds, so that names sort by age."""
        return self.checkpoints_dir / datetime.now().strftime(f"{CKPT_PREFIX}+%Y-%m-%d+%H-%M-%S.%f")

    def _now(self) -> float:
        """Return the current time, or a time after every checkpoint if the clock went back."""
        return max([time.time(), *(c.meta["unixtime"] + 0.001 for c in self.list_checkpoints())])

    def _write(self, folder: Path, meta: dict, end_of_epoch: bool) -> None:
        self._save_checkpoint_metafile(folder / METAFNAME, meta, end_of_epoch)
        with MainProcessContext():  # otherwise SpeechBrain's savers wait for the other processes
            for name, recoverable in self.recoverables.items():
                write_state(recoverable, folder / f"{name}.ckpt")
        write_checksums(folder)

    # --- finding -----------------------------------------------------------------------------

    def list_checkpoints(self) -> list[Checkpoint]:
        """List checkpoints with intact metadata; quarantine the others."""
        found = []
        for folder in sorted(self.checkpoints_dir.glob(f"{CKPT_PREFIX}*")):
            fault = integrity_error(folder, only=[METAFNAME])
            try:
                created = [] if fault else self._construct_checkpoint_objects([folder])
                fault = fault or missing_keys(created[0].meta)
            except (yaml.YAMLError, ValueError) as error:  # safe YAML has no tags that run code
                fault = f"{METAFNAME} contains more than plain values: {str(error).splitlines()[0]}"
            if fault:
                self._quarantine(folder, fault)
            else:
                found += created
        return found

    def find_intact(self, count: int = 1, **criteria) -> list[Checkpoint]:
        """Return the first ``count`` intact checkpoints of :meth:`find_checkpoints`.

        Every process must call this method; all processes get the result of the main process.

        Arguments
        ---------
        count : int
            Maximum number of checkpoints.
        **criteria
            Arguments of :meth:`find_checkpoints`.
        """
        found = []
        if distributed.is_main_process():
            for checkpoint in self.find_checkpoints(**criteria):
                if len(found) < count and self.is_intact(checkpoint):
                    found.append(checkpoint)
        return distributed.broadcast_from_main(found)

    def load_tested(
        self, average: int = 0, *, max_key: str | None = "mean_ccc"
    ) -> list[Checkpoint]:
        """Load the weights to test: those of the best epoch, or the mean of the last epochs.

        See :func:`~emosphere_sb.training.trained_weights.averaged_epochs`.

        Arguments
        ---------
        average : int
            Number of epochs whose weights are averaged; 0: use the best epoch.
        max_key : str
            Metric that is highest for the best epoch.

        Returns
        -------
        list of Checkpoint
            Checkpoints that were loaded, newest first.

        Raises
        ------
        ValueError
            If no valid checkpoint is found, or it belongs to another model.
        """
        criteria = (
            {"ckpt_predicate": lambda c: INTRA_EPOCH not in c.meta}
            if average
            else {"max_key": max_key}
        )
        tested = self.find_intact(average or 1, **criteria)
        if not tested:
            raise ValueError(
                f"No valid checkpoint found in {self.checkpoints_dir}. Re-run the training command."
            )
        logger.info("Loading the weights of %s", ", ".join(c.path.name for c in tested))
        # Memory-mapped, so averaging needs only the memory of one checkpoint.
        states = [read_tensors(c.path / "model.ckpt", mmap=True) for c in tested]
        model = self.recoverables["model"]
        model.load_state_dict(average_weights(states, model.trained))
        return tested

    def is_intact(self, checkpoint: Checkpoint) -> bool:
        """Check all files of a checkpoint; quarantine it and return False if one is damaged."""
        fault = integrity_error(checkpoint.path) or self._content_error(checkpoint.path)
        if fault:
            self._quarantine(checkpoint.path, fault)
        return not fault

    def _content_error(self, folder: Path) -> str:
        """Describe the first file with more than tensors and plain values, or return ''."""
        for name, recoverable in self.recoverables.items():
            if has_state(recoverable):
                try:
                    read_tensors(folder / f"{name}.ckpt", mmap=True)  # values are not read
                except (OSError, RuntimeError, pickle.UnpicklingError) as error:
                    reason = str(error).splitlines()[0]
                    return f"{name}.ckpt contains more than tensors and plain values: {reason}"
        return ""

    def _quarantine(self, folder: Path, fault: str) -> None:
        """Rename a damaged checkpoint in the main process, and log an error."""
        if not distributed.is_main_process():
            return
        quarantined = folder.with_name(BROKEN + folder.name)
        shutil.rmtree(quarantined, ignore_errors=True)
        os.replace(folder, quarantined)
        logger.error(
            "Checkpoint %s is corrupted (%s). It was renamed to %s; falling back to the previous "
            "one.",
            folder, fault, quarantined.name,
        )  # fmt: skip

    # --- reading -----------------------------------------------------------------------------

    def recover_if_possible(
        self, importance_key=None, max_key=None, min_key=None, ckpt_predicate=None
    ) -> Checkpoint | None:
        """Load the best or newest intact checkpoint; return None if none is found."""
        found = self.find_intact(
            importance_key=importance_key,
            max_key=max_key,
            min_key=min_key,
            ckpt_predicate=ckpt_predicate,
        )
        for chosen in found:
            self.load_checkpoint(chosen)
        if not found and any(self.checkpoints_dir.glob(f"{BROKEN}*")):
            logger.error("No valid checkpoint left; starting training from scratch.")
        distributed.barrier()  # before the main process saves or deletes
        return found[0] if found else None

    def load_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Load all recoverables."""
        logger.info("Loading checkpoint %s", checkpoint.path)
        for name, recoverable in self.recoverables.items():
            read_state(
                recoverable, checkpoint.path / f"{name}.ckpt", checkpoint.meta["end-of-epoch"]
            )

    # --- deleting ----------------------------------------------------------------------------

    def prune(self, *, best: str, last: int) -> None:
        """Delete old checkpoints.

        The two newest checkpoints are never deleted, in case the newest one is damaged.

        Arguments
        ---------
        best : str
            Metric by which the best checkpoint to keep is selected.
        last : int
            Number of end-of-epoch checkpoints to keep, newest first.
        """
        if not distributed.is_main_process():
            return
        everything = self.find_checkpoints()  # newest first
        needed = everything[:2] + [c for c in everything if INTRA_EPOCH not in c.meta][:last]
        needed += self.find_checkpoints(max_key=best)[:1]
        paths = {checkpoint.path for checkpoint in needed}
        for checkpoint in everything:
            if checkpoint.path not in paths:
                self._delete_checkpoint(checkpoint, verbosity=logging.DEBUG)

    def remove_partial(self) -> None:
        """Delete leftovers of interrupted saves and deletions; no other run may use the folder."""
        if distributed.is_main_process():
            for prefix in (PARTIAL, DELETED):
                for path in self.checkpoints_dir.glob(f"{prefix}*"):
                    logger.info("Removing %s, left by an interrupted save or deletion", path)
                    shutil.rmtree(path)

    @staticmethod
    def _delete_checkpoint(checkpoint: Checkpoint, verbosity: int = logging.INFO) -> None:
        deleted = checkpoint.path.with_name(DELETED + checkpoint.path.name)
        os.replace(checkpoint.path, deleted)
        shutil.rmtree(deleted)
        logger.log(verbosity, "Deleted checkpoint %s", checkpoint.path)

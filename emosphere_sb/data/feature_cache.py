"""Features of a frozen backbone on disk: computed once, then training reads them from there.

A cache is one folder for a backbone with its settings, and in it two files for each set of
utterances: ``<set>-<digest>.bin``, all states one behind the other, and ``.json``, where each
utterance begins. The digest is that of the audio files (names, sizes, times of change), so that
other audio never meets old features. The index is put in its place last, and a file of another
length than it says is not believed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from emosphere_sb.fileio.atomic import atomic_replace, atomic_write

logger = logging.getLogger(__name__)

PRECISIONS = {"fp32": np.float32, "fp16": np.float16}
VERSION = 1  # of the layout of the files


class FeatureCache:
    """The states of a set's utterances, written once and read by id.

    Arguments
    ---------
    folder : path
        Of the backbone and its settings, see :func:`cache_folder`.
    name : str
        Of the set.
    audio : mapping of str to path
        The audio file of each utterance by its id.
    precision : str
        ``fp32``, which is what the encoder gives, or ``fp16``, half of it.

    Raises
    ------
    ValueError
        If the precision is neither.
    FileNotFoundError
        If an audio file is not there.
    """

    def __init__(
        self, folder: Path, name: str, audio: Mapping[str, str | os.PathLike], precision: str
    ):
        if precision not in PRECISIONS:
            raise ValueError(
                f"feature_cache_precision must be one of {', '.join(PRECISIONS)}; found "
                f"{precision!r}."
            )
        self.folder, self.name, self.type = Path(folder), name, np.dtype(PRECISIONS[precision])
        self.digest = audio_digest(audio)
        self.ids = list(audio)
        stem = self.folder / f"{name}-{self.digest}-{precision}"
        self.data, self.index = stem.with_suffix(".bin"), stem.with_suffix(".json")
        self._places: dict[str, tuple[int, list[int]]] = {}
        self._values: np.ndarray | None = None

    def open(self) -> bool:
        """Whether a whole cache is there; if so it is ready to be read."""
        if not (self.data.is_file() and self.index.is_file()):
            return False
        try:
            facts = json.loads(self.index.read_text(encoding="utf-8"))
            whole = (facts["version"], facts["bytes"]) == (VERSION, self.data.stat().st_size)
            places = facts["places"] if whole else {}
        except (OSError, ValueError, KeyError, TypeError):  # cut off, or taken away meanwhile
            whole = False
        if not whole:
            logger.warning("%s is not whole: its features are computed again.", self.data)
            return False
        if set(places) != set(self.ids):
            return False
        self._places = places
        self._values = np.memmap(self.data, self.type, mode="r")
        return True

    def __getitem__(self, utterance: str) -> Tensor:
        """States (frame, layer, feature) of an utterance, in the precision of the file."""
        offset, shape = self._places[utterance]
        values = self._values[offset : offset + int(np.prod(shape))]
        return torch.from_numpy(np.array(values)).view(*shape)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_values": None}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        if self._places:  # a worker process maps the file for itself
            self._values = np.memmap(self.data, self.type, mode="r")

    def bytes_for(self, frames: int, layers: int, size: int) -> int:
        """Disk that a number of frames needs."""
        return frames * layers * size * self.type.itemsize

    def reserve(self, size: int) -> None:
        """Say how much disk is needed, and refuse if there is less.

        Raises
        ------
        OSError
            If the disk has not enough room.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.glob(f"{self.name}-*.partial"):
            if is_abandoned(path):
                path.unlink(missing_ok=True)
        free = shutil.disk_usage(self.folder).free
        text = f"The features of the set {self.name!r} need {size / 1e9:.2f} GB in {self.folder}"
        logger.info("%s; %.2f GB are free.", text, free / 1e9)
        if size > free:
            raise OSError(
                f"{text}, where {free / 1e9:.2f} GB are free. Take another --results_folder, "
                f"--feature_cache_precision=fp16, one layer in place of weighted, or leave "
                f"--feature_cache out."
            )

    def writer(self) -> CacheWriter:
        """Takes the states of all utterances, one by one."""
        return CacheWriter(self)


class CacheWriter:
    """A context in which a cache is filled; nothing is left of it if it ends in an error."""

    def __init__(self, cache: FeatureCache):
        self.cache = cache
        self.places: dict[str, tuple[int, list[int]]] = {}
        self.written = 0
        self.partial = cache.data.with_suffix(f".{platform.node()}.{os.getpid()}.partial")

    def __enter__(self) -> CacheWriter:
        self.file = self.partial.open("wb")
        return self

    def add(self, utterance: str, states: Tensor) -> None:
        """States (frame, layer, feature) of one utterance.

        Raises
        ------
        ValueError
            If they are beyond what the precision holds.
        """
        states = states.float().cpu()
        largest = float(states.abs().nan_to_num(0.0, posinf=0.0).max())
        if largest > float(np.finfo(self.cache.type).max):
            raise ValueError(
                f"The features of {utterance} reach {largest:.3g}, which half precision cannot "
                f"hold. Take --feature_cache_precision=fp32."
            )
        values = np.ascontiguousarray(states.numpy().astype(self.cache.type))
        self.places[utterance] = (self.written // self.cache.type.itemsize, list(values.shape))
        self.file.write(values.data)
        self.written += values.nbytes

    def __exit__(self, kind, error, traceback) -> None:
        try:
            if kind is None:
                self.file.flush()
                os.fsync(self.file.fileno())
        except OSError:
            self._give_up()
            raise
        if kind is not None:
            self._give_up()
            return
        self.file.close()
        missing = set(self.cache.ids) - set(self.places)
        if missing:
            self.partial.unlink()
            raise ValueError(f"{len(missing)} utterances have no features, such as {min(missing)}.")
        self._put_in_place()

    def _give_up(self) -> None:
        try:
            self.file.close()
        except OSError:  # what was buffered does not fit either; the first error is on its way
            logger.debug("closing %s failed", self.partial)
        self.partial.unlink(missing_ok=True)

    def _put_in_place(self) -> None:
        cache = self.cache
        for old in cache.folder.glob(f"{cache.name}-*"):  # of other audio, or of a killed writer
            if old.suffix != ".partial" or is_abandoned(old):
                old.unlink(missing_ok=True)
        atomic_replace(self.partial, cache.data)
        facts = {"version": VERSION, "bytes": self.written, "places": self.places}
        partial = self.partial.with_suffix(".index.partial")  # of this process
        atomic_write(cache.index, json.dumps(facts), partial=partial)


def is_abandoned(partial: Path) -> bool:
    """Whether the writer of a partial file was on this machine and is no longer there.

    Another run of the same backbone may be filling its own file meanwhile.
    """
    name = re.search(rf"\.{re.escape(platform.node())}\.(\d+)(\.index)?\.partial$", partial.name)
    if not name or os.name != "posix":  # elsewhere the question would end the process
        return False
    try:
        os.kill(int(name.group(1)), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # somebody else's
        return False
    return False


def audio_digest(audio: Mapping[str, str | os.PathLike]) -> str:
    """What tells one state of a set's audio from another, without reading it."""
    digest = hashlib.sha256()
    for name, path in sorted(audio.items()):
        facts = os.stat(path)
        digest.update(f"{name}\0{path}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]

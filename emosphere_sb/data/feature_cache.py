"""On-disk cache of the hidden states of a frozen backbone.

A cache folder belongs to one backbone with its settings. It has two files per set of utterances:
``<set>-<digest>-<precision>.bin`` with the states of all utterances, and ``.json`` with the offset
and shape of each. The digest covers names, sizes and modification times of the audio files, so a
cache is not used for audio that has changed. The index is written last and contains the size of the
data file, so an incomplete cache is detected.
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
VERSION = 1  # of the file layout


class FeatureCache:
    """Hidden states of the utterances of one set, written once and read by utterance id.

    Arguments
    ---------
    folder : path
        Cache folder of the backbone; see
        :func:`emosphere_sb.training.feature_extraction.cache_folder`.
    name : str
        Name of the set.
    audio : mapping of str to path
        Path of the audio file of each utterance, by id.
    precision : str
        Precision of the stored states: ``fp32`` (exact), or ``fp16``, which needs half the space.

    Raises
    ------
    ValueError
        If the precision is invalid.
    FileNotFoundError
        If an audio file does not exist.
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
        self._entries: dict[str, tuple[int, list[int]]] = {}
        self._values: np.ndarray | None = None

    def open(self) -> bool:
        """Open the cache for reading; return False if it does not exist or is incomplete."""
        if not (self.data.is_file() and self.index.is_file()):
            return False
        try:
            index = json.loads(self.index.read_text(encoding="utf-8"))
            complete = (index["version"], index["bytes"]) == (VERSION, self.data.stat().st_size)
            places = index["places"] if complete else {}
        except (OSError, ValueError, KeyError, TypeError):  # truncated, or deleted meanwhile
            complete = False
        if not complete:
            logger.warning("Feature cache %s is incomplete; computing it again.", self.data)
            return False
        if set(places) != set(self.ids):
            return False
        self._entries = places
        self._values = np.memmap(self.data, self.type, mode="r")
        return True

    def __getitem__(self, utterance: str) -> Tensor:
        """Return the states (frame, layer, feature) of an utterance, in the cache's precision."""
        offset, shape = self._entries[utterance]
        values = self._values[offset : offset + int(np.prod(shape))]
        return torch.from_numpy(np.array(values)).view(*shape)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_values": None}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        if self._entries:  # each worker process maps the file itself
            self._values = np.memmap(self.data, self.type, mode="r")

    def bytes_for(self, frames: int, layers: int, size: int) -> int:
        """Return the size in bytes of a number of frames on disk."""
        return frames * layers * size * self.type.itemsize

    def reserve(self, size: int) -> None:
        """Create the folder, remove abandoned partial files and check the free disk space.

        Arguments
        ---------
        size : int
            Required space in bytes.

        Raises
        ------
        OSError
            If there is not enough free space.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.glob(f"{self.name}-*.partial"):
            if is_abandoned(path):
                path.unlink(missing_ok=True)
        free = shutil.disk_usage(self.folder).free
        text = f"The feature cache of set {self.name!r} needs {size / 1e9:.2f} GB in {self.folder}"
        logger.info("%s; %.2f GB is free.", text, free / 1e9)
        if size > free:
            raise OSError(
                f"{text}, but only {free / 1e9:.2f} GB is free. Choose another "
                f"--results_folder, use --feature_cache_precision=fp16, use a single layer instead "
                f"of the weighted sum of layers, or omit --feature_cache."
            )

    def writer(self) -> CacheWriter:
        """Return a context manager that writes the states of all utterances."""
        return CacheWriter(self)


class CacheWriter:
    """Context manager that writes a feature cache; it leaves no files after an error."""

    def __init__(self, cache: FeatureCache):
        self.cache = cache
        self.places: dict[str, tuple[int, list[int]]] = {}
        self.written = 0
        self.partial = cache.data.with_suffix(f".{platform.node()}.{os.getpid()}.partial")

    def __enter__(self) -> CacheWriter:
        self.file = self.partial.open("wb")
        return self

    def add(self, utterance: str, states: Tensor) -> None:
        """Write the states of one utterance.

        Arguments
        ---------
        utterance : str
            Id of the utterance.
        states : torch.Tensor
            Hidden states, shape (frame, layer, feature).

        Raises
        ------
        ValueError
            If a value exceeds the range of the cache's precision.
        """
        states = states.float().cpu()
        largest = float(states.abs().nan_to_num(0.0, posinf=0.0).max())
        if largest > float(np.finfo(self.cache.type).max):
            raise ValueError(
                f"The features of {utterance} reach {largest:.3g}, which exceeds the range of half "
                f"precision. Use --feature_cache_precision=fp32."
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
            self._discard()
            raise
        if kind is not None:
            self._discard()
            return
        self.file.close()
        missing = set(self.cache.ids) - set(self.places)
        if missing:
            self.partial.unlink()
            raise ValueError(
                f"The features of {len(missing)} utterances (such as {min(missing)}) were not "
                "computed. Re-run the same command to compute the cache again."
            )
        self._publish()

    def _discard(self) -> None:
        try:
            self.file.close()
        except OSError:  # the buffer cannot be written either; the original error is raised
            logger.debug("Could not close %s", self.partial)
        self.partial.unlink(missing_ok=True)

    def _publish(self) -> None:
        cache = self.cache
        for old in cache.folder.glob(f"{cache.name}-*"):  # for changed audio, or from a killed run
            if old.suffix != ".partial" or is_abandoned(old):
                old.unlink(missing_ok=True)
        atomic_replace(self.partial, cache.data)
        index = {"version": VERSION, "bytes": self.written, "places": self.places}
        partial = self.partial.with_suffix(".index.partial")  # unique to this process
        atomic_write(cache.index, json.dumps(index), partial=partial)


def is_abandoned(partial: Path) -> bool:
    """Return whether the process that wrote a partial file ran on this machine and has ended.

    Partial files of running processes must not be deleted: another run may be filling the cache.
    """
    name = re.search(rf"\.{re.escape(platform.node())}\.(\d+)(\.index)?\.partial$", partial.name)
    if not name or os.name != "posix":  # elsewhere os.kill would terminate the process
        return False
    try:
        os.kill(int(name.group(1)), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # a process of another user
        return False
    return False


def audio_digest(audio: Mapping[str, str | os.PathLike]) -> str:
    """Return a digest of ids, paths, sizes and modification times of audio files."""
    digest = hashlib.sha256()
    for name, path in sorted(audio.items()):
        stat = os.stat(path)
        digest.update(f"{name}\0{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]

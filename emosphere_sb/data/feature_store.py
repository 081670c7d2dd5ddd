"""Store of utterances' features on disk, which several processes can fill and read.

A store is a folder. Each process that adds utterances appends to its own pair of files, a *shard*:
``<name>.bin`` with the records of utterances and ``<name>.index`` with one line per utterance. A
line is written after the record and has a checksum, so whatever a killed process leaves behind is
valid: finished utterances are used, and the others are computed again.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import uuid
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emosphere_sb.data.feature_layout import Layout
from emosphere_sb.fileio.atomic import atomic_write
from emosphere_sb.fileio.checked_lines import checked_lines, read_checked_lines
from emosphere_sb.fileio.lock import file_lock

VERSION = 2
"""Version of the file format; it is part of the names of the folders."""
DESCRIPTION = "store.json"
LOCK = "in_use.lock"


@dataclass(frozen=True)
class Record:
    """Place of the record of an utterance."""

    shard: str
    frames: int
    offset: int
    size: int
    checksum: int


class DamagedFeaturesError(ValueError):
    """Error for features that were changed after they were written."""


class FeatureStore:
    """Features of utterances, by the digest of their audio.

    Arguments
    ---------
    folder : Path
        Folder of the store. It need not exist.
    layout : Layout
        Content of the records.

    Example
    -------
    >>> folder = getfixture("tmp_path") / "store"
    >>> store = FeatureStore(folder, Layout("frames", "fp32", states=1, size=2))
    >>> store.create({"backbone": "example"})
    >>> with store.writer() as writer:
    ...     writer.add("a1b2", np.ones((3, 1, 2)))
    >>> store.refresh()
    >>> "a1b2" in store, store.frames("a1b2").shape
    (True, (3, 1, 2))
    """

    def __init__(self, folder: Path, layout: Layout):
        self.folder, self.layout = Path(folder), layout
        self.records: dict[str, Record] = {}
        self._maps: dict[str, np.memmap] = {}
        self._checked: set[str] = set()

    def create(self, description: dict) -> None:
        """Create the folder with a description of its content, if there is none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if read_description(self.folder) is None:
            content = {"version": VERSION, **description, "layout": self.layout.to_dict()}
            partial = self.folder / f"{DESCRIPTION}.{uuid.uuid4().hex}.partial"
            text = json.dumps(content, indent=1, default=str)
            atomic_write(self.folder / DESCRIPTION, text, partial=partial)

    def refresh(self) -> None:
        """Read the index again, which other processes may have extended."""
        self.records, self._maps = {}, {}
        for shard, records in self.read_index().items():
            size = _file_size(self.folder / f"{shard}.bin")
            for key, record in records:
                if record.offset + record.size <= size:
                    self.records[key] = record

    def read_index(self) -> dict[str, list[tuple[str, Record]]]:
        """Return the keys and records in the index of each shard, valid or not."""
        index = {}
        for path in sorted(self.folder.glob("*.index")):
            with suppress(FileNotFoundError):  # removed meanwhile
                index[path.stem] = [
                    (key, Record(path.stem, *place)) for key, *place in read_checked_lines(path)
                ]
        return index

    def __contains__(self, key: str) -> bool:
        return key in self.records

    def __len__(self) -> int:
        return len(self.records)

    def __getstate__(self) -> dict:
        # Each process maps the files itself.
        return {**self.__dict__, "_maps": {}, "_checked": set()}

    def frame_count(self, key: str) -> int:
        """Return the number of frames of an utterance."""
        return self.records[key].frames

    def frames(self, key: str) -> np.ndarray:
        """Return the frames of an utterance, shape (frames, states, size).

        Raises
        ------
        DamagedFeaturesError
            If the checksum is wrong.
        """
        return self.layout.frames(self._read(key))

    def moments(self, key: str) -> np.ndarray:
        """Return mean and SD over the frames; see :meth:`Layout.moments`."""
        return self.layout.moments(self._read(key))

    def damaged(self, keys: Collection[str] | None = None) -> list[str]:
        """Return the keys (by default of all utterances) whose checksum is wrong."""
        wrong = []
        for key in self.records if keys is None else keys:
            try:
                self._read(key)
            except DamagedFeaturesError:
                wrong.append(key)
        return wrong

    def _read(self, key: str) -> np.ndarray:
        record = self.records[key]
        if record.shard not in self._maps:
            path = self.folder / f"{record.shard}.bin"
            self._maps[record.shard] = np.memmap(path, np.uint8, mode="r")
        content = self._maps[record.shard][record.offset : record.offset + record.size]
        if key not in self._checked:
            if len(content) < record.size or zlib.crc32(content) != record.checksum:
                raise DamagedFeaturesError(
                    f"The cached features in {self.folder} are damaged. Run emosphere cache verify "
                    f"{self.folder.parent} --repair, then re-run the same command."
                )
            self._checked.add(key)
        return content

    def forget(self, keys: Collection[str]) -> None:
        """Remove utterances from the index, so that they are computed again.

        Arguments
        ---------
        keys : collection of str
            Keys of the utterances. The lock must be held.
        """
        keys = set(keys)
        for shard, records in self.read_index().items():
            if keys.isdisjoint(key for key, _ in records):
                continue
            kept = [_line(key, record) for key, record in records if key not in keys]
            atomic_write(self.folder / f"{shard}.index", checked_lines(kept))
        self.refresh()

    def check_space(self, size: int) -> str:
        """Check the free disk space and return a text that describes it.

        Raises
        ------
        OSError
            If there is not enough space for ``size`` bytes.
        """
        free = shutil.disk_usage(self.folder).free
        text = f"The feature cache needs {size / 1e9:.2f} GB in {self.folder}"
        if size > free:
            raise OSError(
                f"{text}, but only {free / 1e9:.2f} GB is free. Choose another "
                f"--feature_cache_folder, use --feature_cache_precision=fp16, use "
                f"--feature_cache=averages with mean pooling, use fewer layers, or omit "
                f"--feature_cache."
            )
        return f"{text}; {free / 1e9:.2f} GB is free."

    @contextmanager
    def locked(self, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the lock of the store.

        Arguments
        ---------
        waiting : callable
            Function that is called every second while another process holds the lock.
        """
        lock = None
        while lock is None:
            attempt = file_lock(self.folder / LOCK, timeout=1)
            try:
                attempt.__enter__()
            except TimeoutError:
                waiting()
            else:
                lock = attempt
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def writer(self) -> StoreWriter:
        """Return a context manager that adds utterances."""
        return StoreWriter(self)


class StoreWriter:
    """Context manager that adds utterances to a store, in a shard of its own.

    Utterances are complete after :meth:`commit`, which is also called at the end. After an error,
    the utterances committed before are kept.
    """

    def __init__(self, store: FeatureStore):
        self.store = store
        name = f"{platform.node() or 'host'}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.data_path = store.folder / f"{name}.bin"
        self.index_path = store.folder / f"{name}.index"
        self.shard = name
        self._written = self._committed = self._index_size = 0
        self._pending: list[list] = []

    def __enter__(self) -> StoreWriter:
        self.data = self.data_path.open("xb")
        self.index = self.index_path.open("xb", buffering=0)
        return self

    def add(self, key: str, states: np.ndarray) -> None:
        """Add the features of an utterance.

        Arguments
        ---------
        key : str
            Digest of the audio.
        states : numpy.ndarray
            Hidden states, shape (frames, states, size).

        Raises
        ------
        ValueError
            If a value exceeds the range of the precision.
        """
        content = self.store.layout.encode(states)
        record = Record(self.shard, len(states), self._written, len(content), zlib.crc32(content))
        self.data.write(content)
        self._written += len(content)
        self._pending.append(_line(key, record))

    def commit(self) -> None:
        """Complete the utterances added since the last commit."""
        if not self._pending:
            return
        self.data.flush()
        lines = checked_lines(self._pending)
        if self.index.write(lines) < len(lines):
            raise OSError(f"{self.index_path} cannot be written: the disk may be full.")
        self._index_size += len(lines)
        self._committed, self._pending = self._written, []

    def __exit__(self, kind, error, traceback) -> None:
        try:
            if kind is None:
                self.commit()
                os.fsync(self.data.fileno())
        finally:
            for file in (self.data, self.index):
                with suppress(OSError):  # the original error is raised
                    file.close()
            self._remove_incomplete()

    def _remove_incomplete(self) -> None:
        for path, size in (
            (self.index_path, self._index_size),
            (self.data_path, self._committed),
        ):
            if size:
                os.truncate(path, size)
            else:
                path.unlink(missing_ok=True)


def read_description(folder: Path) -> dict | None:
    """Return the description of a store; ``None`` if the folder is not a store."""
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        valid = description["version"] == VERSION and bool(Layout(**description["layout"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return description if valid else None


def find_stores(root: Path) -> dict[Path, dict]:
    """Return the folders of all stores in a folder, with their descriptions."""
    folders = sorted(path.parent for path in Path(root).glob(f"*/{DESCRIPTION}"))
    described = {folder: read_description(folder) for folder in folders}
    return {folder: found for folder, found in described.items() if found is not None}


def open_store(folder: Path, description: dict) -> FeatureStore:
    """Open an existing store for reading."""
    store = FeatureStore(folder, Layout(**description["layout"]))
    store.refresh()
    return store


def _line(key: str, record: Record) -> list:
    return [key, record.frames, record.offset, record.size, record.checksum]


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0

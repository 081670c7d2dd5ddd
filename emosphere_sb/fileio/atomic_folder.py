"""Atomic writes of folders: a folder appears with all its files, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from emosphere_sb.fileio.atomic import atomic_replace, fsync_tree
from emosphere_sb.fileio.lock import file_lock

LOCK = "writing.lock"


@contextmanager
def atomic_folder(
    out: str | os.PathLike, *, overwrite: bool = False, fsync: bool = True
) -> Iterator[Path]:
    """Write a folder under another name, and rename it when it is complete.

    A process that is killed leaves ``.NAME.partial`` beside ``out``; the next call with that
    ``out`` removes it.

    Arguments
    ---------
    out : path
        A new or an empty folder.
    overwrite : bool
        Whether ``out`` may hold something; it is deleted when the new folder is complete.
    fsync : bool
        Whether every file is flushed to the disk before the folder is renamed. ``False`` is for
        many files that can be made again.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    FileExistsError
        If ``out`` holds something and ``overwrite`` is false, or if the place of the partial
        folder is taken.
    TimeoutError
        If another process is writing the same folder.
    """
    out = Path(os.path.realpath(out))
    if not overwrite:
        refuse_occupied(out)
    partial = out.with_name(f".{out.name}.partial")
    if partial.exists() and any(partial.iterdir()) and not (partial / LOCK).exists():
        raise FileExistsError(
            f"{partial} must be free: {out} is written there first. It holds something else; move "
            f"it elsewhere."
        )
    partial.mkdir(parents=True, exist_ok=True)
    with _locked(partial, out):
        content = partial / "content"
        try:
            if content.exists():  # of a process that was killed
                shutil.rmtree(content)
            content.mkdir()
            yield content
            _restore_permissions(content)
            if fsync:
                fsync_tree(content)
            _remove(out, overwrite)
            atomic_replace(content, out)
        finally:
            # Windows keeps the lock file, which is open.
            shutil.rmtree(partial, ignore_errors=True)


def refuse_occupied(out: Path) -> None:
    """Refuse a place that is taken.

    Raises
    ------
    FileExistsError
        If it is a file, or a folder that is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} must be a new or an empty folder; it holds something.")


@contextmanager
def _locked(partial: Path, out: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(partial / LOCK, timeout=0))
        except TimeoutError as error:
            raise TimeoutError(
                f"{out} is being written by another process. Wait for it."
            ) from error
        yield


def _restore_permissions(folder: Path) -> None:
    """Give all files the permissions that new files have here.

    Libraries that write through temporary files leave them readable for their owner alone.
    """
    probe = folder / "permissions"
    probe.touch()
    usual = probe.stat().st_mode & 0o777
    probe.unlink()
    for path in folder.rglob("*"):
        if path.is_file():
            os.chmod(path, usual)


def _remove(out: Path, overwrite: bool) -> None:
    """Make way for the new folder."""
    if not out.exists():
        return
    if overwrite:
        shutil.rmtree(out)
    else:
        out.rmdir()  # empty: a folder that was made in advance

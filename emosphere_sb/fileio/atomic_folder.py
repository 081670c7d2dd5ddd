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
    """Write a folder under a temporary name and rename it when it is complete.

    If the process is killed, ``.NAME.partial`` remains next to ``out``; the next call with the same
    ``out`` removes it.

    Arguments
    ---------
    out : path
        Folder to write. Unless ``overwrite`` is true, it must either not exist yet or be empty.
    overwrite : bool
        Whether to replace an existing file or folder once the new folder is complete.
    fsync : bool
        Whether to flush every file to the disk before the folder is renamed. Use ``False`` for
        large numbers of files that can be regenerated.

    Yields
    ------
    Path
        The temporary folder to write to.

    Raises
    ------
    FileExistsError
        If ``out`` is not empty and ``overwrite`` is false, or if the path of the partial folder is
        in use.
    TimeoutError
        If another process is writing to the same folder.
    """
    out = Path(os.path.realpath(out))
    if not overwrite:
        check_empty(out)
    partial = out.with_name(f".{out.name}.partial")
    if partial.exists() and any(partial.iterdir()) and not (partial / LOCK).exists():
        raise FileExistsError(
            f"{partial} is needed for temporary files of {out}, but contains other files. Move or "
            f"delete them."
        )
    partial.mkdir(parents=True, exist_ok=True)
    with _lock_folder(partial, out):
        content = partial / "content"
        try:
            if content.exists():  # left over from a killed process
                shutil.rmtree(content)
            content.mkdir()
            yield content
            _restore_permissions(content)
            if fsync:
                fsync_tree(content)
            _remove(out, overwrite)
            atomic_replace(content, out)
        finally:
            # Errors are ignored because Windows cannot delete the open lock file.
            shutil.rmtree(partial, ignore_errors=True)


def check_empty(out: Path) -> None:
    """Check that a path either does not exist or is an empty folder.

    Raises
    ------
    FileExistsError
        If the path is a file or a non-empty folder.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise FileExistsError(f"{out} must be a new or empty folder; found a file.")
    if any(out.iterdir()):
        raise FileExistsError(f"{out} must be a new or empty folder; it is not empty.")


@contextmanager
def _lock_folder(partial: Path, out: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(partial / LOCK, timeout=0))
        except TimeoutError as error:
            raise TimeoutError(
                f"Another process is writing to {out}. Wait until it has finished."
            ) from error
        yield


def _restore_permissions(folder: Path) -> None:
    """Give all files the default permissions of new files.

    Some libraries write through temporary files, which only their owner can read.
    """
    probe = folder / "permissions"
    probe.touch()
    usual = probe.stat().st_mode & 0o777
    probe.unlink()
    for path in folder.rglob("*"):
        if path.is_file():
            os.chmod(path, usual)


def _remove(out: Path, overwrite: bool) -> None:
    """Remove the old folder before the new one is moved to its path."""
    if not out.exists():
        return
    if overwrite:
        shutil.rmtree(out)
    else:
        out.rmdir()  # an empty folder that was created in advance

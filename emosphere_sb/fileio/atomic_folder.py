"""A folder that is whole or not there, and files as their owner's umask wants them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from emosphere_sb.fileio.atomic import force, held

LOCK = "writing.lock"


@contextmanager
def whole_folder(out: str | os.PathLike) -> Iterator[Path]:
    """Write a folder aside, and give it its name once all of it is on the disk.

    A process that is killed leaves ``.NAME.partial`` beside ``out``; the next call with that
    ``out`` removes it.

    Arguments
    ---------
    out : path
        New, or an empty folder.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    FileExistsError
        If ``out`` holds something.
    TimeoutError
        If another process writes the same folder at the moment.
    """
    out = Path(os.path.realpath(out))
    refuse_occupied(out)
    partial = out.with_name(f".{out.name}.partial")
    if partial.exists() and any(partial.iterdir()) and not (partial / LOCK).exists():
        raise FileExistsError(f"{partial} is in the way, and no release's; move it elsewhere.")
    partial.mkdir(parents=True, exist_ok=True)
    with _alone(partial, out):
        content = partial / "content"
        try:
            if content.exists():  # of a process that was killed
                shutil.rmtree(content)
            content.mkdir()
            yield content
            _secure(content)
            if out.exists():
                out.rmdir()  # empty: a folder that was made in advance
            os.replace(content, out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)  # Windows keeps the lock, which is held
    force(out.parent)


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
def _alone(partial: Path, out: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(held(partial / LOCK, seconds=0))
        except TimeoutError as error:
            raise TimeoutError(
                f"{out} is being written by another process. Wait for it."
            ) from error
        yield


def _secure(folder: Path) -> None:
    """Bring everything to the disk, with the rights that new files have here.

    Libraries that write through temporary files leave them readable for their owner alone.
    """
    probe = folder / "rights"
    probe.touch()
    usual = probe.stat().st_mode & 0o777
    probe.unlink()
    for path in folder.iterdir():
        os.chmod(path, usual)
        force(path)
    force(folder)

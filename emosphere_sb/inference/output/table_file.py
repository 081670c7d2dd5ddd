"""Tables that are written next to their old version and replace it when they are complete."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from emosphere_sb.fileio.atomic import atomic_replace
from emosphere_sb.fileio.lock import file_lock

logger = logging.getLogger(__name__)


@contextmanager
def locked_output(path: str | os.PathLike | None) -> Iterator[None]:
    """Lock an output file, so that no other command replaces it at the same time.

    Arguments
    ---------
    path : path, optional
        The output file; without one, nothing is locked.

    Raises
    ------
    ValueError
        If the folder of the file does not exist, the file is a folder, or another command is
        writing it.
    """
    if path is None:
        yield
        return
    target = real_path(path)
    lock = target.with_name(f".{target.name}.lock")
    held = file_lock(lock, timeout=0)
    try:
        held.__enter__()
    except TimeoutError as error:
        raise ValueError(
            f"Another command is writing {path}. Wait until it has finished, or choose another "
            f"file with --out."
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows cannot delete an open file
            lock.unlink()
        held.__exit__(None, None, None)


def real_path(path: str | os.PathLike) -> Path:
    """Return the path of an output file without symbolic links.

    Raises
    ------
    ValueError
        If the folder of the file does not exist, or the file is a folder.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise ValueError(f"Output folder {target.parent} does not exist. Create it first.")
    if target.is_dir():
        raise ValueError(f"The output file {path} must not be a folder. Choose another name.")
    return target


class TableFile:
    """UTF-8 text file that replaces its old version when it is complete.

    Rows are written to ``NAME.partial``. After an error, an old version is kept; without one, the
    rows written so far become the table. After Ctrl-C, they always do. Rows with errors alone never
    replace an old version.

    Arguments
    ---------
    path : path
        Path of the file.

    Raises
    ------
    ValueError
        If the folder of the file does not exist.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = real_path(path)
        self.partial = self.path.with_name(f"{self.path.name}.partial")
        self.replaces = self.path.exists()
        self.rows = self.failed = 0
        # surrogateescape: file names that are not valid UTF-8 are written as their original bytes
        self.text = open(  # noqa: SIM115
            self.partial, "w", encoding="utf-8", errors="surrogateescape", newline=""
        )

    def end_row(self, *, failed: bool = False) -> None:
        """Flush a complete row.

        Arguments
        ---------
        failed : bool
            Whether the row has an error instead of a prediction.
        """
        self.text.flush()
        self.rows += 1
        self.failed += failed

    def close(self, error: type[BaseException] | None) -> None:
        """Replace the old version, unless an error ended the command.

        Arguments
        ---------
        error : type, optional
            Type of the exception that ended the command.
        """
        try:
            self.text.flush()
            os.fsync(self.text.fileno())
        finally:
            self.text.close()
        rows = self.rows - self.failed if self.replaces else self.rows
        if keeps_rows(error, rows=rows, replaces=self.replaces):
            atomic_replace(self.partial, self.path)
        elif self.rows and error is None:
            logger.warning(
                "%s was not changed, because no file could be predicted. The errors are in %s.",
                self.path, self.partial,
            )  # fmt: skip
        elif self.rows:
            logger.warning(
                "%s was not changed. The rows written before the error are in %s.",
                self.path, self.partial,
            )  # fmt: skip
        else:
            self.partial.unlink()


def keeps_rows(error: type[BaseException] | None, *, rows: int, replaces: bool) -> bool:
    """Return whether the rows written so far become the table.

    Example
    -------
    >>> [keeps_rows(error, rows=3, replaces=True) for error in (None, KeyboardInterrupt, OSError)]
    [True, True, False]
    >>> keeps_rows(OSError, rows=3, replaces=False), keeps_rows(None, rows=0, replaces=True)
    (True, False)
    """
    if rows == 0:
        return error is None and not replaces
    return not replaces or error is None or issubclass(error, KeyboardInterrupt)

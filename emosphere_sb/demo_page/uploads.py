"""Delete uploads when another one is shown, when the page is closed, and at exit."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)


@contextmanager
def upload_folder() -> Iterator[Path]:
    """Create a temporary folder for Gradio's uploads, and delete it afterwards.

    Gradio reads the path from ``GRADIO_TEMP_DIR`` when the page is built. The variable is restored
    on exit.
    """
    before = os.environ.get("GRADIO_TEMP_DIR")
    with tempfile.TemporaryDirectory(prefix="emosphere-demo-") as folder:
        path = Path(folder).resolve()
        os.environ["GRADIO_TEMP_DIR"] = str(path)
        try:
            yield path
        finally:
            if before is None:
                del os.environ["GRADIO_TEMP_DIR"]
            else:
                os.environ["GRADIO_TEMP_DIR"] = before


class Uploads:
    """Manager that tracks the upload shown on each open page and deletes all other uploads.

    Arguments
    ---------
    folder : Path
        Upload folder. Files outside it are never deleted.
    max_total_bytes : int, optional
        Maximum size of all uploads together; the oldest are deleted to make room for new ones.
        (default: no limit)
    """

    def __init__(self, folder: Path, max_total_bytes: int | None = None) -> None:
        self.folder = folder.resolve()
        self.max_total_bytes = max_total_bytes
        self._reserved = 0
        self._shown: dict[str, Path] = {}
        self._lock = threading.Lock()

    def show(self, page: str, path: str | os.PathLike) -> None:
        """Register the upload shown on a page, and delete the previous one."""
        self._replace(page, Path(path).resolve())

    def close(self, page: str) -> None:
        """Delete the upload of a page that is closed or cleared."""
        self._replace(page, None)

    def reserve(self, size: int) -> bool:
        """Make room for an upload that is about to be received.

        Arguments
        ---------
        size : int
            Size of the upload in bytes. The page may copy it once, so twice the size is reserved.

        Returns
        -------
        bool
            Whether there is room; if not, too many others are being received.
        """
        with self._lock:
            if self.max_total_bytes is None:
                return True
            room = self.max_total_bytes - self._reserved - 2 * size
            if room < 0:
                return False
            files = sorted(filter(None, map(_state, self.folder.rglob("*"))))
            total = sum(bytes_of for _, bytes_of, _ in files)
            for _, bytes_of, path in files:  # oldest first
                if total <= room:
                    break
                self._remove(path)
                total -= bytes_of
            self._reserved += 2 * size
            return True

    def release(self, size: int) -> None:
        """End the reservation of an upload that was received or rejected."""
        with self._lock:
            if self.max_total_bytes is not None:
                self._reserved -= 2 * size

    def _replace(self, page: str, path: Path | None) -> None:
        with self._lock:
            before = self._shown.pop(page, None)
            if path is not None:
                self._shown[page] = path
            # Gradio stores identical uploads of two pages as one file.
            if before is not None and before not in self._shown.values():
                self._remove(before)

    def _remove(self, path: Path) -> None:
        if not path.is_relative_to(self.folder):
            logger.warning("%s is outside the upload folder and was not deleted.", path)
            return
        path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty, or deleted meanwhile
            if path.parent != self.folder:
                path.parent.rmdir()


def _state(path: Path) -> tuple[int, int, Path] | None:
    """Return the time of modification and the size of a file; None if it is a folder or gone."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return None if path.is_dir() else (status.st_mtime_ns, status.st_size, path)

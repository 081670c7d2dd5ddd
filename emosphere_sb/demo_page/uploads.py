"""Delete uploads when another one is shown, when the page is closed, and at exit."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._shown: dict[str, Path] = {}
        self._lock = threading.Lock()

    def show(self, page: str, path: str | os.PathLike) -> None:
        """Register the upload shown on a page, and delete the previous one."""
        self._replace(page, Path(path).resolve())

    def close(self, page: str) -> None:
        """Delete the upload of a page that is closed or cleared."""
        self._replace(page, None)

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
        if path.parent != self.folder and not any(path.parent.iterdir()):
            path.parent.rmdir()

"""Uploads are gone once they are no longer shown: with the next one, with the page, at the end."""

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
    """A folder for Gradio's uploads while the page runs, removed behind it.

    Gradio reads its place from ``GRADIO_TEMP_DIR`` when the page is built; the variable is put
    back afterwards.
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
    """Which upload each open page shows.

    Arguments
    ---------
    folder : Path
        Nothing outside it is ever removed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._shown: dict[str, Path] = {}
        self._lock = threading.Lock()

    def show(self, page: str, path: str | os.PathLike) -> None:
        """A page shows an upload; what it showed before is removed."""
        self._replace(page, Path(path).resolve())

    def close(self, page: str) -> None:
        """A page is closed, or cleared: its upload is removed."""
        self._replace(page, None)

    def _replace(self, page: str, path: Path | None) -> None:
        with self._lock:
            before = self._shown.pop(page, None)
            if path is not None:
                self._shown[page] = path
            # Gradio keeps equal uploads of two pages as one file.
            if before is not None and before not in self._shown.values():
                self._remove(before)

    def _remove(self, path: Path) -> None:
        if not path.is_relative_to(self.folder):
            logger.warning("%s is no upload of this page, and stays.", path)
            return
        path.unlink(missing_ok=True)
        if path.parent != self.folder and not any(path.parent.iterdir()):
            path.parent.rmdir()

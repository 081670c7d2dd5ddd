"""Find files whose paths are spelt differently in a table than on disk."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection
from urllib.parse import unquote

MAX_SUGGESTIONS = 3
_FILE_URL = re.compile(r"file:(?://(?:localhost)?(?=/)|(?=[^/]))", re.IGNORECASE)
_WINDOWS_DRIVE = re.compile(r"/(?=[A-Za-z]:/)")


def file_url_to_path(text: str) -> str:
    """Return the path of a ``file:`` URL; other text is unchanged.

    Example
    -------
    >>> file_url_to_path("file:///data/a%20b.wav"), file_url_to_path("file:///C:/a.wav")
    ('/data/a b.wav', 'C:/a.wav')
    >>> file_url_to_path("a%20b.wav")
    'a%20b.wav'
    """
    found = _FILE_URL.match(text)
    if not found:
        return text
    path = unquote(text[found.end() :])
    return _WINDOWS_DRIVE.sub("", path, count=1) if _WINDOWS_DRIVE.match(path) else path


def normalise_path(path: str) -> str:
    """Return a path in which differences of case, Unicode form and type of slash are removed.

    Example
    -------
    >>> normalise_path(r".\\wav\\A.WAV")
    'wav/a.wav'
    """
    path = unicodedata.normalize("NFC", path.replace("\\", "/").casefold())
    # Case folding may produce a form that is not normalised.
    return os.path.normpath(unicodedata.normalize("NFC", path))


class PathIndex:
    """Find files by paths that may differ in case, Unicode form, type of slash, or extension.

    Looking up a path takes constant time.

    Arguments
    ---------
    paths : collection of str
        Paths of the files on disk.

    Example
    -------
    >>> index = PathIndex(["/data/Wav/a.wav", "/data/Wav/b.wav", "/data/Wav/b.flac"])
    >>> index.find(r"/data\\wav\\A.wav"), index.find("/data/wav/a")
    (['/data/Wav/a.wav'], ['/data/Wav/a.wav'])
    >>> index.find("/data/Wav/b")
    ['/data/Wav/b.flac', '/data/Wav/b.wav']
    >>> index.suggest("/other/a.wav")
    ['/data/Wav/a.wav']
    """

    def __init__(self, paths: Collection[str]) -> None:
        self._paths = paths
        self._by_path: dict[str, list[str]] | None = None
        self._by_stem: dict[str, list[str]] | None = None
        self._by_name: dict[str, list[str]] | None = None

    def find(self, path: str) -> list[str]:
        """Return the files that a path may mean, sorted; several ones if it is ambiguous.

        The extension may be missing if no file has the path as it is.
        """
        if self._by_path is None:
            self._by_path, self._by_stem = defaultdict(list), defaultdict(list)
            for name in self._paths:
                key = normalise_path(name)
                self._by_path[key].append(name)
                self._by_stem[os.path.splitext(key)[0]].append(name)
        key = normalise_path(path)
        return sorted(self._by_path.get(key) or self._by_stem.get(key, ()))

    def suggest(self, path: str) -> list[str]:
        """Return files with the same name, with or without the extension, in any folder."""
        if self._by_name is None:
            self._by_name = defaultdict(list)
            for name in self._paths:
                self._by_name[_stem(name)].append(name)
        return sorted(self._by_name.get(_stem(path), ()))[:MAX_SUGGESTIONS]


def _stem(path: str) -> str:
    """Return the normalised name of a file without folder and extension."""
    return os.path.splitext(normalise_path(path).rpartition("/")[2])[0]

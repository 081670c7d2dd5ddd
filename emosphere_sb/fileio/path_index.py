"""Find files whose paths are spelt differently in a table than on disk."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence
from urllib.parse import unquote

MAX_SUGGESTIONS = 3
_FILE_URL = re.compile(r"file:(?://(?:localhost)?(?=/)|(?!//))", re.IGNORECASE)
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


def locate_file(text: str, folders: Sequence[str]) -> str:
    """Return the path of a file that a table names, relative to one of several folders.

    Only the folders on the way to the file are listed, if there is no file with exactly this path.

    Arguments
    ---------
    text : str
        Path or ``file:`` URL in the table.
    folders : sequence of str
        Folders to which the path may be relative, in order of preference.

    Returns
    -------
    str
        Path of the file; if there is none, the path relative to the last folder.

    Raises
    ------
    ValueError
        If several files match.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "Wav").mkdir(), (folder / "Wav" / "a.wav").touch()
    (None, None)
    >>> os.path.relpath(locate_file(r"wav\\A", [str(folder)]), folder)
    'Wav/a.wav'
    """
    text = file_url_to_path(text)
    paths = [os.path.join(folder, text) for folder in folders]
    if exact := next(filter(os.path.exists, paths), ""):
        return exact
    for folder in folders:
        path = os.path.abspath(os.path.join(folder, text.replace("\\", "/")))
        found = PathIndex(_similar_files(path)).find(path)
        if len(found) > 1:
            raise ValueError(
                f"{text!r} must match one file; found {' and '.join(found)}. Specify one of them."
            )
        if found:
            return found[0]
    return paths[-1]


def _similar_files(path: str) -> list[str]:
    """List the files in the folder of a path, and in folders with a similar path."""
    *parents, _ = os.path.abspath(path).split(os.sep)
    folders = [os.sep]
    for part in filter(None, parents):
        exact = [folder for folder in folders if os.path.isdir(os.path.join(folder, part))]
        if exact:
            folders = [os.path.join(folder, part) for folder in exact]
            continue
        folders = [
            entry
            for folder in folders
            for entry in _entries(folder)
            if normalise_path(os.path.basename(entry)) == normalise_path(part)
        ]
    return [entry for folder in folders for entry in _entries(folder) if os.path.isfile(entry)]


def _entries(folder: str) -> list[str]:
    """List a folder; an unreadable one has no entries."""
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder)]
    except OSError:
        return []


def _stem(path: str) -> str:
    """Return the normalised name of a file without folder and extension."""
    return os.path.splitext(normalise_path(path).rpartition("/")[2])[0]

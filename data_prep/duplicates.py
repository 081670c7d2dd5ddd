"""Handle multiple rows for one utterance or file.

Identical rows count once; contradictory rows are rejected.

All rows of the label files are compared, including rows that an option excludes or the reader
rejects, so the result does not depend on other options.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from data_prep.audio_check import FileStatus
from data_prep.corpus import Corpus, Rejection, Utterance
from emosphere_sb.fileio.path_index import MAX_SUGGESTIONS, PathIndex


class AudioPaths:
    """Real paths of the audio files of a corpus, and files with similar paths.

    Only folders and symbolic links are resolved, because resolving the path of each file would take
    as long as reading its header.

    Arguments
    ---------
    root : path
        Folder of the corpus.
    listing : dict of str to FileStatus
        Audio files; see :func:`data_prep.audio_check.list_audio`.
    """

    def __init__(self, root: str | os.PathLike, listing: Mapping[str, FileStatus]) -> None:
        self._root, self._listing = str(root), listing
        self._folders: dict[str, str] = {}
        self._index = PathIndex(listing.keys())
        self._real = {}
        for path, found in listing.items():
            resolved = self._resolve_folder(path)
            self._real[resolved] = self._resolve_link(resolved) if found.is_link else resolved

    def absolute(self, path: str) -> str:
        """Return the absolute path of an audio file."""
        # os.path.join would dominate the run time, since this is called for each row.
        path = path if path.startswith(os.sep) else f"{self._root}{os.sep}{path}"
        return os.path.normpath(path)

    def relative(self, path: str) -> str:
        """Return a path relative to the corpus folder, for messages."""
        return os.path.relpath(path, self._root).replace(os.sep, "/")

    def real_path(self, path: str) -> str:
        """Return the path of an audio file with all links resolved."""
        path = self.absolute(path)
        return self._real.get(self._resolve_folder(path)) or _realpath(path)

    def _resolve_folder(self, path: str) -> str:
        """Resolve the links in the folder of a path, but not a link in its last component."""
        folder, slash, name = path.rpartition(os.sep)
        if folder not in self._folders:
            self._folders[folder] = _realpath(folder or os.sep)
        real = self._folders[folder]
        return path if real == folder else f"{real}{slash}{name}"

    def _resolve_link(self, link: str) -> str:
        """Return the target of a link. Chains of links are rare; the system resolves them."""
        try:
            target = self._resolve_folder(os.path.join(os.path.dirname(link), os.readlink(link)))
        except OSError:  # the link was removed in the meantime
            return link
        return _realpath(target) if os.path.islink(target) else target

    def unlabelled(self, named: Collection[str]) -> list[str]:
        """Return the audio files that are not in ``named`` (real paths), relative to the corpus."""
        real, resolve = self._real, self._resolve_folder
        paths = (path for path in sorted(self._listing) if real[resolve(path)] not in named)
        return [self.relative(path) for path in paths]

    def resolve(self, path: str) -> str:
        """Return the path of the audio file that a row means, relative to the corpus folder.

        If there is no such file, differences in case, Unicode form, type of slash, and a missing
        extension are ignored, provided that exactly one file matches.

        Arguments
        ---------
        path : str
            Path of a row, see :attr:`Utterance.path`.

        Returns
        -------
        str
            The same path, or the path of the matching file.
        """
        absolute = self.absolute(path)
        if absolute in self._listing or _exists(absolute):
            return path
        found = self._index.find(absolute)
        if len(found) != 1:
            return path
        inside = found[0].startswith(self._root + os.sep)
        return self.relative(found[0]) if inside else found[0]

    def suggest(self, path: str) -> str:
        """Return a hint for a missing file, such as files with the same name.

        Arguments
        ---------
        path : str
            Absolute path of the missing file.

        Returns
        -------
        str
            The hint; empty otherwise.
        """
        if found := self._index.find(path):
            return f"several files match: {self._names(found)}; specify one of them"
        if found := self._index.suggest(path):
            return f"did you mean {self._names(found)}?"
        return ""

    def _names(self, paths: Sequence[str]) -> str:
        return " or ".join(self.relative(path) for path in paths[:MAX_SUGGESTIONS])


def _realpath(path: str) -> str:
    """Resolve all links of a path; return an invalid path unchanged."""
    try:
        return os.path.realpath(path)
    except ValueError:  # null byte or invalid Unicode
        return path


def _exists(path: str) -> bool:
    """Whether there is an entry of this name; False for a path that no file can have."""
    try:
        return os.path.lexists(path)
    except ValueError:
        return False


def resolve_paths(corpus: Corpus, files: AudioPaths) -> None:
    """Replace paths that are spelt differently on disk, see :meth:`AudioPaths.resolve`.

    Arguments
    ---------
    corpus : Corpus
        Corpus whose sets, excluded rows and rejections are modified in place.
    files : AudioPaths
        Audio files of the corpus.
    """

    def resolved(row: Any) -> Any:
        path = files.resolve(row.path)
        if path == row.path:
            return row
        return row._replace(path=path) if isinstance(row, Rejection) else replace(row, path=path)

    corpus.sets = {name: list(map(resolved, rows)) for name, rows in corpus.sets.items()}
    corpus.excluded = [item._replace(row=resolved(item.row)) for item in corpus.excluded]
    corpus.rejected = list(map(resolved, corpus.rejected))


def drop_duplicates(
    corpus: Corpus, files: AudioPaths
) -> tuple[list[tuple[str, Utterance]], list[Rejection], set[str]]:
    """Keep the first of identical rows, and reject contradictory rows for the same id or file.

    Arguments
    ---------
    corpus : Corpus
        Corpus returned by its reader.
    files : AudioPaths
        Audio files of the corpus.

    Returns
    -------
    rows : list of (str, Utterance)
        Remaining rows with the names of their sets.
    rejected : list of Rejection
        Rejected rows, except for rows that had already been excluded or rejected.
    named : set of str
        Real paths of all audio files in the label files, used or not.
    """
    used = list(corpus.utterances())
    rows = used + [(item.set, item.row) for item in corpus.excluded]
    options = [""] * len(used) + [item.option for item in corpus.excluded]
    real = [files.real_path(row.path) for _, row in rows]
    unusable = {files.real_path(item.path): item.reason for item in reversed(corpus.rejected)}
    reasons: dict[int, str] = {}
    for kind, keys in (("id", [row.id for _, row in rows]), ("file", real)):
        for positions in _repeated_positions(keys):
            if len({rows[position] for position in positions}) > 1:
                members = [rows[position][1] for position in positions]
                reason = _conflict_reason(
                    kind, members, [options[position] for position in positions]
                )
                reasons = {**dict.fromkeys(positions, reason), **reasons}
    unique, rejected, seen = [], [], set()
    for position, (name, row) in enumerate(used):
        reason = reasons.get(position, "")
        if not reason and real[position] in unusable:
            reason = (
                f"duplicate file: {row.path!r} also occurs in a rejected row "
                f"({unusable[real[position]]})"
            )
        elif not reason and row.id in seen:
            reason = f"duplicate id: {row.id!r} occurs in an earlier identical row"
        if reason:
            rejected.append(Rejection(row.path, reason, name))
        else:
            seen.add(row.id)
            unique.append((name, row))
    return unique, rejected, unusable.keys() | set(real)


def _repeated_positions(keys: Sequence[Hashable]) -> list[list[int]]:
    """Return the positions of each key that occurs more than once."""
    first: dict[Hashable, int] = {}
    repeated: dict[Hashable, list[int]] = {}
    for position, key in enumerate(keys):
        if first.setdefault(key, position) != position:
            repeated.setdefault(key, [first[key]]).append(position)
    return list(repeated.values())


def _conflict_reason(kind: str, rows: Sequence[Utterance], options: Sequence[str]) -> str:
    """Return the reason for rejecting different rows with the same id or file."""
    value, *others = dict.fromkeys(row.id if kind == "id" else row.path for row in rows)
    reason = f"duplicate {kind}: {value!r} occurs in {len(rows)} different rows"
    if others:
        reason += f", also as {', '.join(map(repr, others[:3]))}"
    excluded = [option for option in options if option]
    if excluded:
        names = ", ".join(sorted(set(excluded)))
        reason += f", {len(excluded)} of them excluded by {names}"
    return reason

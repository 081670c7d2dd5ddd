"""Handle multiple rows for one utterance or file.

Identical rows count once; contradictory rows are rejected.

All rows of the label files are compared, including rows that an option excludes or the reader
rejects, so the result does not depend on other options.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Hashable, Mapping, Sequence

from data_prep.audio_check import FileStatus
from data_prep.corpus import Corpus, Rejection, Utterance


class AudioPaths:
    """Real paths of the audio files of a corpus, and files with similar names.

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
        self._by_normalised_path: dict[str, str] | None = None
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

    def find_similar(self, path: str) -> str:
        """Find an audio file whose path differs only in case, Unicode form or type of slash.

        Arguments
        ---------
        path : str
            Absolute path.

        Returns
        -------
        str
            Path relative to the corpus folder; empty if there is no such file.
        """
        if self._by_normalised_path is None:
            self._by_normalised_path = {
                _normalise_path(name): name for name in sorted(self._listing, reverse=True)
            }
        found = self._by_normalised_path.get(_normalise_path(path))
        return self.relative(found) if found else ""


def _realpath(path: str) -> str:
    """Resolve all links of a path; return an invalid path unchanged."""
    try:
        return os.path.realpath(path)
    except ValueError:  # null byte or invalid Unicode
        return path


def _normalise_path(path: str) -> str:
    """Normalise a path so that spellings that are equal on some operating systems compare equal."""
    return unicodedata.normalize("NFC", path.replace("\\", "/").casefold())


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

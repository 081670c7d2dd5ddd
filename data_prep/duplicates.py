"""Rows that speak of one utterance or one file: equal ones count once, different ones not at all.

All rows of the label files are looked at, those too that an option leaves out or the reader could
not use: whether a label is contradicted must not depend on what else is asked for.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Hashable, Mapping, Sequence

from data_prep.audio_check import Found
from data_prep.corpus import Corpus, Rejection, Utterance


class Files:
    """Audio files by their paths: what one of them is really called, and what is called alike.

    Only folders and those files that are links are resolved: asking the disk for the real path of
    every file would take as long as reading its header.

    Arguments
    ---------
    root : path
        The corpus's folder.
    listing : dict of str to Found
        See :func:`data_prep.audio_check.list_audio`.
    """

    def __init__(self, root: str | os.PathLike, listing: Mapping[str, Found]) -> None:
        self._root, self._listing = str(root), listing
        self._folders: dict[str, str] = {}
        self._alike: dict[str, str] | None = None
        self._real = {}
        for path, found in listing.items():
            place = self._place(path)
            self._real[place] = self._target(place) if found.is_link else place

    def absolute(self, path: str) -> str:
        """The path of an utterance's audio, which may be relative to the corpus's folder."""
        # Not os.path.join, which takes longer than all the rest: this is asked for every row.
        whole = path if path.startswith(os.sep) else f"{self._root}{os.sep}{path}"
        return os.path.normpath(whole)

    def relative(self, path: str) -> str:
        """An absolute path as it is told to the user."""
        return os.path.relpath(path, self._root).replace(os.sep, "/")

    def real(self, path: str) -> str:
        """The one path of an utterance's audio, through all links."""
        path = self.absolute(path)
        return self._real.get(self._place(path)) or _resolved(path)

    def _place(self, path: str) -> str:
        """A path whose folder is resolved, but not its last part."""
        folder, slash, name = path.rpartition(os.sep)
        if folder not in self._folders:
            self._folders[folder] = _resolved(folder or os.sep)
        real = self._folders[folder]
        return path if real == folder else f"{real}{slash}{name}"

    def _target(self, link: str) -> str:
        """The file behind a link: one step, as there mostly is, and otherwise all the way."""
        try:
            target = self._place(os.path.join(os.path.dirname(link), os.readlink(link)))
        except OSError:  # it is gone meanwhile
            return link
        return _resolved(target) if os.path.islink(target) else target

    def unlabelled(self, named: Collection[str]) -> list[str]:
        """The files of the listing that are none of some real paths, relative to the corpus."""
        real, place = self._real, self._place
        paths = (path for path in sorted(self._listing) if real[place(path)] not in named)
        return [self.relative(path) for path in paths]

    def alike(self, path: str) -> str:
        """The file that a path means if case, Unicode form and kind of slash are not minded.

        Arguments
        ---------
        path : str
            Absolute.

        Returns
        -------
        str
            Relative to the corpus's folder; empty if there is none.
        """
        if self._alike is None:
            self._alike = {_folded(name): name for name in sorted(self._listing, reverse=True)}
        found = self._alike.get(_folded(path))
        return self.relative(found) if found else ""


def _resolved(path: str) -> str:
    """A path without links; as it is if no file can be called so."""
    try:
        return os.path.realpath(path)
    except ValueError:  # a zero byte, or no Unicode
        return path


def _folded(path: str) -> str:
    """What spellings of a path have in common that some other system takes for one."""
    return unicodedata.normalize("NFC", path.replace("\\", "/").casefold())


def without_doubles(
    corpus: Corpus, files: Files
) -> tuple[list[tuple[str, Utterance]], list[Rejection], set[str]]:
    """Of equal rows the first; of different rows with one id, or one file, none.

    Arguments
    ---------
    corpus : Corpus
        As its reader returned it.
    files : Files
        Its audio.

    Returns
    -------
    rows : list of (str, Utterance)
        Those that are left, with their sets.
    rejected : list of Rejection
        The others, those excepted that were left out or rejected before.
    named : set of str
        The real paths of all audio that some label names, used or not.
    """
    used = list(corpus.utterances())
    rows = used + [(item.set, item.row) for item in corpus.left_out]
    options = [""] * len(used) + [item.option for item in corpus.left_out]
    real = [files.real(row.path) for _, row in rows]
    unusable = {files.real(item.path): item.reason for item in reversed(corpus.rejected)}
    reasons: dict[int, str] = {}
    for kind, keys in (("id", [row.id for _, row in rows]), ("file", real)):
        for places in _repeated(keys):
            if len({rows[place] for place in places}) > 1:
                members = [rows[place][1] for place in places]
                reason = _different(kind, members, [options[place] for place in places])
                reasons = {**dict.fromkeys(places, reason), **reasons}
    kept, rejected, seen = [], [], set()
    for place, (name, row) in enumerate(used):
        reason = reasons.get(place, "")
        if not reason and real[place] in unusable:
            reason = (
                f"duplicate file: {row.path!r} stands also in a row that cannot be used, "
                f"{unusable[real[place]]}"
            )
        elif not reason and row.id in seen:
            reason = f"duplicate id: {row.id!r}, an equal row stands before"
        if reason:
            rejected.append(Rejection(row.path, reason, name))
        else:
            seen.add(row.id)
            kept.append((name, row))
    return kept, rejected, unusable.keys() | set(real)


def _repeated(keys: Sequence[Hashable]) -> list[list[int]]:
    """The places of each key that occurs more than once."""
    first: dict[Hashable, int] = {}
    repeated: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        if first.setdefault(key, place) != place:
            repeated.setdefault(key, [first[key]]).append(place)
    return list(repeated.values())


def _different(kind: str, rows: Sequence[Utterance], options: Sequence[str]) -> str:
    """Why rows that share an id or a file cannot be used, in words."""
    value, *others = dict.fromkeys(row.id if kind == "id" else row.path for row in rows)
    reason = f"duplicate {kind}: {value!r} occurs in {len(rows)} different rows"
    if others:
        reason += f", also as {', '.join(map(repr, others[:3]))}"
    left_out = [option for option in options if option]
    if left_out:
        names = ", ".join(sorted(set(left_out)))
        reason += f", {len(left_out)} of them left out by {names}"
    return reason

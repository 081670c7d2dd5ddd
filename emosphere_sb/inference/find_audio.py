"""Audio files from what a command line names: files, folders, patterns, a list on a pipe."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

AUDIO = (
    "wav", "wave", "rf64", "w64", "flac", "ogg", "oga", "opus", "mp3", "aif", "aiff", "aifc", "au",
    "snd", "caf", "voc", "sph", "nist", "sf", "ircam",
)  # fmt: skip
"""Extensions that libsndfile reads, of files that are taken from folders."""
NOT_READ = (
    "m4a", "m4b", "aac", "wma", "amr", "3gp", "mp4", "m4v", "mov", "mkv", "webm", "avi", "ac3",
    "dts", "ra", "ape", "wv",
)  # fmt: skip
"""Extensions of sound and films that it does not read."""


@dataclass
class Found:
    """What was found.

    Arguments
    ---------
    files : list of str
        In the order in which they were named, a folder's sorted; each once.
    notes : list of str
        What was left out, in words.
    """

    files: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_audio(inputs: Sequence[str], stdin: BinaryIO | None = None) -> Found:
    """The files that a command line means.

    Arguments
    ---------
    inputs : sequence of str
        Files (whatever their extension), folders (searched to any depth for the extensions that
        libsndfile reads), patterns with ``*``, ``?``, ``[…]`` and ``**``; ``-`` reads names from
        ``stdin``. A file whose name looks like a pattern is that file.
    stdin : binary file, optional
        Names a line, or with zero bytes between them where there is any (``find -print0``).

    Returns
    -------
    Found

    Raises
    ------
    ValueError
        If a folder, a pattern or the list holds nothing.

    Example
    -------
    >>> find_audio(["one.wav", "one.wav"])
    Found(files=['one.wav'], notes=['1 file was named twice and is predicted once'])
    """
    files: list[str] = []
    left = Counter()
    for name in inputs:
        files += _of(name, stdin, left)
    once = list(dict.fromkeys(files))
    notes = [
        f"{count:,} file{'s' * (count > 1)} with .{extension} left out: libsndfile does not read "
        f"this. Convert first: ffmpeg -i IN -ar 16000 -ac 1 OUT.wav"
        if extension
        else f"{count:,} hidden file{'s' * (count > 1)} left out"
        for extension, count in left.items()
    ]
    if twice := len(files) - len(once):
        plural = "s were" if twice > 1 else " was"
        are = "are" if twice > 1 else "is"
        notes.append(f"{twice:,} file{plural} named twice and {are} predicted once")
    return Found(once, notes)


def _of(name: str, stdin: BinaryIO | None, left: Counter) -> list[str]:
    """The files of one input."""
    if name == "-":
        names = list(_listed(stdin))
        if not names:
            raise ValueError("The list on the standard input names no file.")
        return names
    if os.path.isdir(name):
        found = list(_inside(name, left))
        if not found:
            unread = "".join(f", {n:,} with .{e}" for e, n in left.items() if e)
            raise ValueError(
                f"{name} must hold audio files that libsndfile reads ({', '.join(AUDIO)}); "
                f"found none{unread}."
            )
        return found
    if not os.path.lexists(name) and glob.has_magic(name):
        paths = sorted(glob.glob(name, recursive=True))
        found = [path for path in paths if os.path.isfile(path)]
        for folder in (path for path in paths if os.path.isdir(path) and "**" not in name):
            found += _inside(folder, left)
        if not found:
            raise ValueError(f"No audio file fits the pattern {name}.")
        return found
    return [name]  # what is not there is reported as any file that cannot be read


def _listed(stdin: BinaryIO | None) -> Iterator[str]:
    """Names on a pipe."""
    whole = b"" if stdin is None else stdin.read()
    parts = whole.split(b"\0") if b"\0" in whole else whole.split(b"\n")
    for part in parts:
        name = part.removesuffix(b"\r")
        if name.strip():
            yield os.fsdecode(name)


def _inside(folder: str, left: Counter) -> Iterator[str]:
    """Audio files of a folder and of those in it, sorted; links to folders are followed once."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        left[""] += sum(_extension(name) in AUDIO for name in names if name.startswith("."))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from _audio(place, sorted(n for n in names if not n.startswith(".")), left)
    if not left[""]:
        del left[""]


def _audio(place: str, names: Iterable[str], left: Counter) -> Iterator[str]:
    for name in names:
        extension = _extension(name)
        if extension in AUDIO:
            yield os.path.join(place, name)
        elif extension in NOT_READ:
            left[extension] += 1


def _extension(name: str) -> str:
    return os.path.splitext(name)[1][1:].lower()

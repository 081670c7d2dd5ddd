"""Find audio files given on the command line as files, folders, patterns or a list on stdin."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

AUDIO_EXTENSIONS = (
    "wav", "wave", "rf64", "w64", "flac", "ogg", "oga", "opus", "mp3", "aif", "aiff", "aifc", "au",
    "snd", "caf", "voc", "sph", "nist", "sf", "ircam",
)  # fmt: skip
"""Extensions supported by libsndfile, used to search folders."""
FFMPEG_EXTENSIONS = (
    "m4a", "m4b", "aac", "wma", "amr", "3gp", "mp4", "m4v", "mov", "mkv", "webm", "avi", "ac3",
    "dts", "ra", "ape", "wv",
)  # fmt: skip
"""Extensions of audio and video files that require ffmpeg. They are never skipped silently."""

_EXTENSIONS = frozenset(AUDIO_EXTENSIONS + FFMPEG_EXTENSIONS)


@dataclass
class FoundAudio:
    """The result of a search for audio files.

    Arguments
    ---------
    files : list of str
        Paths in the order of the inputs, without duplicates. Files of a folder are sorted.
    notes : list of str
        Messages about skipped files.
    """

    files: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_audio(inputs: Sequence[str], stdin: BinaryIO | None = None) -> FoundAudio:
    """Expand command-line inputs into a list of audio files.

    Arguments
    ---------
    inputs : sequence of str
        Paths of files (with any extension), folders (searched recursively for audio
        extensions), glob patterns with ``*``, ``?``, ``[…]`` and ``**``, or ``-`` to
        read paths from ``stdin``. The path of an existing file is never interpreted as a pattern.
    stdin : binary file, optional
        Stream with one path per line, or with paths separated by null bytes (``find -print0``).

    Returns
    -------
    FoundAudio
        Audio files, and messages about skipped files.

    Raises
    ------
    ValueError
        If a folder, a pattern or the list contains no audio file.

    Example
    -------
    >>> find_audio(["one.wav", "one.wav"])
    FoundAudio(files=['one.wav'], notes=['1 duplicate input ignored'])
    """
    files: list[str] = []
    skipped = Counter()
    for name in inputs:
        files += _expand_input(name, stdin, skipped)
    unique = list(dict.fromkeys(files))
    notes = [
        f"{count:,} {kind}{'s' * (count > 1)} skipped" for kind, count in skipped.items() if count
    ]
    if duplicates := len(files) - len(unique):
        notes.append(f"{duplicates:,} duplicate input{'s' * (duplicates > 1)} ignored")
    return FoundAudio(unique, notes)


def _expand_input(name: str, stdin: BinaryIO | None, skipped: Counter) -> list[str]:
    """Return the audio files that one input refers to."""
    if name == "-":
        names = list(_read_list(stdin))
        if not names:
            raise ValueError("The list of files on standard input is empty.")
        return names
    if os.path.isdir(name):
        found = list(_search_folder(name, skipped))
        if not found:
            extensions = ", ".join(AUDIO_EXTENSIONS + FFMPEG_EXTENSIONS)
            raise ValueError(f"{name} must contain audio files ({extensions}); found none.")
        return found
    if not os.path.lexists(name) and glob.has_magic(name):
        paths = sorted(glob.glob(name, recursive=True))
        found = [path for path in paths if not os.path.isdir(path)]
        for folder in (path for path in paths if os.path.isdir(path) and "**" not in name):
            found += _search_folder(folder, skipped)
        if not found:
            raise ValueError(f"No audio file matches the pattern {name}.")
        return found
    return [name]  # a missing file is reported later, like any unreadable file


def _read_list(stdin: BinaryIO | None) -> Iterator[str]:
    """Read paths from standard input."""
    content = b"" if stdin is None else stdin.read()
    parts = content.split(b"\0") if b"\0" in content else content.split(b"\n")
    for part in parts:
        name = part.removesuffix(b"\r")
        if name.strip():
            yield os.fsdecode(name)


def _search_folder(folder: str, skipped: Counter) -> Iterator[str]:
    """Yield the audio files of a folder and its subfolders, sorted; follow each link only once."""
    seen = set()

    def note_unreadable(_: OSError) -> None:
        skipped["unreadable folder"] += 1

    for root, folders, names in os.walk(folder, followlinks=True, onerror=note_unreadable):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        audio = sorted(name for name in names if _extension(name) in _EXTENSIONS)
        skipped["hidden file"] += sum(name.startswith(".") for name in audio)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(root, name) for name in audio if not name.startswith("."))


def _extension(name: str) -> str:
    return os.path.splitext(name)[1][1:].lower()

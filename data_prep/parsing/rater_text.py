"""The text format in which two corpora of one laboratory list their raters.

A block for each utterance, a blank line between blocks; the first line of a block is the utterance
with its class and means, the others are raters (``labels.txt`` of MSP-Podcast, ``Evalution.txt`` of
MSP-IMPROV)::

    MSP-PODCAST_0001_0139.wav; N; A:2.400000; V:4.000000; D:2.800000;
    WORKER00000001; Other-confused; Concerned,Confused; A:3.000000; V:3.000000; D:4.000000;
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from data_prep.parsing.label_text import parse_value, read_lines
from data_prep.parsing.raters import Rated, Rater, choices

_FILE = re.compile(r"\s*([^\s;]+\.(?:wav|avi))\s*(?:;|$)", re.IGNORECASE)
# Whatever a label file says of its own utterances, it does not say of raters: another kind of file,
# or a class of one letter in the second place, where raters have a word.
_HEAD = re.compile(
    r"\s*[^\s;]+\.(?:wav|avi|mp[34]|m4[av]|mov|mkv|webm|wm[av]|mpe?g|flac|ogg|opus|aac|txt)\s*(?:;|$)"
    r"|[^;]*;\s*[A-Z]\s*;",
    re.IGNORECASE,
)
_VALUE = re.compile(r"\s*([AVDN])\s*:([^:]*)")
_NUMBER = re.compile(r"[AVDN]\s*:\s*\d+\.\d+")
_NAMES = {"A": "arousal", "V": "valence", "D": "dominance", "N": "naturalness"}
_NEEDED = ("V", "A", "D")


@dataclass(frozen=True, slots=True)
class Block(Rated):
    """One utterance with its raters.

    Arguments
    ---------
    file : str
        Name of the audio file, as in the label file; empty where it cannot be read.
    letter : str
        Its class, as in the file.
    """

    file: str = ""
    letter: str = ""


def read_blocks(path: str | os.PathLike) -> Iterator[Block]:
    """The blocks of a file, in its order.

    Arguments
    ---------
    path : path
        The label file.

    Yields
    ------
    Block
        Every block; what cannot be read is named in its problems.

    Raises
    ------
    ValueError
        If the file is no text.

    Example
    -------
    >>> path = getfixture("tmp_path") / "labels.txt"
    >>> _ = path.write_text("a.wav; N; A:2.0; V:4.0; D:3.0 ; N:NaN;\\n"
    ...                     "w1; Other-x; y; z; A:1.0; V:4.0; D:NaN; N:2.0;\\n")
    >>> block = next(read_blocks(path))
    >>> block.file, block.letter, block.valence, block.arousal, block.dominance
    ('a.wav', 'N', 4.0, 2.0, 3.0)
    >>> block.raters
    (Rater(name='w1', emotions=('other',), unknown=(), valence=4.0, arousal=1.0, dominance=None),)
    """
    for lines in _groups(read_lines(path)):
        yield _block(os.path.basename(path), lines)


def _groups(lines: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Lines that belong together: up to a blank line, or to the next line that names a file."""
    group: list[tuple[int, str]] = []
    for number, line in lines:
        if group and (not line.strip() or _HEAD.match(line)):
            yield group
            group = []
        if line.strip():
            group.append((number, line))
    if group:
        yield group


def _block(name: str, lines: list[tuple[int, str]]) -> Block:
    """One block; ``name`` is the file's, for the problems."""
    (number, first), *others = lines
    raters, bad = [], ""
    for place, line in others:
        try:
            raters.append(_rater(line))
        except ValueError as error:
            bad = bad or f"{name}:{place}, {error}"
    found = _FILE.match(first)
    file = found.group(1) if found else ""
    block = {"line": number, "file": file, "raters": tuple(raters), "rater_problem": bad}
    try:
        values, texts = _values(first)
        if not found or len(texts) != 2:
            raise ValueError("damaged line: it must be a file name, a class, and A, V, D")
        return Block(letter=texts[1], **values, **block)
    except ValueError as error:
        return Block(problem=f"{error} ({name}, line {number})", **block)


def _rater(line: str) -> Rater:
    """One rater. Free text of their own may hold semicolons, so that the values count from the
    right."""
    values, texts = _values(line)
    if len(texts) < 2 or not texts[0]:
        raise ValueError("damaged line: it must be a rater, emotions, and A, V, D")
    if any(_NUMBER.fullmatch(text) for text in texts):
        raise ValueError("damaged line: it holds two raters")
    return Rater(texts[0], **choices([texts[1]]), **values)


def _values(line: str) -> tuple[dict[str, float | None], list[str]]:
    """Valence, arousal and dominance by name from a line's right end, and the parts before them.

    A number counts only with the semicolon after it: without one it may be cut off. Naturalness,
    which nobody uses, may stand last without it.
    """
    *parts, tail = (part.strip() for part in line.split(";"))
    if tail and not tail.startswith("N"):
        raise ValueError(f"damaged line: no ';' after {tail[-40:]!r}")
    found: dict[str, str] = {}
    while parts and (match := _VALUE.fullmatch(parts[-1])) and match.group(1) not in found:
        found[match.group(1)] = match.group(2)
        parts.pop()
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        raise ValueError(f"damaged line: no value {', '.join(missing)} at its end")
    return {_NAMES[name]: parse_value(found[name], _NAMES[name]) for name in _NEEDED}, parts

"""Parser for the text format of the individual ratings of MSP-Podcast and MSP-IMPROV.

The files (``labels.txt`` of MSP-Podcast, ``Evalution.txt`` of MSP-IMPROV) have one block per
utterance, separated by blank lines. The first line of a block has the name, class and mean labels
of the utterance; each further line has the ratings of one rater::

    MSP-PODCAST_0001_0139.wav; N; A:2.400000; V:4.000000; D:2.800000;
    WORKER00000001; Other-confused; Concerned,Confused; A:3.000000; V:3.000000; D:4.000000;
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from data_prep.parsing.label_text import parse_value, read_lines
from data_prep.parsing.raters import RatedUtterance, Rater, parse_choices

_FILE = re.compile(r"\s*([^\s;]+\.(?:wav|avi))\s*(?:;|$)", re.IGNORECASE)
# First line of a block: it starts with a file name, or has a one-letter class as its second field,
# where the lines of raters have an entire word.
_HEAD = re.compile(
    r"\s*[^\s;]+\.(?:wav|avi|mp[34]|m4[av]|mov|mkv|webm|wm[av]|mpe?g|flac|ogg|opus|aac|txt)\s*(?:;|$)"
    r"|[^;]*;\s*[A-Z]\s*;",
    re.IGNORECASE,
)
_VALUE = re.compile(r"\s*([AVDN])\s*:([^:]*)")
_NUMBER = re.compile(r"[AVDN]\s*:\s*\d+\.\d+")
_NAMES = {"A": "arousal", "V": "valence", "D": "dominance", "N": "naturalness"}
_REQUIRED = ("V", "A", "D")


@dataclass(frozen=True, slots=True)
class Block(RatedUtterance):
    """An utterance with its individual ratings.

    Arguments
    ---------
    file : str
        Name of the audio file as in the label file; empty if it cannot be parsed.
    letter : str
        Letter of the class as in the label file.
    """

    file: str = ""
    letter: str = ""


def read_blocks(path: str | os.PathLike) -> Iterator[Block]:
    """Iterate over the blocks of a label file.

    Arguments
    ---------
    path : path
        Label file.

    Yields
    ------
    Block
        Each block; lines that cannot be parsed are reported in its ``problem`` attributes.

    Raises
    ------
    ValueError
        If the file is not a text file.

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
    for lines in _group_lines(read_lines(path)):
        yield _parse_block(os.path.basename(path), lines)


def _group_lines(lines: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Group lines into blocks, which end at a blank line or at the next line with a file name."""
    group: list[tuple[int, str]] = []
    for number, line in lines:
        if group and (not line.strip() or _HEAD.match(line)):
            yield group
            group = []
        if line.strip():
            group.append((number, line))
    if group:
        yield group


def _parse_block(name: str, lines: list[tuple[int, str]]) -> Block:
    """Parse one block; ``name`` is the file name for error messages."""
    (number, first), *others = lines
    raters, bad = [], ""
    for place, line in others:
        try:
            raters.append(parse_rater_line(line))
        except ValueError as error:
            bad = bad or f"{name}:{place}, {error}"
    found = _FILE.match(first)
    file = found.group(1) if found else ""
    block = {"line": number, "file": file, "raters": tuple(raters), "rater_problem": bad}
    try:
        values, texts = _parse_values(first)
        if not found or len(texts) != 2:
            raise ValueError("malformed line: it must contain a file name, a class, and A, V, D")
        return Block(letter=texts[1], **values, **block)
    except ValueError as error:
        return Block(problem=f"{error} ({name}, line {number})", **block)


def parse_rater_line(line: str) -> Rater:
    """Parse the line of one rater from the right, because free text may contain semicolons.

    Arguments
    ---------
    line : str
        Line in the format shown in the description of this module.

    Raises
    ------
    ValueError
        If the line is damaged.

    Example
    -------
    >>> parse_rater_line("WORKER00000001; Contempt; Contempt; A:4.0; V:2.0; D:5.0;").vad
    (2.0, 4.0, 5.0)
    """
    values, texts = _parse_values(line)
    if len(texts) < 2 or not texts[0]:
        raise ValueError("malformed line: it must contain a rater, emotions, and A, V, D")
    if any(_NUMBER.fullmatch(text) for text in texts):
        raise ValueError("malformed line: it contains two raters")
    return Rater(texts[0], **parse_choices([texts[1]]), **values)


def _parse_values(line: str) -> tuple[dict[str, float | None], list[str]]:
    """Parse valence, arousal and dominance at the end of a line, and return the preceding parts.

    Each number must be followed by a semicolon; without one, the number may be truncated. The
    exception is naturalness at the end of the line, which is not used.
    """
    *parts, tail = (part.strip() for part in line.split(";"))
    if tail and not tail.startswith("N"):
        raise ValueError(f"malformed line: missing ';' after {tail[-40:]!r}")
    found: dict[str, str] = {}
    while parts and (match := _VALUE.fullmatch(parts[-1])) and match.group(1) not in found:
        found[match.group(1)] = match.group(2)
        parts.pop()
    missing = [name for name in _REQUIRED if name not in found]
    if missing:
        raise ValueError(f"malformed line: missing at the end: {', '.join(missing)}")
    return {_NAMES[name]: parse_value(found[name], _NAMES[name]) for name in _REQUIRED}, parts

"""Parsers for the label files and transcriptions of IEMOCAP."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from data_prep.parsing.label_text import parse_value, read_lines
from data_prep.parsing.raters import RatedUtterance, Rater, parse_choices
from emosphere_sb.scale import DIMENSIONS

EMOTIONS = {
    "ang": "angry",
    "hap": "happy",
    "exc": "excited",
    "sad": "sad",
    "neu": "neutral",
    "fru": "frustrated",
    "fea": "fear",
    "dis": "disgust",
    "sur": "surprise",
    "oth": "other",
    "xxx": "no_agreement",
}
"""Emotion name of each code in the label files."""

_NUMBER = r"\s*(\d+\.?\d*)\s*"
_TURN = re.compile(rf"\[{_NUMBER}-{_NUMBER}\]\s+([^\s\[\]]+)\s+([^\s\[\]]+)\s+\[([^\[\]]*)\]\s*")
_ORDER = re.compile(r"%.*\[\s*([VAD]\s*,\s*[VAD]\s*,\s*[VAD])\s*\]")
_NAME = re.compile(r"Ses0[1-5][FM]_\w+_[FM]\w+", re.ASCII)
_RATER = re.compile(r"([AC])-([A-Z]\d+):(.*)")
_SECOND = re.compile(r"(?<!\w)[AC]-[A-Z]\d+:\s")
_RATING = re.compile(r"\s*(val|act|dom)(?![a-z])\s*(.*)")
_DIMENSIONS = {"val": "valence", "act": "arousal", "dom": "dominance"}
_TRANSCRIPT = re.compile(r"\s*(Ses\w+)\s*\[[^\]]*\]\s*:(.*)")


@dataclass(frozen=True, slots=True)
class Turn(RatedUtterance):
    """A turn of a dialogue, with the evaluators' ratings (``A-E1``, ``C-E1``) from 1 to 5.

    Arguments
    ---------
    utterance : str
        Id of the utterance; empty if it cannot be parsed.
    start, end : float
        Start and end in seconds from the beginning of the dialogue.
    emotion : str
        Majority vote of the raters; see :data:`EMOTIONS`.
    self_reports : tuple of Rater
        Self-reports by the speakers (``A-F1``, ``C-M1``), which are not included in the means.
    """

    utterance: str = ""
    start: float = 0.0
    end: float = 0.0
    emotion: str = ""
    self_reports: tuple[Rater, ...] = ()


def read_labels(path: str | os.PathLike) -> Iterator[Turn]:
    """Iterate over the turns of a label file in ``EmoEvaluation``.

    The file lists valence, arousal and dominance, in that order.

    Arguments
    ---------
    path : path
        Label file of a dialogue.

    Yields
    ------
    Turn
        Each turn, in the order of the file. Turns that cannot be parsed have a ``problem``.

    Raises
    ------
    ValueError
        If the file is not a text file, or its header lists the dimensions in a different order.

    Example
    -------
    >>> path = getfixture("tmp_path") / "Ses01F_impro01.txt"
    >>> _ = path.write_text("% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\\n\\n"
    ...     "[6.2901 - 8.2357]\\tSes01F_impro01_F000\\tneu\\t[2.5000, 3.0000, NaN]\\n"
    ...     "A-E3:\\tval 3; act 3; dom  ;\\t()\\n")
    >>> turn = next(read_labels(path))
    >>> turn.utterance, turn.emotion, turn.vad
    ('Ses01F_impro01_F000', 'neutral', (2.5, 3.0, None))
    >>> turn.raters
    (Rater(name='A-E3', emotions=(), unknown=(), valence=3.0, arousal=3.0, dominance=None),)
    """
    for lines in _group_lines(path):
        yield _parse_turn(lines)


def _group_lines(path: str | os.PathLike) -> Iterator[list[tuple[int, str]]]:
    """Group lines into turns, which end at a blank line or at the start of the next turn."""
    group: list[tuple[int, str]] = []
    for number, line in read_lines(path):
        line = line.strip()
        if group and (not line or line.startswith("[")):
            yield group
            group = []
        order = _ORDER.match(line)
        if order and "".join(order.group(1).split()) != "V,A,D":
            raise ValueError(
                f"{path}, line {number}: the order of the dimensions must be [V, A, D]; found "
                f"[{order.group(1)}]. Restore the original corpus file."
            )
        if line and not line.startswith("%"):
            group.append((number, line))
    if group:
        yield group


def _parse_turn(lines: list[tuple[int, str]]) -> Turn:
    """Parse one turn with the lines of its raters."""
    (number, first), *others = lines
    rows: dict[str, list[Rater]] = {"raters": [], "self_reports": []}
    bad = ""
    for place, line in others:
        try:
            kind, rater = _parse_rater(line)
            rows[kind].append(rater)
        except ValueError as error:
            bad = bad or f"line {place}, {error}"
    found = _TURN.fullmatch(first)
    facts = {"line": number, "rater_problem": bad, **{k: tuple(v) for k, v in rows.items()}}
    if not found:
        problem = "malformed line: a turn must be '[start - end] name emotion [V, A, D]'"
        return Turn(problem=problem, **facts)
    start, end, name, code, bracket = found.groups()
    facts.update(utterance=name, start=float(start), end=float(end))
    try:
        return Turn(emotion=_parse_emotion(name, code), **_parse_means(bracket), **facts)
    except ValueError as error:
        return Turn(problem=str(error), **facts)


def _parse_emotion(name: str, code: str) -> str:
    """Return the emotion with a given code; check the turn name and the code."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"invalid turn name: {name[:40]!r}")
    if code not in EMOTIONS:
        raise ValueError(f"unknown emotion: {code[:40]!r}; must be one of {', '.join(EMOTIONS)}")
    return EMOTIONS[code]


def _parse_means(bracket: str) -> dict[str, float | None]:
    """Parse valence, arousal and dominance, for example ``2.5000, 3.0000, NaN``."""
    texts = bracket.split(",")
    if len(texts) != len(DIMENSIONS):
        raise ValueError(f"malformed line: [V, A, D] must be three values; found [{bracket[:40]}]")
    values = {name: parse_value(text, name) for name, text in zip(DIMENSIONS, texts, strict=True)}
    if not any(value is not None for value in values.values()):
        raise ValueError(f"no label: all values in [{bracket[:40]}] are missing")
    return values


def _parse_rater(line: str) -> tuple[str, Rater]:
    """Parse a rater's line, and distinguish evaluators from self-reporting speakers."""
    found = _RATER.fullmatch(line)
    if not found:
        raise ValueError("malformed line: a rater's line must start with 'A-E1:' or 'C-E1:'")
    kind, who, text = found.groups()
    if _SECOND.search(text):
        raise ValueError("malformed line: it contains two raters")
    content = _parse_chosen_emotions(text) if kind == "C" else _parse_ratings(text)
    rows = "raters" if who.startswith("E") else "self_reports"
    return rows, Rater(f"{kind}-{who}", **content)


def _parse_chosen_emotions(text: str) -> dict[str, tuple[str, ...]]:
    """Parse emotions, for example ``Frustration; Anger; (comment)``."""
    *words, tail = text.partition("(")[0].split(";")
    if tail.strip() or not words:
        raise ValueError(f"malformed line: missing ';' after {tail.strip()[-40:]!r}")
    return parse_choices(words)


def _parse_ratings(text: str) -> dict[str, float | None]:
    """Parse ratings by name, for example ``val 3; act 2; dom  2; (comment)``."""
    found = [_RATING.fullmatch(part) for part in text.split(";", 3)[:3]]
    ratings = {match.group(1): match.group(2) for match in found if match}
    if text.count(";") < 3 or set(ratings) != set(_DIMENSIONS):
        raise ValueError("malformed line: it must contain 'val …; act …; dom …;'")
    return {name: parse_value(ratings[key], name) for key, name in _DIMENSIONS.items()}


def read_transcripts(path: str | os.PathLike) -> dict[str, str]:
    """Read the transcript of each turn of a dialogue. Lines without an id are skipped.

    Arguments
    ---------
    path : path
        File in the folder ``transcriptions``.

    Returns
    -------
    dict of str to str
        Transcript of each turn, by its id.

    Raises
    ------
    ValueError
        If the file is not a text file.

    Example
    -------
    >>> path = getfixture("tmp_path") / "Ses01F_impro01.txt"
    >>> _ = path.write_text("Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\\nM: Yeah.\\n")
    >>> read_transcripts(path)
    {'Ses01F_impro01_F000': 'Excuse me.'}
    """
    found = (_TRANSCRIPT.fullmatch(line) for _, line in read_lines(path))
    return {match.group(1): match.group(2).strip() for match in found if match}

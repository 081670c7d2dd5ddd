"""The label files and transcriptions of IEMOCAP, each with a reader that can be used alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from data_prep.parsing.label_text import parse_value, read_lines
from data_prep.parsing.raters import Rated, Rater, choices
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
"""Codes of the label files to words."""

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
class Turn(Rated):
    """One turn of a dialogue; its raters are the evaluators (``A-E1``, ``C-E1``), on 1 to 5.

    Arguments
    ---------
    utterance : str
        Its id; empty where it cannot be read.
    start, end : float
        In seconds from the dialogue's beginning.
    emotion : str
        What most raters chose, see :data:`EMOTIONS`.
    self_reports : tuple of Rater
        What the speakers say of themselves (``A-F1``, ``C-M1``): not in the means.
    """

    utterance: str = ""
    start: float = 0.0
    end: float = 0.0
    emotion: str = ""
    self_reports: tuple[Rater, ...] = ()


def read_labels(path: str | os.PathLike) -> Iterator[Turn]:
    """The turns of one file of ``EmoEvaluation``, which orders valence, arousal, dominance.

    Arguments
    ---------
    path : path
        The label file of a dialogue.

    Yields
    ------
    Turn
        Every turn in the file's order; those that cannot be read with their ``problem``.

    Raises
    ------
    ValueError
        If the file is no text, or its heading orders the dimensions otherwise.

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
    for lines in _groups(path):
        yield _turn(lines)


def _groups(path: str | os.PathLike) -> Iterator[list[tuple[int, str]]]:
    """Lines about one turn: up to a blank line, or to the next line that begins a turn."""
    group: list[tuple[int, str]] = []
    for number, line in read_lines(path):
        line = line.strip()
        if group and (not line or line.startswith("[")):
            yield group
            group = []
        order = _ORDER.match(line)
        if order and "".join(order.group(1).split()) != "V,A,D":
            raise ValueError(
                f"{path}, line {number}: the dimensions must be [V, A, D]; found "
                f"[{order.group(1)}]. Take the corpus's own file."
            )
        if line and not line.startswith("%"):
            group.append((number, line))
    if group:
        yield group


def _turn(lines: list[tuple[int, str]]) -> Turn:
    """One turn with the lines of its raters."""
    (number, first), *others = lines
    rows: dict[str, list[Rater]] = {"raters": [], "self_reports": []}
    bad = ""
    for place, line in others:
        try:
            kind, rater = _rater(line)
            rows[kind].append(rater)
        except ValueError as error:
            bad = bad or f"line {place}, {error}"
    found = _TURN.fullmatch(first)
    facts = {"line": number, "rater_problem": bad, **{k: tuple(v) for k, v in rows.items()}}
    if not found:
        problem = "damaged line: a turn must be '[start - end] name emotion [V, A, D]'"
        return Turn(problem=problem, **facts)
    start, end, name, code, bracket = found.groups()
    facts.update(utterance=name, start=float(start), end=float(end))
    try:
        return Turn(emotion=_emotion(name, code), **_means(bracket), **facts)
    except ValueError as error:
        return Turn(problem=str(error), **facts)


def _emotion(name: str, code: str) -> str:
    """The class, if both it and the turn's name are such as the corpus has."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"unknown name of a turn: {name[:40]!r}")
    if code not in EMOTIONS:
        raise ValueError(f"unknown emotion: {code[:40]!r} is none of {', '.join(EMOTIONS)}")
    return EMOTIONS[code]


def _means(bracket: str) -> dict[str, float | None]:
    """Valence, arousal, dominance of ``2.5000, 3.0000, NaN``."""
    texts = bracket.split(",")
    if len(texts) != len(DIMENSIONS):
        raise ValueError(f"damaged line: [V, A, D] must hold three values, found [{bracket[:40]}]")
    values = {name: parse_value(text, name) for name, text in zip(DIMENSIONS, texts, strict=True)}
    if not any(value is not None for value in values.values()):
        raise ValueError(f"no label: all of [{bracket[:40]}] is missing")
    return values


def _rater(line: str) -> tuple[str, Rater]:
    """One line of a rater, and whether it is an evaluator or a speaker about themselves."""
    found = _RATER.fullmatch(line)
    if not found:
        raise ValueError("damaged line: a rater's must begin as 'A-E1:' or 'C-E1:'")
    kind, who, text = found.groups()
    if _SECOND.search(text):
        raise ValueError("damaged line: it holds two raters")
    content = _chosen(text) if kind == "C" else _ratings(text)
    rows = "raters" if who.startswith("E") else "self_reports"
    return rows, Rater(f"{kind}-{who}", **content)


def _chosen(text: str) -> dict[str, tuple[str, ...]]:
    """Emotions of ``Frustration; Anger; (comment)``."""
    *words, tail = text.partition("(")[0].split(";")
    if tail.strip() or not words:
        raise ValueError(f"damaged line: no ';' after {tail.strip()[-40:]!r}")
    return choices(words)


def _ratings(text: str) -> dict[str, float | None]:
    """Ratings of ``val 3; act 2; dom  2; (comment)``, taken by their names."""
    found = [_RATING.fullmatch(part) for part in text.split(";", 3)[:3]]
    ratings = {match.group(1): match.group(2) for match in found if match}
    if text.count(";") < 3 or set(ratings) != set(_DIMENSIONS):
        raise ValueError("damaged line: it must hold 'val …; act …; dom …;'")
    return {name: parse_value(ratings[key], name) for key, name in _DIMENSIONS.items()}


def read_transcripts(path: str | os.PathLike) -> dict[str, str]:
    """What is said in the turns of one dialogue; lines without a turn's id are skipped.

    Arguments
    ---------
    path : path
        A file of ``transcriptions``.

    Raises
    ------
    ValueError
        If the file is no text.

    Example
    -------
    >>> path = getfixture("tmp_path") / "Ses01F_impro01.txt"
    >>> _ = path.write_text("Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\\nM: Yeah.\\n")
    >>> read_transcripts(path)
    {'Ses01F_impro01_F000': 'Excuse me.'}
    """
    found = (_TRANSCRIPT.fullmatch(line) for _, line in read_lines(path))
    return {match.group(1): match.group(2).strip() for match in found if match}

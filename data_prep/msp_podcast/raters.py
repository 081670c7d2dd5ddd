"""The single raters of MSP-Podcast: ``labels.txt``, or as a table ``labels_detailed.csv``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from data_prep.corpus import NO_RATERS, Corpus
from data_prep.parsing.label_text import parse_value, read_table
from data_prep.parsing.rater_text import Block, read_blocks
from data_prep.parsing.raters import Rater, RaterCheck, choices

COLUMNS = ("filename", "emoclass_major", "emoact", "emoval", "emodom")
WORKERS = ("workerid", "worker", "annotatorid", "annotator")
"""Names of the column that tells raters apart, where there is one."""


def read_raters(path: str | os.PathLike) -> Iterator[Block]:
    """The raters of each utterance, from either file.

    Arguments
    ---------
    path : path
        ``labels.txt``, or a table whose name ends in ``.csv``.

    Yields
    ------
    Block
        One for each utterance, in the file's order. A table has no consensus, so that its blocks
        have none either; its rows need not stand together.

    Raises
    ------
    ValueError
        If a column is missing, or the file is no text.

    Example
    -------
    >>> path = getfixture("tmp_path") / "labels_detailed.csv"
    >>> _ = path.write_text("FileName,WorkerID,EmoClass_Major,EmoAct,EmoVal,EmoDom\\n"
    ...                     "a.wav,w1,Angry,6,2,5\\na.wav,w2,Sad,3,1,2\\n")
    >>> [rater.vad for block in read_raters(path) for rater in block.raters]
    [(2.0, 6.0, 5.0), (1.0, 3.0, 2.0)]
    """
    path = Path(path)
    return _table_blocks(path) if path.suffix.casefold() == ".csv" else read_blocks(path)


@dataclass(slots=True)
class _Rows:
    """The rows of one utterance, as far as they have been read."""

    line: int
    raters: list[Rater] = field(default_factory=list)
    bad: str = ""


def _table_blocks(path: Path) -> Iterator[Block]:
    """Blocks of a table, whose rows may be in any order."""
    header, lines = read_table(path, COLUMNS)
    found: dict[str, _Rows] = {}
    for line, values in lines:
        row = dict(zip(header, values, strict=False))
        own = found.setdefault(row.get("filename", ""), _Rows(line))
        try:
            if len(values) != len(header):
                raise ValueError(f"damaged row: {len(values)} values, not {len(header)}")
            own.raters.append(_rater(row))
        except ValueError as error:
            own.bad = own.bad or f"{path.name}:{line}, {error}"
    for file, own in found.items():
        yield Block(own.line, file=file, raters=tuple(own.raters), rater_problem=own.bad)


# A table has 1.5 million rows, but few different words, ratings and names: each is kept once.
_choices = lru_cache(maxsize=4096)(lambda word: choices([word]))
_value = lru_cache(maxsize=4096)(parse_value)


def _rater(row: dict[str, str]) -> Rater:
    """One row."""
    return Rater(
        sys.intern(next((row[name] for name in WORKERS if name in row), "")),
        **_choices(row["emoclass_major"]),
        valence=_value(row["emoval"], "EmoVal"),
        arousal=_value(row["emoact"], "EmoAct"),
        dominance=_value(row["emodom"], "EmoDom"),
    )


def add_raters(corpus: Corpus, path: Path) -> None:
    """Gives the utterances of a corpus the figures of their raters, and warns of what is odd.

    Arguments
    ---------
    corpus : Corpus
        Changed: its utterances, its warnings.
    path : pathlib.Path
        See :func:`read_raters`.
    """
    check = RaterCheck(corpus.scale)
    places: dict[str, list[tuple[str, int]]] = {}
    for name, members in corpus.sets.items():
        for k, row in enumerate(members):
            places.setdefault(os.path.basename(row.path), []).append((name, k))
    waiting = dict.fromkeys(places)
    for block in read_raters(path):
        where = f"{path.name}, line {block.line}"
        if block.file not in places:
            check.note("in the raters' file are none of those with usable labels", where)
            continue
        found = NO_RATERS
        if waiting.pop(block.file, False) is None:
            name, k = places[block.file][0]
            row, problem = corpus.sets[name][k], block.problem or block.rater_problem
            found = check.figures(row.id, row.vad, block.raters, problem=problem)
        else:
            check.note("stand in the raters' file twice, and have no rater columns", where)
        for name, k in places[block.file]:
            corpus.sets[name][k] = replace(corpus.sets[name][k], raters=found)
    for file in waiting:
        check.note("have no raters in their file", file)
    corpus.warnings += check.warnings()

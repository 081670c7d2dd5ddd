"""The single raters of MSP-Podcast: ``labels.txt``, or as a table ``labels_detailed.csv``."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data_prep.corpus import NO_RATERS, Corpus
from data_prep.label_text import read_table
from data_prep.rater_text import Block, read_blocks
from data_prep.raters import Rater, RaterCheck, choices, parse_value

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
        have none either.

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


def _table_blocks(path: Path) -> Iterator[Block]:
    """Blocks of a table; rows of one utterance stand together."""
    header, rows = read_table(path, COLUMNS)
    named = ((line, dict(zip(header, values, strict=False)), len(values)) for line, values in rows)
    for file, group in itertools.groupby(named, key=lambda item: item[1].get("filename", "")):
        raters, bad, first = [], "", 0
        for line, row, number in group:
            first = first or line
            try:
                if number != len(header):
                    raise ValueError(f"damaged row: {number} values, not {len(header)}")
                raters.append(_rater(row))
            except ValueError as error:
                bad = bad or f"{path.name}:{line}, {error}"
        yield Block(first, file=file, raters=tuple(raters), rater_problem=bad)


def _rater(row: dict[str, str]) -> Rater:
    """One row."""
    return Rater(
        next((row[name] for name in WORKERS if name in row), ""),
        **choices([row["emoclass_major"]]),
        valence=parse_value(row["emoval"], "EmoVal"),
        arousal=parse_value(row["emoact"], "EmoAct"),
        dominance=parse_value(row["emodom"], "EmoDom"),
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

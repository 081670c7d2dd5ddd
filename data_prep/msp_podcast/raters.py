"""Individual ratings of MSP-Podcast, from ``labels.txt`` or ``labels_detailed.csv``."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from data_prep.corpus import NO_RATERS, Corpus
from data_prep.parsing.label_text import parse_value, read_label_table
from data_prep.parsing.rater_text import Block, parse_rater_line, read_blocks
from data_prep.parsing.raters import Rater, RaterCheck, parse_choices

COLUMNS = ("filename", "emoclass_major", "emoact", "emoval", "emodom")
DETAIL_COLUMNS = ("filename", "emodetail")
"""Columns of ``labels_detailed.csv`` in some releases; the second one has the format of a line in
``labels.txt``."""

RATER_COLUMNS = ("workerid", "worker", "annotatorid", "annotator")
"""Possible names of the column that identifies the rater."""


def read_raters(path: str | os.PathLike) -> Iterator[Block]:
    """Iterate over the individual ratings of each utterance.

    Arguments
    ---------
    path : path
        Text file ``labels.txt``, or a table with the extension ``.csv``.

    Yields
    ------
    Block
        Ratings of each utterance, in the order of the file. The blocks of a table have no consensus
        labels; its rows may be in any order.

    Raises
    ------
    ValueError
        If a column is missing, or if the file is not a text file.

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
class _UtteranceRows:
    """Rows of one utterance that have been read so far."""

    line: int
    raters: list[Rater] = field(default_factory=list)
    bad: str = ""


def _table_blocks(path: Path) -> Iterator[Block]:
    """Yield the blocks of a table, whose rows may be in any order."""
    table = read_label_table(
        path, COLUMNS, numbers=COLUMNS[2:], names=RATER_COLUMNS, is_header=_is_header,
        text_column=DETAIL_COLUMNS[-1],
    )  # fmt: skip
    parse_row = _parse_detail if table.header[-1] == DETAIL_COLUMNS[-1] else _parse_rater
    found: dict[str, _UtteranceRows] = {}
    for line, values in table.rows:
        row = dict(zip(table.header, values, strict=False))
        own = found.setdefault(row.get("filename", ""), _UtteranceRows(line))
        try:
            if len(values) != len(table.header):
                raise ValueError(
                    f"malformed row: {len(values)} values, expected {len(table.header)}"
                )
            own.raters.append(parse_row(row))
        except ValueError as error:
            own.bad = own.bad or f"{path.name}:{line}, {error}"
    for file, own in found.items():
        yield Block(own.line, file=file, raters=tuple(own.raters), rater_problem=own.bad)


# A table has 1.5 million rows, but few distinct words, ratings and names, so they are cached.
_choices = lru_cache(maxsize=4096)(lambda word: parse_choices([word]))
_value = lru_cache(maxsize=4096)(parse_value)


def _is_header(names: Collection[str]) -> bool:
    """Whether a row has the columns of the table, in one of its two forms."""
    return {*COLUMNS} <= {*names} or tuple(names) == DETAIL_COLUMNS


def _parse_detail(row: dict[str, str]) -> Rater:
    """Parse a row whose second column has the format of a line in ``labels.txt``."""
    return parse_rater_line(row[DETAIL_COLUMNS[-1]])


def _parse_rater(row: dict[str, str]) -> Rater:
    """Parse one row."""
    return Rater(
        sys.intern(next((row[name] for name in RATER_COLUMNS if name in row), "")),
        **_choices(row["emoclass_major"]),
        valence=_value(row["emoval"], "EmoVal"),
        arousal=_value(row["emoact"], "EmoAct"),
        dominance=_value(row["emodom"], "EmoDom"),
    )


def add_raters(corpus: Corpus, path: Path) -> None:
    """Add rater statistics to the utterances of a corpus, and warnings about problems.

    Arguments
    ---------
    corpus : Corpus
        Corpus whose utterances and warnings are modified in place.
    path : pathlib.Path
        File with the individual ratings; see :func:`read_raters`.
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
            check.record("in the file of individual ratings have no usable labels", where)
            continue
        found = NO_RATERS
        if waiting.pop(block.file, False) is None:
            name, k = places[block.file][0]
            row, problem = corpus.sets[name][k], block.problem or block.rater_problem
            found = check.summarise(row.id, row.vad, block.raters, problem=problem)
        else:
            check.record(
                "occur twice in the file of individual ratings and have no rater statistics", where
            )
        for name, k in places[block.file]:
            corpus.sets[name][k] = replace(corpus.sets[name][k], raters=found)
    for file in waiting:
        check.record("are missing from the file of individual ratings", file)
    corpus.warnings += check.warnings()

"""What stands in a table's cells: lines of text that every format writes in its own way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from emosphere_sb.tables.collect import Collected, Entry
from emosphere_sb.tables.columns import Column
from emosphere_sb.tables.spec import Group, Row

LEVELS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
"""Below which corrected p-value how many stars stand."""

MOST_WARNINGS = 8


@dataclass(frozen=True)
class Text:
    """One cell.

    Arguments
    ---------
    value : str
        The mean, or a dash.
    deviation : str
        Over seeds; empty below two.
    bold : bool
        Whether it is the best of its column.
    stars : str
        Significance against the reference row.
    note : str
        Letter of a footnote; empty where there is none.
    """

    value: str
    deviation: str = ""
    bold: bool = False
    stars: str = ""
    note: str = ""


@dataclass(frozen=True)
class Line:
    """A line of a table; ``published`` lines hold the paper's figures below ours."""

    labels: tuple[str, ...]
    cells: tuple[Text, ...]
    published: bool = False


@dataclass(frozen=True)
class Page:
    """A table as text.

    Arguments
    ---------
    labels : tuple of str
        Heads of the columns that name the rows.
    blocks : tuple of (str, int)
        Title of each block of columns, and how many it has.
    heads : tuple of str
        Of the columns of figures.
    lines : tuple of Line
        The rows.
    notes : tuple of str
        What a reader has to know, footnotes last.
    """

    labels: tuple[str, ...]
    blocks: tuple[tuple[str, int], ...]
    heads: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]


def lay_out(found: Collected) -> Page:
    """A collected table as text."""
    table, letters = found.table, {}
    lines = []
    for row in table.rows:
        texts = [
            _text(found, found.entry(row, group), column, letters)
            for group in table.groups
            for column in table.columns
        ]
        lines.append(Line(row.labels, tuple(texts)))
        if row.published:
            lines.append(_published(found, row))
    return Page(
        table.labels,
        tuple((group.title, len(table.columns)) for group in table.groups),
        tuple(column.head for _ in table.groups for column in table.columns),
        tuple(lines),
        (*_notes(found), *(f"[{letter}] {text}" for text, letter in letters.items())),
    )


def best(found: Collected, group: Group, column: Column) -> str | None:
    """The best figure of a column as it is written; ``None`` where fewer than two rows have one."""
    means = [found.entry(row, group).mean(column) for row in found.table.rows]
    known = [value for value in means if value is not None]
    return column.write(max(known)) if len(known) > 1 else None


def _text(found: Collected, entry: Entry, column: Column, letters: dict[str, str]) -> Text:
    note = ""
    if entry.marks:
        text = "; ".join(_missing(entry))
        note = letters.setdefault(text, _letter(len(letters)))
    mean, deviation = entry.mean(column), entry.deviation(column)
    if mean is None:
        return Text("–", note=note)
    value = column.write(mean)
    p = entry.corrected.get(column.compared) if column.compared else None
    stars = next((mark for level, mark in LEVELS if p is not None and p < level), "")
    bold = value == best(found, entry.group, column)
    return Text(value, "" if deviation is None else column.write(deviation), bold, stars, note)


def _missing(entry: Entry) -> Iterator[str]:
    """What is missing in an entry, seeds and folds with the same fault together."""
    reasons: dict[str, list[str]] = {}
    for (seed, fold), reason in entry.marks.items():
        where = f"seed {seed}" + (f" fold {fold}" if entry.group.folds > 1 else "")
        reasons.setdefault(reason, []).append(where)
    for reason, places in reasons.items():
        yield f"{', '.join(places)}: {reason}"


def _letter(number: int) -> str:
    """a, b, …, z, aa, ab, …"""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def _published(found: Collected, row: Row) -> Line:
    """The paper's figures, with ours less theirs where ours are of real speech."""
    entry = found.entry(row, found.table.groups[0])
    texts = []
    for number, column in enumerate(found.table.columns):
        if number >= len(row.published):
            texts.append(Text(""))
            continue
        theirs, ours = row.published[number], entry.mean(column)
        text = column.write_published(theirs)
        if ours is not None and not found.synthetic:
            text += f" ({_signed(column, ours - theirs)})"
        texts.append(Text(text))
    blank = ("",) * (len(row.labels) - 1)
    return Line(("published", *blank), tuple(texts), published=True)


def _signed(column: Column, value: float) -> str:
    text = column.write(value)
    return text.replace("-", "−") if text.startswith("-") else f"+{text}"


def _notes(found: Collected) -> Iterator[str]:
    table = found.table
    if found.synthetic:
        yield "SYNTHETIC SPEECH: no figure of ours here says anything about human speech."
    seeds = ", ".join(map(str, table.seeds))
    yield f"Mean ± standard deviation over seeds {seeds}; CCC unless said otherwise; best in bold."
    entries = [entry for entry in found.entries if entry.interval]
    if table.reference is not None and len(table.rows) > 1:
        units = {(e.difference["unit"], e.difference["units"]) for e in entries if e.difference}
        over = " and ".join(f"{count:,} {unit}" for unit, count in sorted(units))
        yield (
            f"Stars: difference from “{table.reference}”, paired bootstrap on the same utterances "
            f"({found.resamples:,} resamples{f' of {over}' if over else ''}; mean over seeds under "
            f"one resample), Holm over the rows: * p < .05, ** p < .01, *** p < .001. Other seeds "
            f"may say otherwise: the deviation tells."
        )
    yield from dict.fromkeys(e.interval["note"] for e in entries if e.interval.get("note"))
    if any(row.published for row in table.rows):
        corpus = table.groups[0].corpus  # published figures belong to one group
        what = f"the paper's text, single runs on its in-house test set of {corpus}"
        against = (
            "not comparable with synthetic speech, so that no difference is given"
            if found.synthetic
            else "in brackets ours less theirs"
        )
        yield f"Published: {what}; {against}."
    if any(column.path[0] == "region_point" for column in table.columns):
        yield (
            "“Point”: region of the regressed point. “Head”: the region head on the development "
            "set, in the last epoch in which it was trained; afterwards it is stale."
        )
    if any(group.folds > 1 for group in table.groups):
        yield "Folds: CCC over all folds' predictions; each run's own figures stand in the CSV."
    for entry in found.entries:
        if entry.not_compared:
            yield f"{entry.row.name}: not compared with the reference: {entry.not_compared}"
    warnings = sorted({w for s in found.states.values() for w in s.warnings})
    yield from warnings[:MOST_WARNINGS]
    if len(warnings) > MOST_WARNINGS:
        more = len(warnings) - MOST_WARNINGS
        yield f"… and {more} more: `emosphere report` on the run says them."

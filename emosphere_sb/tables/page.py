"""Text of a table's cells, labels and notes, independent of the output format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from emosphere_sb.results.constants import SYNTHETIC_WARNING
from emosphere_sb.tables.collect import CollectedRuns, TableEntry
from emosphere_sb.tables.columns import Column
from emosphere_sb.tables.spec import Group, Row

LEVELS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
"""Significance stars and the corrected p-value below which each is shown."""

MAX_WARNINGS = 8


@dataclass(frozen=True)
class Text:
    """Text of one cell.

    Arguments
    ---------
    value : str
        Mean over seeds, or a dash.
    deviation : str
        SD over seeds; empty for fewer than two seeds.
    bold : bool
        Whether the value is the best in its column.
    stars : str
        Significance of the difference from the reference row.
    note : str
        Letter of a footnote; empty without a footnote.
    """

    value: str
    deviation: str = ""
    bold: bool = False
    stars: str = ""
    note: str = ""


@dataclass(frozen=True)
class Line:
    """Line of a table; ``published`` lines contain the paper's scores for the row above."""

    labels: tuple[str, ...]
    cells: tuple[Text, ...]
    published: bool = False


@dataclass(frozen=True)
class Page:
    """A table as text.

    Arguments
    ---------
    labels : tuple of str
        Headers of the label columns.
    blocks : tuple of (str, int)
        Title and number of columns of each block.
    headers : tuple of str
        Headers of the metric columns.
    lines : tuple of Line
        Lines of the table.
    notes : tuple of str
        Notes below the table; footnotes come last.
    """

    labels: tuple[str, ...]
    blocks: tuple[tuple[str, int], ...]
    headers: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]


def format_results_table(found: CollectedRuns) -> Page:
    """Format the results of a table as text."""
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
            lines.append(_published_line(found, row))
    return Page(
        table.labels,
        tuple((group.title, len(table.columns)) for group in table.groups),
        tuple(column.header for _ in table.groups for column in table.columns),
        tuple(lines),
        (*_notes(found), *(f"[{letter}] {text}" for text, letter in letters.items())),
    )


def best_value(found: CollectedRuns, group: Group, column: Column) -> str | None:
    """Return the best value of a column as text; ``None`` if fewer than two rows have values."""
    means = [found.entry(row, group).mean(column) for row in found.table.rows]
    known = [value for value in means if value is not None]
    return column.format(max(known)) if len(known) > 1 else None


def _text(found: CollectedRuns, entry: TableEntry, column: Column, letters: dict[str, str]) -> Text:
    note = ""
    if entry.problems:
        text = "; ".join(_missing(entry))
        note = letters.setdefault(text, _letter(len(letters)))
    mean, deviation = entry.mean(column), entry.deviation(column)
    if mean is None:
        return Text("–", note=note)
    value = column.format(mean)
    p = entry.corrected.get(column.compared) if column.compared else None
    stars = next((mark for level, mark in LEVELS if p is not None and p < level), "")
    bold = value == best_value(found, entry.group, column)
    return Text(value, "" if deviation is None else column.format(deviation), bold, stars, note)


def _missing(entry: TableEntry) -> Iterator[str]:
    """Generate a text for each problem of an entry, with the seeds and folds that it affects."""
    reasons: dict[str, list[str]] = {}
    for (seed, fold), reason in entry.problems.items():
        where = f"seed {seed}" + (f" fold {fold}" if entry.group.folds > 1 else "")
        reasons.setdefault(reason, []).append(where)
    for reason, places in reasons.items():
        yield f"{', '.join(places)}: {reason}"


def _letter(number: int) -> str:
    """Convert a footnote number to a letter: a, b, …, z, aa, ab, …"""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def _published_line(found: CollectedRuns, row: Row) -> Line:
    """Format the paper's scores and, except on synthetic speech, the difference of our mean."""
    entry = found.entry(row, found.table.groups[0])
    texts = []
    scores = found.table.published_scores(row)
    for column, published in zip(found.table.columns, scores, strict=True):
        if published is None:
            texts.append(Text(""))
            continue
        mean = entry.mean(column)
        text = column.format_published(published)
        if mean is not None and not found.synthetic:
            text += f" ({_format_signed(column, mean - published)})"
        texts.append(Text(text))
    blank = ("",) * (len(row.labels) - 1)
    return Line(("published", *blank), tuple(texts), published=True)


def _format_signed(column: Column, value: float) -> str:
    text = column.format(value)
    return text.replace("-", "−") if text.startswith("-") else f"+{text}"


def _format_units(differences: Sequence[Mapping]) -> str:
    """Return the number of resampled units, e.g. "120 and 240 utterances"."""
    counts: dict[str, set[int]] = {}
    for one in differences:
        counts.setdefault(one["unit"], set()).add(one["units"])
    return " and ".join(
        f"{' and '.join(f'{count:,}' for count in sorted(counts[unit]))} {unit}"
        for unit in sorted(counts)
    )


def _interval_notes(entries: Sequence[TableEntry], groups: Sequence[Group]) -> Iterator[str]:
    """Generate the notes on the intervals; with several test sets, each names its sets."""
    titles: dict[str, dict[str, None]] = {}
    for entry in entries:
        if note := entry.interval.get("note"):
            titles.setdefault(note, {})[entry.group.title] = None
    for note, sets in titles.items():
        yield f"{', '.join(sets)}: {note}" if len(groups) > 1 else note


def _notes(found: CollectedRuns) -> Iterator[str]:
    table = found.table
    if found.synthetic:
        yield SYNTHETIC_WARNING
    seeds = ", ".join(map(str, table.seeds))
    yield f"Mean ± SD over seeds {seeds}; CCC unless stated otherwise; best value in bold."
    entries = [entry for entry in found.entries if entry.interval]
    if table.reference is not None and len(table.rows) > 1:
        over = _format_units([entry.difference for entry in entries if entry.difference])
        first = table.reference == table.rows[0].name
        reference = f"the first row ({table.reference})" if first else f"“{table.reference}”"
        yield (
            f"Stars: significance of the difference from {reference} in a paired bootstrap "
            f"over the same utterances ({found.resamples:,} resamples"
            f"{f' of {over}' if over else ''}; each resample is shared by all seeds), with Holm "
            f"correction across rows: * p < .05, ** p < .01, *** p < .001. The test does not "
            f"account for the variation between seeds, which is shown by the SD."
        )
    yield from _interval_notes(entries, table.groups)
    if any(row.published for row in table.rows):
        corpus = table.groups[0].corpus  # published scores require a single group
        source = f"scores reported in the paper (single runs on its in-house {corpus} test set)"
        comparison = (
            "they are not comparable with scores on synthetic speech"
            if found.synthetic
            else "in parentheses: difference of our mean from the published score"
        )
        yield f"Published: {source}; {comparison}."
    if any(column.path[0] == "region_point" for column in table.columns):
        yield "“Point”: region of the predicted VAD point."
    paths = {column.path[0] for column in table.columns}
    if "head_last" in paths:
        yield (
            "“Head”: class predicted by the auxiliary head on the evaluated set, in the last epoch "
            "in which the head was trained."
        )
    if "head_tested" in paths:
        yield (
            "“Head at best epoch”: the same in the epoch that is tested, in which the head may no "
            "longer be trained."
        )
    if {"head_last", "head_tested"} <= paths and any(row.published for row in table.rows):
        yield (
            "The paper reports one macro F1 score and one accuracy of its region classifier and "
            "does not state the epoch; they are shown under both heads."
        )
    if any(group.folds > 1 for group in table.groups):
        yield "Folds: metrics of the pooled predictions; the CSV file lists those of each run."
    for entry in found.entries:
        if entry.not_compared:
            yield f"{entry.row.name}: not compared with the reference: {entry.not_compared}"
    warnings = sorted({w for s in found.states.values() for w in s.warnings})
    yield from warnings[:MAX_WARNINGS]
    if len(warnings) > MAX_WARNINGS:
        more = len(warnings) - MAX_WARNINGS
        yield f"Further warnings: {more}. To list them, use `emosphere report RUN`."

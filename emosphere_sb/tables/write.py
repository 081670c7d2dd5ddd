"""``results/tables/NAME.*``: Markdown, LaTeX, CSV, HTML and a plot of one collected table."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emosphere_sb.fileio.atomic import atomic_write
from emosphere_sb.report.html.table_page import table_page
from emosphere_sb.report.plots.all import pdf, png, table_figure
from emosphere_sb.results.provenance import recipe_command
from emosphere_sb.results.scores import figures
from emosphere_sb.tables.collect import Collected, Entry
from emosphere_sb.tables.columns import COLUMNS, Column
from emosphere_sb.tables.formats import html, latex, markdown
from emosphere_sb.tables.page import Page, lay_out

RUN_HEAD = (
    "table", "row", "preset", "trained_on", "tested_on", "set", "seed", "fold", "status",
    *COLUMNS, "head_epoch", "utterances", "run_folder", "commit", "command", "seconds", "machine",
    "versions",
)  # fmt: skip
SUMMARY_HEAD = (
    "table", "row", "tested_on", "set", "column", "seeds", "mean", "deviation", "low", "high",
    "unit", "units", "reference", "difference", "difference_low", "difference_high", "p", "p_holm",
    "published", "ours_less_published", "synthetic", "run_folders",
)  # fmt: skip


def write_table(found: Collected, folder: Path, *, command: str, origin: str) -> list[Path]:
    """Write a table in every format.

    Arguments
    ---------
    found : Collected
        The table.
    folder : Path
        Where to.
    command : str
        That made it.
    origin : str
        Versions and machine, in a line.

    Returns
    -------
    list of Path
        What was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page, name = lay_out(found), found.table.name
    origin = f"Made by `{command}` ({origin})."
    runs = list(run_lines(found))
    texts = {
        "md": f"{markdown(page, found.table.caption)}\n{origin}\n",
        "tex": latex(page, found.table.caption, name),
        "csv": _csv(RUN_HEAD, runs),
        "summary.csv": _csv(SUMMARY_HEAD, summary_lines(found)),
        "html": _html(found, page, runs, origin),
    }
    paths = []
    for ending, text in texts.items():
        paths.append(folder / f"{name}.{ending}")
        atomic_write(paths[-1], text)
    figure = _plot(found)
    for ending, picture in (("png", png(figure)), ("pdf", pdf(figure))):
        paths.append(folder / f"{name}.{ending}")
        paths[-1].write_bytes(picture)
    return paths


def run_lines(found: Collected) -> Iterator[dict[str, Any]]:
    """One line for each run of each row, marked ones included: where a figure comes from."""
    for entry in found.entries:
        for (seed, fold), cell in entry.cells.items():
            state = found.states[cell]
            line = {
                "table": found.table.name,
                "row": entry.row.name,
                "preset": cell.preset or "emosphere",
                "trained_on": cell.corpus,
                "tested_on": entry.group.tested_on,
                "set": cell.set,
                "seed": seed,
                "fold": fold,
                "status": entry.marks.get((seed, fold), "finished"),
                "run_folder": str(cell.folder),
                "command": recipe_command(cell.corpus, cell.command()),
            }
            if state.predictions is not None:
                line |= _figures_of(state)
            yield line


def _figures_of(state) -> dict[str, Any]:
    own = figures(state.predictions)
    head = state.metrics["protocol"].get("auxiliary_head") or {}
    own["head_seen"] = head
    run, versions = state.metrics["run"], state.metrics["protocol"]["versions"]
    values = {name: column.read(own) for name, column in COLUMNS.items()}
    return {
        **{name: "" if value != value else value for name, value in values.items()},
        "head_epoch": head.get("epoch", ""),
        "utterances": len(state.predictions),
        "commit": run["commit"] or "",
        "command": run["command"],
        "seconds": run["process_seconds"],
        "machine": run["machine"],
        "versions": " ".join(f"{name}={value}" for name, value in versions.items()),
    }


def summary_lines(found: Collected) -> Iterator[dict[str, Any]]:
    """One line for each figure that the table shows."""
    names = {column: name for name, column in COLUMNS.items()}
    for entry in found.entries:
        for number, column in enumerate(found.table.columns):
            published = entry.row.published
            theirs = published[number] if number < len(published) else None
            mean = entry.mean(column)
            line = {
                "table": found.table.name,
                "row": entry.row.name,
                "tested_on": entry.group.tested_on,
                "set": entry.group.set,
                "column": names[column],
                "seeds": " ".join(map(str, entry.by_seed)),
                "mean": mean,
                "deviation": entry.deviation(column),
                "published": theirs,
                "reference": found.table.reference,
                "synthetic": found.synthetic,
                "run_folders": " ".join(
                    shlex.quote(str(cell.folder)) for cell in dict.fromkeys(entry.cells.values())
                ),
            }
            if theirs is not None and mean is not None and not found.synthetic:
                line["ours_less_published"] = mean - theirs
            if column.compared and entry.interval:
                line |= _interval(entry, column)
            if column.compared and entry.difference:
                difference = entry.difference[column.compared]
                line |= {
                    "difference": difference["difference"],
                    "difference_low": difference["low"],
                    "difference_high": difference["high"],
                    "p": difference["p"],
                    "p_holm": entry.corrected.get(column.compared),
                }
            yield line


def interval_of(entry: Entry, column: Column) -> list[float] | None:
    """The 95% interval of a mean over seeds; ``None`` where it is not defined."""
    if not entry.interval or column.compared is None:
        return None
    found = entry.interval[column.compared]
    return found["ccc"] if isinstance(found, dict) else found


def _interval(entry: Entry, column: Column) -> dict[str, Any]:
    interval = interval_of(entry, column)
    low, high = interval if interval is not None else (None, None)
    return {
        "low": low,
        "high": high,
        "unit": entry.interval["unit"],
        "units": entry.interval["units"],
    }


def _csv(head: tuple[str, ...], lines) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, head, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _plot(found: Collected):
    """Every row of every block as a point with its interval."""
    column = COLUMNS["mean"] if COLUMNS["mean"] in found.table.columns else found.table.columns[0]
    number = found.table.columns.index(column)
    panels = []
    for group in found.table.groups:
        rows = []
        for row in found.table.rows:
            entry = found.entry(row, group)
            rows.append(
                {
                    "label": row.name,
                    "mean": entry.mean(column),
                    "interval": interval_of(entry, column),
                    "seeds": entry.values(column),
                    "published": (
                        row.published[number]
                        if number < len(row.published) and not found.synthetic
                        else None
                    ),
                    "reference": row.name == found.table.reference,
                }
            )
        panels.append((group.title, rows))
    name = "mean CCC over V, A, D" if column is COLUMNS["mean"] else column.head
    return table_figure(panels, xlabel=f"{name} (dots: seeds; bars: 95% intervals)")


def _html(found: Collected, page: Page, runs: list[dict], origin: str) -> str:
    facts = {
        "name": found.table.name,
        "caption": found.table.caption,
        "synthetic": found.synthetic,
        "notes": list(page.notes),
        "html_table": html(page),
        "runs": [
            {
                "row": line["row"],
                "corpus": line["trained_on"],
                "set": line["set"],
                "seed": line["seed"],
                "fold": line["fold"],
                "status": line["status"],
                "mean_ccc": line.get("mean"),
                "valence": line.get("valence"),
                "arousal": line.get("arousal"),
                "dominance": line.get("dominance"),
                "folder": line["run_folder"],
                "commit": line.get("commit"),
                "command": line["command"],
                "seconds": line.get("seconds"),
            }
            for line in runs
        ],
        "origin": origin,
    }
    return table_page(facts, png(_plot(found)))

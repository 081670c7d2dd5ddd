"""The report of a run as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from emosphere_sb.report.html.facts import facts_list
from emosphere_sb.report.html.markup import Markup, document, element, picture
from emosphere_sb.report.html.sections import (
    anchor,
    beside_section,
    comparison_section,
    figures_section,
    set_section,
)
from emosphere_sb.report.html.style import CSS
from emosphere_sb.report.plots.registry import Picture, pictures, scale_of, without_sphere
from emosphere_sb.report.plots.style import pdf
from emosphere_sb.results.constants import SYNTHETIC

SHOWN = ("title", "protocol", "run", "synthetic", "sets", "comparison", "beside", "warnings")
"""Keys of a report that have a place of their own; others stand in a list at the end."""


def run_page(
    report: Mapping,
    tables: Mapping[str, pd.DataFrame],
    log: Mapping | None = None,
    *,
    drawn: Sequence[Picture] | None = None,
) -> str:
    """A run's report as a page: pictures and style inside, nothing fetched, no script.

    Arguments
    ---------
    report : mapping
        ``title``; ``protocol`` and ``run`` as in ``metrics.json``; ``synthetic``; ``sets``, what
        ``evaluation.evaluate`` gives, by set; where there is one ``comparison``, what
        ``comparison.compare`` gives, by set; ``beside`` as in ``metrics.json``; ``warnings``, a
        list of str. Other keys are listed at the end of the page.
    tables : mapping of str to pandas.DataFrame
        Predictions by set, for the plots.
    log : mapping, optional
        As ``training_log.read_log`` gives it.
    drawn : sequence of Picture, optional
        The report's plots where they are drawn already.

    Returns
    -------
    str
        HTML. Whatever comes from the report or the tables is escaped.

    Raises
    ------
    KeyError
        If the report has no ``title``, ``protocol``, ``run`` or ``sets``.
    """
    shown: dict[tuple[str, str], list] = {}
    for item in pictures(report, tables, log) if drawn is None else drawn:
        shown.setdefault((item.set, item.section), []).append(
            picture(item.png, item.alt, item.caption)
        )
    sets = report["sets"]
    whole = report.get("comparison") or {}
    parts = [
        element("p", SYNTHETIC, class_="synthetic") if report.get("synthetic") else None,
        element("h1", report["title"]),
        _contents(report, log),
        _warnings(report),
        figures_section(sets, [name for name in tables if name not in sets]),
        comparison_section(whole) if whole else None,
        beside_section(report.get("beside") or {}, sets),
    ]
    for name, evaluation in sets.items():
        scale, note = scale_of(report), "There are no predictions to draw."
        if name in tables:
            note = without_sphere(tables[name], scale)
        pieces = {section: items for (of, section), items in shown.items() if of == name}
        parts.append(set_section(name, evaluation, pieces, note))
    if log is not None:
        parts.append(
            element("section", element("h2", "Training"), *shown["", "training"], id="training")
        )
    parts.append(_facts("Protocol", report["protocol"], "protocol"))
    parts.append(_facts("Run", report["run"], "run"))
    rest = {key: value for key, value in report.items() if key not in SHOWN}
    parts.append(_facts("Further facts", rest, "further") if rest else None)
    return document(report["title"], element("main", *parts), css=CSS)


def write_plots(
    report: Mapping,
    tables: Mapping[str, pd.DataFrame],
    folder: Path,
    log: Mapping | None = None,
    *,
    drawn: Sequence[Picture] | None = None,
) -> list[Path]:
    """Write every plot of a report as PNG and PDF.

    Arguments
    ---------
    report, tables, log, drawn
        As for :func:`run_page`.
    folder : path
        Made where it is missing. Characters of a set's name that a file name should not have become
        ``_``.

    Returns
    -------
    list of Path
        What was written, in the report's order. The same input gives the same bytes.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for item in pictures(report, tables, log) if drawn is None else drawn:
        for ending in ("png", "pdf"):
            path = folder / f"{anchor(item.name)}.{ending}"
            path.write_bytes(item.png if ending == "png" else pdf(item.figure))
            written.append(path)
    return written


def _contents(report: Mapping, log: Mapping | None) -> Markup:
    links = {"figures": "Figures"}
    links |= {"comparison": "Comparison"} if report.get("comparison") else {}
    links |= {f"set-{anchor(name)}": name for name in report["sets"]}
    links |= {"training": "Training"} if log is not None else {}
    links |= {"protocol": "Protocol", "run": "Run"}
    items = (element("li", element("a", text, href=f"#{target}")) for target, text in links.items())
    return element("nav", element("ul", *items), aria_label="contents")


def _warnings(report: Mapping) -> Markup | None:
    """Everything that anybody should know before reading a figure, above the figures."""
    lines = list(report.get("warnings") or [])
    for name, evaluation in report["sets"].items():
        lines += [f"{name}: {text}" for text in evaluation.get("warnings") or []]
    if not lines:
        return None
    items = element("ul", *(element("li", line) for line in lines))
    return element("section", element("h2", "Warnings"), items, class_="warnings", role="note")


def _facts(title: str, facts: Mapping, name: str) -> Markup:
    return element("section", element("h2", title), facts_list(facts), id=name)

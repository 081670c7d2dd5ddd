"""The report of a run as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from emosphere_sb.html import render
from emosphere_sb.report.html.facts import facts_list
from emosphere_sb.report.html.sections import (
    anchor,
    beside_section,
    comparison_section,
    figures_section,
    set_section,
)
from emosphere_sb.report.plots.registry import Picture, pictures, scale_of, without_sphere
from emosphere_sb.report.plots.style import DPI, pdf
from emosphere_sb.results.constants import SYNTHETIC

SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""First bytes of every PNG file."""

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
        view = picture(item.png, item.alt, item.caption)
        shown.setdefault((item.set, item.section), []).append(view)
    sets, sections = report["sets"], []
    for name, evaluation in sets.items():
        note = "There are no predictions to draw."
        if name in tables:
            note = without_sphere(tables[name], scale_of(report))
        pieces = {section: items for (of, section), items in shown.items() if of == name}
        sections.append(set_section(name, evaluation, pieces, note))
    page = render(
        "report/run.html.jinja",
        title=report["title"],
        synthetic=SYNTHETIC if report.get("synthetic") else None,
        contents=_contents(report, log),
        warnings=_warnings(report),
        figures=figures_section(sets, [name for name in tables if name not in sets]),
        comparison=comparison_section(report.get("comparison") or {}),
        beside=beside_section(report.get("beside") or {}, sets),
        sets=sections,
        training=None if log is None else shown["", "training"],
        facts=_facts(report),
    )
    return str(page)


def picture(png: bytes, alt: str, caption: str) -> dict[str, object]:
    """A PNG inside the page, with its caption.

    Arguments
    ---------
    png : bytes
        The file, drawn at 144 dots per inch.
    alt : str
        Alternative text for those who do not see the picture.
    caption : str
        Text below the picture.

    Returns
    -------
    dict
        ``data`` in base64, ``alt``, ``caption``, ``width`` and ``height`` in pixels of CSS, of
        which an inch has 96.

    Raises
    ------
    ValueError
        If the file is not a PNG, or the alternative text is empty.
    """
    if png[:8] != SIGNATURE or len(png) < 24:
        raise ValueError(
            f"A picture must be a PNG file; found {png[:8]!r}. Draw it with plots.png."
        )
    if not alt.strip():
        raise ValueError(f"A picture must have an alternative text; found {alt!r}.")
    width, height = (round(pixels * 96 / DPI) for pixels in struct.unpack(">II", png[16:24]))
    data = base64.b64encode(png).decode("ascii")
    return {"data": data, "alt": alt, "caption": caption, "width": width, "height": height}


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


def _contents(report: Mapping, log: Mapping | None) -> list[tuple[str, str]]:
    """Links: the section's id, and what it is called."""
    links = {"figures": "Figures"}
    links |= {"comparison": "Comparison"} if report.get("comparison") else {}
    links |= {f"set-{anchor(name)}": name for name in report["sets"]}
    links |= {"training": "Training"} if log is not None else {}
    return list((links | {"protocol": "Protocol", "run": "Run"}).items())


def _warnings(report: Mapping) -> list[str]:
    """Everything that anybody should know before reading a figure, above the figures."""
    lines = list(report.get("warnings") or [])
    for name, evaluation in report["sets"].items():
        lines += [f"{name}: {text}" for text in evaluation.get("warnings") or []]
    return lines


def _facts(report: Mapping) -> list[tuple]:
    """Sections of facts at the end: id, title, and a list."""
    rest = {key: value for key, value in report.items() if key not in SHOWN}
    parts = [("protocol", "Protocol", report["protocol"]), ("run", "Run", report["run"])]
    parts += [("further", "Further facts", rest)] if rest else []
    return [(id_, title, facts_list(facts)) for id_, title, facts in parts]

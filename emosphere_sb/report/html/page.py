"""HTML report of a run as a single, self-contained file."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from emosphere_sb.html import render
from emosphere_sb.report.html.metadata import metadata_list
from emosphere_sb.report.html.sections import (
    anchor,
    baselines_section,
    comparison_section,
    explanations,
    progress_section,
    scores_section,
    set_section,
)
from emosphere_sb.report.notes import grouped_notes
from emosphere_sb.report.plots.registry import Plot, draw_plots, missing_sphere_reason, report_scale
from emosphere_sb.report.plots.style import DPI, render_pdf
from emosphere_sb.results.constants import SYNTHETIC_WARNING

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""First bytes of every PNG file."""

HIDDEN_KEYS = ("training_data",)
"""Keys of the protocol that are for programs, not for readers."""
REPORT_KEYS = (
    "title", "protocol", "run", "synthetic", "unfinished", "sets", "comparison", "beside",
    "warnings",
)  # fmt: skip
"""Keys of a report that have a dedicated section; all others are listed at the end."""


def run_page(
    report: Mapping,
    tables: Mapping[str, pd.DataFrame],
    log: Mapping | None = None,
    *,
    drawn: Sequence[Plot] | None = None,
) -> str:
    """Render the HTML report of a run, without external resources or scripts.

    Arguments
    ---------
    report : mapping
        ``title``; ``protocol`` and ``run`` as in ``metrics.json``; ``synthetic``; ``sets``, the
        results of ``evaluate_predictions`` by set; optionally ``comparison``, the results of
        ``compare_systems`` by set; ``beside`` as in ``metrics.json``; ``warnings``, a list of str.
        ``unfinished``, the progress of an unfinished run. Other keys are listed at the end of the
        page.
    tables : mapping of str to pandas.DataFrame
        Predictions by set, for the plots.
    log : mapping, optional
        Training log as returned by ``read_train_log``.
    drawn : sequence of Plot, optional
        Plots of the report, if already drawn.

    Returns
    -------
    str
        HTML. All values from the report and the tables are escaped.

    Raises
    ------
    KeyError
        If the report has no ``title``, ``protocol``, ``run`` or ``sets``.
    """
    shown: dict[tuple[str, str], list] = {}
    for item in draw_plots(report, tables, log) if drawn is None else drawn:
        view = image_view(item.png, item.alt, item.caption)
        shown.setdefault((item.set, item.section), []).append(view)
    sets, sections, missing = report["sets"], [], {}
    for name, evaluation in sets.items():
        missing[name] = "No predictions to plot."
        if name in tables:
            missing[name] = missing_sphere_reason(tables[name], report_scale(report))
        pieces = {section: items for (of, section), items in shown.items() if of == name}
        sections.append(set_section(name, evaluation, pieces))
    texts = explanations(sections)
    page = render(
        "report/run.html.jinja",
        title=report["title"],
        synthetic=SYNTHETIC_WARNING if report.get("synthetic") else None,
        unfinished=progress_section(report.get("unfinished")),
        contents=_contents(report, log, bool(texts)),
        warnings=_warnings(report),
        scores=scores_section(sets, [name for name in tables if name not in sets], missing),
        comparison=comparison_section(report.get("comparison") or {}),
        baselines=baselines_section(report.get("beside") or {}, sets),
        sets=sections,
        training=None if log is None else shown["", "training"],
        explanations=texts,
        metadata=_metadata(report),
    )
    return str(page)


def image_view(png: bytes, alt: str, caption: str) -> dict[str, object]:
    """Prepare an embedded PNG image for the template.

    Arguments
    ---------
    png : bytes
        Content of a PNG file with 144 dots per inch.
    alt : str
        Alternative text.
    caption : str
        Caption below the image; may be empty.

    Returns
    -------
    dict
        ``data`` in base64, ``alt``, ``caption``, and ``width`` and ``height`` in CSS pixels (96 per
        inch).

    Raises
    ------
    ValueError
        If ``png`` is not a PNG file, or ``alt`` is empty.
    """
    if png[:8] != PNG_SIGNATURE or len(png) < 24:
        raise ValueError(
            f"An image must be a PNG file; found {png[:8]!r}. Use plots.style.render_png."
        )
    if not alt.strip():
        raise ValueError(f"An image must have alternative text; found {alt!r}.")
    width, height = (round(pixels * 96 / DPI) for pixels in struct.unpack(">II", png[16:24]))
    data = base64.b64encode(png).decode("ascii")
    return {"data": data, "alt": alt, "caption": caption, "width": width, "height": height}


def write_plots(
    report: Mapping,
    tables: Mapping[str, pd.DataFrame],
    folder: Path,
    log: Mapping | None = None,
    *,
    drawn: Sequence[Plot] | None = None,
) -> list[Path]:
    """Write all plots of a report as PNG and PDF files.

    Arguments
    ---------
    report, tables, log, drawn
        See :func:`run_page`.
    folder : path
        Output folder; created if missing. Special characters in set names are replaced with
        ``_`` in file names.

    Returns
    -------
    list of Path
        Written files in the order of the report. The output is reproducible byte by byte.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for item in draw_plots(report, tables, log) if drawn is None else drawn:
        for ending in ("png", "pdf"):
            path = folder / f"{anchor(item.name)}.{ending}"
            path.write_bytes(item.png if ending == "png" else render_pdf(item.figure))
            written.append(path)
    return written


def _contents(report: Mapping, log: Mapping | None, explained: bool) -> list[tuple[str, str]]:
    """Return the links of the table of contents: section ID and title."""
    links = {"progress": "Progress"} if report.get("unfinished") else {}
    links |= {"results": "Results"} if report["sets"] else {}
    links |= {"comparison": "Comparison"} if report.get("comparison") else {}
    links |= {f"set-{anchor(name)}": name for name in report["sets"]}
    links |= {"training": "Training"} if log is not None else {}
    links |= {"explanations": "Explanations"} if explained else {}
    return list((links | {"protocol": "Protocol", "run": "Run"}).items())


def _warnings(report: Mapping) -> list[str]:
    """Collect all warnings, which are shown above the results."""
    found = [
        (name, text)
        for name, evaluation in report["sets"].items()
        for text in evaluation.get("warnings") or []
    ]
    return [*(report.get("warnings") or []), *grouped_notes(found)]


def _metadata(report: Mapping) -> list[tuple]:
    """Return the metadata sections at the end of the page: ID, title and list."""
    rest = {key: value for key, value in report.items() if key not in REPORT_KEYS}
    protocol = {key: value for key, value in report["protocol"].items() if key not in HIDDEN_KEYS}
    parts = [("protocol", "Protocol", protocol), ("run", "Run", report["run"])]
    parts += [("further", "Additional information", rest)] if rest else []
    return [(id_, title, metadata_list(metadata)) for id_, title, metadata in parts]

"""HTML page of a results table, in which each score can be traced to its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emosphere_sb.html import render
from emosphere_sb.report.html.page import image_view
from emosphere_sb.results.constants import SYNTHETIC_WARNING
from emosphere_sb.results.number_format import UNDEFINED, format_duration, format_score

RUN_KEYS = ("row", "corpus", "set", "seed", "fold", "status")
"""Keys that identify a run. The first one is always shown."""

RESULT_HEADS = ("mean CCC", "V", "A", "D", "time", "command", "folder", "commit")

SCORE_KEYS = ("mean_ccc", "valence", "arousal", "dominance")


def table_page(content: Mapping, figure_png: bytes) -> str:
    """Render the page of a results table: table, plot, notes and runs.

    Arguments
    ---------
    content : mapping
        ``name``; ``caption``; ``synthetic``; ``notes``, a list of str; ``html_table``, rendered by
        :func:`emosphere_sb.tables.formats.to_html`; ``runs``, mappings with the keys ``row``,
        ``corpus``, ``set`` (optional), ``seed``, ``fold``, ``status``, ``mean_ccc``, ``valence``,
        ``arousal``, ``dominance`` (CCC or ``None``), ``folder``, ``commit``, ``command``,
        ``seconds``; and ``origin``, a sentence on how the table was generated.
    figure_png : bytes
        PNG of the figure returned by ``plot_table``.

    Returns
    -------
    str
        HTML without external resources or scripts. All values except ``html_table`` are escaped.

    Raises
    ------
    KeyError
        If ``content`` lacks a key.

    Example
    -------
    >>> from markupsafe import Markup
    >>> from matplotlib.figure import Figure
    >>> from emosphere_sb.report.plots.all import render_png
    >>> content = {"name": "t", "caption": "One < two", "synthetic": False, "notes": [],
    ...            "html_table": Markup("<table></table>"), "runs": [], "origin": "An example."}
    >>> page = table_page(content, render_png(Figure((1, 1))))
    >>> "<h1>One &lt; two</h1>" in page, "<table></table>" in page
    (True, True)
    """
    runs = content["runs"]
    keys = [key for key in RUN_KEYS if _show_column(runs, key)]
    page = render(
        "report/table.html.jinja",
        title=content["caption"],
        name=content["name"],
        synthetic=SYNTHETIC_WARNING if content["synthetic"] else None,
        html_table=content["html_table"],
        notes=content["notes"],
        plot=image_view(
            figure_png, _alternative_text(content, runs), "The results of the table as a plot."
        ),
        count=_count(runs),
        heads=[*keys, *RESULT_HEADS],
        runs=[_run(run, keys) for run in runs],
        origin=content["origin"],
    )
    return str(page)


def _alternative_text(content: Mapping, runs: Sequence[Mapping]) -> str:
    """Return alternative text for the plot: scores of the runs (the means are in the table)."""
    done = [run for run in runs if run["mean_ccc"] is not None]
    scores = "; ".join(
        f"{run['row']}, {run['corpus']}, seed {run['seed']}: {format_score(run['mean_ccc'])}"
        for run in done[:40]
    )
    more = f"; and {len(done) - 40} more below" if len(done) > 40 else ""
    return f"{content['caption']}. Mean CCC of the runs: {scores or 'none yet'}{more}."


def _count(runs: Sequence[Mapping]) -> str:
    """Describe the number of runs by status, in order of first occurrence."""
    statuses = [str(run["status"]) for run in runs]
    each = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    return f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}" + (f": {each}." if each else ".")


def _run(run: Mapping, keys: Sequence[str]) -> dict:
    """Return the template variables of one run: identifying keys, scores, command and folder."""
    return {
        "row": _or_dash(run["row"]),
        "cells": [
            *(_or_dash(run.get(key)) for key in keys[1:]),
            *(format_score(run[name]) for name in SCORE_KEYS),
            format_duration(run["seconds"]),
        ],
        "command": run["command"],
        "places": [_or_dash(run["folder"]), _or_dash(run["commit"])],
    }


def _show_column(runs: Sequence[Mapping], key: str) -> bool:
    """Return whether a column has values; the first column is always shown."""
    return key == "row" or any(run.get(key) not in (None, "") for run in runs)


def _or_dash(value: object) -> object:
    return UNDEFINED if value is None or value == "" else value

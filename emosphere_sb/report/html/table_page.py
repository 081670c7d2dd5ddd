"""A table of runs as one HTML file in which every figure can be traced to its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emosphere_sb.html import render
from emosphere_sb.report.html.page import picture
from emosphere_sb.results.constants import SYNTHETIC
from emosphere_sb.results.number_format import UNDEFINED, figure_text, seconds_text

KEYS = ("row", "corpus", "set", "seed", "fold", "status")
"""What tells runs apart; the first is always shown."""

HEADS = ("mean CCC", "V", "A", "D", "time", "command", "folder", "commit")

FIGURES = ("mean_ccc", "valence", "arousal", "dominance")


def table_page(facts: Mapping, figure_png: bytes) -> str:
    """The page of a table: the table, its picture, notes, and the runs behind it.

    Arguments
    ---------
    facts : mapping
        ``name``; ``caption``; ``synthetic``; ``notes``, a list of str; ``html_table`` as
        :func:`emosphere_sb.tables.formats.html` renders it; ``runs``, a mapping each with ``row``,
        ``corpus``, ``set`` (optional), ``seed``, ``fold``, ``status``, ``mean_ccc``, ``valence``,
        ``arousal``, ``dominance`` (CCC or ``None``), ``folder``, ``commit``, ``command``,
        ``seconds``; and ``origin``, what made the table.
    figure_png : bytes
        The picture, as ``plots.png`` gives it of ``plots.table_figure``.

    Returns
    -------
    str
        HTML that fetches nothing and has no script. All but a rendered ``html_table`` is escaped.

    Raises
    ------
    KeyError
        If a fact is missing.

    Example
    -------
    >>> from markupsafe import Markup
    >>> from matplotlib.figure import Figure
    >>> from emosphere_sb.report.plots.all import png
    >>> facts = {"name": "t", "caption": "One < two", "synthetic": False, "notes": [],
    ...          "html_table": Markup("<table></table>"), "runs": [], "origin": "Made by hand."}
    >>> page = table_page(facts, png(Figure((1, 1))))
    >>> "<h1>One &lt; two</h1>" in page, "<table></table>" in page
    (True, True)
    """
    runs = facts["runs"]
    keys = [key for key in KEYS if _any(runs, key)]
    page = render(
        "report/table.html.jinja",
        title=facts["caption"],
        name=facts["name"],
        synthetic=SYNTHETIC if facts["synthetic"] else None,
        html_table=facts["html_table"],
        notes=facts["notes"],
        plot=picture(figure_png, _alternative(facts, runs), "The same figures as a picture."),
        count=_count(runs),
        heads=[*keys, *HEADS],
        runs=[_run(run, keys) for run in runs],
        origin=facts["origin"],
    )
    return str(page)


def _alternative(facts: Mapping, runs: Sequence[Mapping]) -> str:
    """The figures of the runs, since the picture's own are in the table above it."""
    done = [run for run in runs if run["mean_ccc"] is not None]
    said = "; ".join(
        f"{run['row']}, {run['corpus']}, seed {run['seed']}: {figure_text(run['mean_ccc'])}"
        for run in done[:40]
    )
    more = f"; and {len(done) - 40} more below" if len(done) > 40 else ""
    return f"{facts['caption']}. Mean CCC of the runs: {said or 'none yet'}{more}."


def _count(runs: Sequence[Mapping]) -> str:
    """How many runs there are, by status, in the order in which they occur."""
    statuses = [str(run["status"]) for run in runs]
    each = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    return f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}" + (f": {each}." if each else ".")


def _run(run: Mapping, keys: Sequence[str]) -> dict:
    """A line of the runs; what a run is told by first, its command and place last."""
    return {
        "row": _given(run["row"]),
        "cells": [
            *(_given(run.get(key)) for key in keys[1:]),
            *(figure_text(run[name]) for name in FIGURES),
            seconds_text(run["seconds"]),
        ],
        "command": run["command"],
        "places": [_given(run["folder"]), _given(run["commit"])],
    }


def _any(runs: Sequence[Mapping], key: str) -> bool:
    """Whether a column has anything to say; the row names a line and always does."""
    return key == "row" or any(run.get(key) not in (None, "") for run in runs)


def _given(value: object) -> object:
    return UNDEFINED if value is None or value == "" else value

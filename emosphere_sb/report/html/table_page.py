"""A table of runs as one HTML file in which every figure can be traced to its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emosphere_sb.report.html.markup import (
    Markup,
    command,
    document,
    element,
    picture,
    scrolling,
    table,
)
from emosphere_sb.report.html.style import CSS
from emosphere_sb.results.constants import SYNTHETIC
from emosphere_sb.results.number_format import UNDEFINED, figure_text, seconds_text

FIGURES = ("mean_ccc", "valence", "arousal", "dominance")


def table_page(facts: Mapping, figure_png: bytes) -> str:
    """The page of a table: the table, its picture, notes, and the runs behind it.

    Arguments
    ---------
    facts : mapping
        ``name``; ``caption``; ``synthetic``; ``notes``, a list of str; ``html_table``, HTML of this
        project's own making, which stands as it is; ``runs``, a mapping each with ``row``,
        ``corpus``, ``set`` (optional), ``seed``, ``fold``, ``status``, ``mean_ccc``, ``valence``,
        ``arousal``, ``dominance`` (CCC or ``None``), ``folder``, ``commit``, ``command``,
        ``seconds``; and ``origin``, what made the table.
    figure_png : bytes
        The picture, as ``plots.png`` gives it of ``plots.table_figure``.

    Returns
    -------
    str
        HTML that fetches nothing and has no script. All but ``html_table`` is escaped.

    Raises
    ------
    KeyError
        If a fact is missing.

    Example
    -------
    >>> from matplotlib.figure import Figure
    >>> from emosphere_sb.report.plots.all import png
    >>> facts = {"name": "t", "caption": "One < two", "synthetic": False, "notes": [],
    ...          "html_table": "<table></table>", "runs": [], "origin": "Made by hand."}
    >>> page = table_page(facts, png(Figure((1, 1))))
    >>> "<h1>One &lt; two</h1>" in page, "<table></table>" in page
    (True, True)
    """
    runs = facts["runs"]
    body = [
        element("p", SYNTHETIC, class_="synthetic") if facts["synthetic"] else None,
        element("h1", facts["caption"]),
        element("p", facts["name"], class_="soft"),
        scrolling(Markup(facts["html_table"]), facts["caption"]),
        _notes(facts["notes"]),
        picture(figure_png, _alternative(facts, runs), "The same figures as a picture."),
        element("section", element("h2", "Runs"), _count(runs), _runs(runs), id="runs"),
        element("p", facts["origin"], class_="note"),
    ]
    return document(facts["caption"], element("main", *body), css=CSS)


def _notes(notes: Sequence[str]) -> Markup | None:
    if not notes:
        return None
    return element("ul", *(element("li", text) for text in notes), class_="note")


def _alternative(facts: Mapping, runs: Sequence[Mapping]) -> str:
    """The figures of the runs, since the picture's own are in the table above it."""
    done = [run for run in runs if run["mean_ccc"] is not None]
    said = "; ".join(
        f"{run['row']}, {run['corpus']}, seed {run['seed']}: {figure_text(run['mean_ccc'])}"
        for run in done[:40]
    )
    more = f"; and {len(done) - 40} more below" if len(done) > 40 else ""
    return f"{facts['caption']}. Mean CCC of the runs: {said or 'none yet'}{more}."


def _count(runs: Sequence[Mapping]) -> Markup:
    """How many runs there are, by status, in the order in which they occur."""
    statuses = [str(run["status"]) for run in runs]
    each = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    text = f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}" + (f": {each}." if each else ".")
    return element("p", f"{text} A command is selected whole by a click.", class_="note")


def _runs(runs: Sequence[Mapping]) -> Markup:
    """A line a run; what a run is told by first, its command and place last."""
    keys = [key for key in ("row", "corpus", "set", "seed", "fold", "status") if _any(runs, key)]
    heads = [*keys, "mean CCC", "V", "A", "D", "time", "command", "folder", "commit"]
    rows = [
        [
            *(_given(run.get(key)) for key in keys),
            *(figure_text(run[name]) for name in FIGURES),
            seconds_text(run["seconds"]),
            command(run["command"]) if run["command"] else UNDEFINED,
            element("code", _given(run["folder"])),
            element("code", _given(run["commit"])),
        ]
        for run in runs
    ]
    return element("div", table(heads, rows, label="runs"), class_="runs")


def _any(runs: Sequence[Mapping], key: str) -> bool:
    """Whether a column has anything to say; the row names a line and always does."""
    return key == "row" or any(run.get(key) not in (None, "") for run in runs)


def _given(value: object) -> object:
    return UNDEFINED if value is None or value == "" else value

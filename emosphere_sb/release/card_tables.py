"""Figures of a model card as Markdown, in which nothing that is quoted can be markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from emosphere_sb.release.model import About
from emosphere_sb.report.html.facts import fact_text
from emosphere_sb.report.read.runs import Run
from emosphere_sb.report.stats.calibration import calibration
from emosphere_sb.report.stats.intervals import intervals
from emosphere_sb.results.number_format import count_text, figure_text, interval_text
from emosphere_sb.scale import DIMENSIONS

CHOSEN_ON = "valid"
"""The set on which a run chooses its epoch."""
LEVEL = 0.95
SPECIAL = "\\`*_{}[]<>|"
"""Characters that Markdown reads as markup, unless they are escaped."""


def figures_table(run: Run, *, resamples: int, seed: int) -> list[str]:
    """CCC of every set with labels, with intervals, and what they are over.

    Returns
    -------
    list of str
        Paragraphs of Markdown.
    """
    rows, notes = [], []
    for name in run.labelled:
        found = intervals(run.tables[name], resamples=resamples, seed=seed, level=LEVEL)
        figures = run.metrics[name]
        cells = [_cell(figures[d]["ccc"], found[d]["ccc"]) for d in DIMENSIONS]
        mean = _cell(figures["mean_ccc"], found["mean_ccc"])
        unit = f"{count_text(found['units'])} {found['unit']}"
        rows.append([name, *cells, mean, count_text(figures["utterances"]), unit])
        notes += [f"- {quoted(name)}: {quoted(found['note'])}"] if found["note"] else []
    if not rows:
        return ["No set had labels, so there are no figures."]
    heads = ["set", *DIMENSIONS, "mean", "utterances", "resampled"]
    about = (
        f"Concordance correlation coefficient (CCC), with {100 * LEVEL:g}% intervals by bootstrap "
        f"over speakers, or over utterances where fewer than ten speakers are known: the last "
        f"column says which, and of how many."
    )
    if CHOSEN_ON in run.labelled:
        about += f" The weights were chosen on {CHOSEN_ON}: its figures flatter them."
    return [about, table(heads, rows), "\n".join(notes)]


def calibration_table(run: Run) -> list[str]:
    """How far predictions shrink towards the middle, by set and dimension."""
    rows = []
    for name in run.labelled:
        for dimension, facts in calibration(run.tables[name]).items():
            cells = [facts[key] for key in ("slope_of_prediction", "scale_ratio")]
            shift = run.metrics[name][dimension]["shift"]
            rows.append([name, dimension, *map(figure_text, [*cells, shift])])
    if not rows:
        return ["Not known: no set had labels."]
    return [
        "Slope: the regression of prediction on truth; below 1, predictions shrink towards the "
        "middle by so much. Scale ratio: standard deviation of the predictions over that of the "
        "truth. Shift: their difference in mean, over the geometric mean of the two deviations.",
        table(["set", "dimension", "slope", "scale ratio", "shift"], rows),
    ]


def words_table(about: About) -> list[str]:
    """Where the emotion words lie; nothing where the model has none."""
    if not about.words:
        return []
    rows = [[word, *(figure_text(value) for value in vad)] for word, vad in about.words.items()]
    return [
        "## Emotion words",
        "Mean place of the training set's utterances by their emotion, in [-1, 1]. A prediction's "
        "nearest words are measured from these.",
        table(["word", *DIMENSIONS], rows),
    ]


def _cell(value: float | None, ends) -> str:
    return f"{figure_text(value)} {interval_text(ends)}".strip()


def quoted(text: object) -> str:
    """A text as it is, on one line, whatever it looks like.

    Example
    -------
    >>> quoted("a|b <i> my_model")
    'a\\\\|b \\\\<i\\\\> my\\\\_model'
    """
    one_line = " ".join(str(text).split())
    return "".join(f"\\{letter}" if letter in SPECIAL else letter for letter in one_line)


def code(text: object) -> str:
    """A text to be copied; a backtick in it ends nothing.

    Example
    -------
    >>> code("a --b=c"), code("a`b")
    ('`a --b=c`', '`` a`b ``')
    """
    one_line = " ".join(str(text).split())
    return f"`` {one_line} ``" if "`" in one_line else f"`{one_line}`"


def fact_lines(facts: Mapping[str, object]) -> str:
    """A mapping as a list; mappings in it as a line of pairs.

    Example
    -------
    >>> print(fact_lines({"seed": 7, "utterances": {"train": 84030, "test1": 12}, "fold": None}))
    - seed: 7
    - utterances: train 84,030; test1 12
    - fold: –
    """
    return "\n".join(f"- {name}: {_shown(name, value)}" for name, value in facts.items())


def table(heads: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table with left-aligned first column; cells are quoted.

    Example
    -------
    >>> print(table(["set", "CCC"], [["test1", ".688"]]))
    | set | CCC |
    |:---|---:|
    | test1 | .688 |
    """
    lines = [_row(heads), "|:---" + "|---:" * (len(heads) - 1) + "|"]
    return "\n".join([*lines, *map(_row, rows)])


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(quoted, cells))} |"


def _shown(name: str, value: object) -> str:
    if name in ("command", "commit"):
        return code(value)
    if isinstance(value, Mapping):
        return "; ".join(f"{quoted(key)} {_shown(key, item)}" for key, item in value.items()) or "–"
    if isinstance(value, (list, tuple)):
        return ", ".join(_shown(name, item) for item in value) or "none"
    return quoted(fact_text(name, value))

"""Markdown tables of a model card, with escaped text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from emosphere_sb.release.model import ModelInfo
from emosphere_sb.report.html.metadata import format_metadata
from emosphere_sb.report.notes import grouped_notes
from emosphere_sb.report.read.runs import Run
from emosphere_sb.report.stats.calibration import calibration_metrics
from emosphere_sb.report.stats.intervals import confidence_intervals
from emosphere_sb.results.number_format import format_count, format_interval, format_score
from emosphere_sb.scale import DIMENSIONS

CHOSEN_ON = "valid"
"""Set on which the best epoch is selected."""
CONFIDENCE = 0.95
SPECIAL = "\\`*_{}[]<>|"
"""Characters that must be escaped in Markdown."""


def metrics_table(run: Run, *, resamples: int, seed: int) -> list[str]:
    """Return the CCC of all labelled sets with confidence intervals.

    Returns
    -------
    list of str
        Paragraphs of Markdown.
    """
    rows, notes = [], []
    for name in run.labelled:
        found = confidence_intervals(
            run.tables[name], resamples=resamples, seed=seed, level=CONFIDENCE
        )
        figures = run.metrics[name]
        cells = [_cell(figures[d]["ccc"], found[d]["ccc"]) for d in DIMENSIONS]
        mean = _cell(figures["mean_ccc"], found["mean_ccc"])
        unit = f"{format_count(found['units'])} {found['unit']}"
        rows.append([name, *cells, mean, format_count(figures["utterances"]), unit])
        notes += [(name, found["note"])] if found["note"] else []
    if not rows:
        return ["Not available: no set has labels."]
    heads = ["set", *DIMENSIONS, "mean", "utterances", "resampled"]
    explanation = (
        f"Concordance correlation coefficient (CCC) with {100 * CONFIDENCE:g}% confidence "
        f"intervals. The intervals are computed with a bootstrap over speakers, or over utterances "
        f"if fewer than ten speakers are known. The last column shows the number of resampled "
        f"units."
    )
    if CHOSEN_ON in run.labelled:
        explanation += (
            f" The best epoch was selected on {CHOSEN_ON}, so results on it are optimistic."
        )
    lines = [f"- {quoted(note)}" for note in grouped_notes(notes)]
    return [explanation, table(heads, rows), "\n".join(lines)]


def classes_table(run: Run, info: ModelInfo) -> list[str]:
    """Return the scores of the emotion head by set; an empty list for other models."""
    rows = []
    for name in run.labelled:
        scores = run.metrics[name].get("emotion_head") or {}
        if info.head == "emotion" and scores.get("n"):
            keys = ("accuracy", "macro_f1", "unweighted_recall")
            rows.append([name, format_count(scores["n"]), *(format_score(scores[k]) for k in keys)])
    if not rows:
        return []
    heads = ["set", "utterances of these emotions", "accuracy", "macro F1", "unweighted recall"]
    return ["Most probable emotion compared with the emotion label:", table(heads, rows)]


def calibration_table(run: Run) -> list[str]:
    """Return the slope, scale ratio and shift of the predictions by set and dimension."""
    rows = []
    for name in run.labelled:
        for dimension, facts in calibration_metrics(run.tables[name]).items():
            cells = [facts[key] for key in ("slope_of_prediction", "scale_ratio")]
            shift = run.metrics[name][dimension]["shift"]
            rows.append([name, dimension, *map(format_score, [*cells, shift])])
    if not rows:
        return ["Not available: no set has labels."]
    return [
        "Scale ratio: SD of the predictions divided by the SD of the labels; values below 1 mean "
        "that predictions shrink towards their mean. Slope: regression of predictions on labels, "
        "the conditional bias; below 1, low values are on average overestimated and high values "
        "underestimated. It equals Pearson correlation times scale ratio. Shift: "
        "difference of the means divided by the geometric mean of the SDs.",
        table(["set", "dimension", "slope", "scale ratio", "shift"], rows),
    ]


def words_table(info: ModelInfo) -> list[str]:
    """Return the table of emotion words, or an empty list for a model without them."""
    if not info.words:
        return []
    rows = [[word, *(format_score(value) for value in vad)] for word, vad in info.words.items()]
    return [
        "## Emotion words",
        "Mean VAD of the training utterances of each emotion, in [-1, 1]. The closest words to a "
        "prediction are those with the smallest distance to these points.",
        table(["word", *DIMENSIONS], rows),
    ]


def _cell(value: float | None, ends) -> str:
    return f"{format_score(value)} {format_interval(ends)}".strip()


def quoted(text: object) -> str:
    """Escape text for Markdown and join its lines.

    Example
    -------
    >>> quoted("a|b <i> my_model")
    'a\\\\|b \\\\<i\\\\> my\\\\_model'
    """
    one_line = " ".join(str(text).split())
    return "".join(f"\\{letter}" if letter in SPECIAL else letter for letter in one_line)


def code(text: object) -> str:
    """Format text as inline code, even if it contains backticks.

    Example
    -------
    >>> code("a --b=c"), code("a`b")
    ('`a --b=c`', '`` a`b ``')
    """
    one_line = " ".join(str(text).split())
    return f"`` {one_line} ``" if "`" in one_line else f"`{one_line}`"


def fact_lines(facts: Mapping[str, object]) -> str:
    """Format a mapping as a Markdown list, with nested mappings on one line.

    Example
    -------
    >>> print(fact_lines({"seed": 7, "utterances": {"train": 84030, "test1": 12}, "fold": None}))
    - seed: 7
    - utterances: train 84,030; test1 12
    - fold: –
    """
    return "\n".join(f"- {name}: {_format_fact(name, value)}" for name, value in facts.items())


def table(heads: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Format a Markdown table with a left-aligned first column. Cells are escaped.

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


def _format_fact(name: str, value: object) -> str:
    if name in ("command", "commit"):
        return code(value)
    if isinstance(value, Mapping):
        return (
            "; ".join(f"{quoted(key)} {_format_fact(key, item)}" for key, item in value.items())
            or "–"
        )
    if isinstance(value, (list, tuple)):
        return ", ".join(_format_fact(name, item) for item in value) or "none"
    return quoted(format_metadata(name, value))

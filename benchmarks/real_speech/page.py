"""Markdown table and figure of the results on real speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emosphere_sb.report.plots.all import plot_table, render_png
from emosphere_sb.results.number_format import format_p_value
from emosphere_sb.scale import DIMENSIONS
from emosphere_sb.tables.columns import COLUMNS
from real_speech.results import REFERENCE

PACKAGES = ("emosphere_sb", "python", "torch", "speechbrain", "transformers", "scikit-learn")
README_ROWS = (REFERENCE, "nested", "last_not_normalised", "svr")
"""Rows of the table in the README."""
_score = COLUMNS["mean"].format


def results_text(results: Mapping[str, Any]) -> str:
    """Return the generated part of docs/real_speech.md.

    Arguments
    ---------
    results : mapping
        Content of ``real_tables.json``.
    """
    data = results["data"]
    return "\n\n".join(
        [
            f"{data['utterances']} clips of {data['speakers']} speakers, {data['folds']} folds by "
            "speaker. CCC of the pooled predictions, mean ± SD over seeds, with the 95% interval "
            "of the mean CCC over speakers; difference of the mean CCC from `frozen` with its "
            "interval, and p-value after Holm's correction over all rows:",
            markdown_table(results["rows"]),
            "The split of the corpus (see `labels.csv`), which was not used for any choice:",
            markdown_table(results["own_test_split"]),
            cost_text(results),
            origin_text(results),
        ]
    )


def readme_text(results: Mapping[str, Any]) -> str:
    """Return the generated part of the README: the main rows, without settings that differ little.

    Arguments
    ---------
    results : mapping
        Content of ``real_tables.json``.
    """
    data = results["data"]
    rows = {row["name"]: row for row in results["rows"] if "ccc" in row}
    lines = [_line(["model", "V", "A", "D", "mean", "interval"]), _line(["---"] + ["---:"] * 5)]
    for name in README_ROWS:
        if name in rows:
            row = rows[name]
            cells = [_mean_and_sd(row["ccc"][key]) for key in (*DIMENSIONS, "mean_ccc")]
            label = row["setting"] if row["factor"] == "–" else f"{row['factor']}: {row['setting']}"
            lines.append(_line([label, *cells, _interval(row["interval"])]))
    return "\n".join(
        [
            f"Whisper base, {data['utterances']} acted clips of {data['speakers']} speakers, "
            f"{data['folds']} folds by speaker, mean ± SD over seeds "
            "([details](docs/real_speech.md)):",
            "",
            *lines,
        ]
    )


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a Markdown table of rows of ``real_tables.json``."""
    compared = any("difference" in row for row in rows)
    heads = ["factor", "setting", "V", "A", "D", "mean", "interval", "seeds"]
    heads += ["difference", "p"] if compared else []
    lines = [_line(heads), _line(["---"] * 2 + ["---:"] * (len(heads) - 2))]
    for row in rows:
        cells = [row["factor"], row["setting"]]
        if "ccc" not in row:
            unfinished = f"not finished ({row['finished']} of {row['runs']} runs)"
            lines.append(_line([*cells, unfinished, *[""] * (len(heads) - 3)]))
            continue
        cells += [_mean_and_sd(row["ccc"][name]) for name in (*DIMENSIONS, "mean_ccc")]
        cells += [_interval(row["interval"]), str(len(row["seeds"])) if row["runs"] else "–"]
        if compared:
            cells += _difference(row.get("difference"))
        lines.append(_line(cells))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _mean_and_sd(found: Mapping[str, float | None]) -> str:
    mean = _score(found["mean"])
    return mean if found["sd"] is None else f"{mean} ± {_score(found['sd'])}"


def _interval(ends: Sequence[float] | None) -> str:
    return "–" if ends is None else f"{_score(ends[0])} to {_score(ends[1])}"


def _difference(found: Mapping | None) -> list[str]:
    if found is None:
        return ["–", "–"]
    test = found["mean_ccc"]
    if test["difference"] is None:
        return ["undefined", "–"]
    ends = _interval([test["low"], test["high"]])
    return [f"{_score(test['difference'])} ({ends})", format_p_value(test["p_holm"])]


def cost_text(results: Mapping[str, Any]) -> str:
    """Describe the time that the runs took."""
    rows = [*results["rows"], *results["own_test_split"]]
    cpu = sum(row["cost"].get("cpu_seconds", 0) for row in rows)
    runs = sum(row["finished"] for row in rows)
    frozen = next(row for row in results["rows"] if row["name"] == REFERENCE)
    each = frozen["cost"].get("cpu_seconds", 0) / max(frozen["finished"], 1)
    return (
        f"CPU time: {cpu / 3600:.1f} hours for all {runs} runs; "
        f"{results['extraction']['cpu_seconds']:.0f} s to extract the features of `frozen`; and "
        f"{each:.0f} s on average for a run of `frozen` on these features, from the start to the "
        "scores."
    )


def origin_text(results: Mapping[str, Any]) -> str:
    """Return the command, versions and machine that produced the results."""
    versions = ", ".join(f"{name} {results['versions'][name]}" for name in PACKAGES)
    return (
        f"Generated by `{results['command']}` ({results['resamples']:,} resamples; {versions}; "
        f"{results['machine']})."
    )


def write_figure(path: Path, results: Mapping[str, Any]) -> None:
    """Plot mean CCC, interval and reference of each row."""
    rows = [
        {
            "label": f"{row['factor']}: {row['setting']}".removeprefix("–: ").replace("`", ""),
            "mean": row["ccc"]["mean_ccc"]["mean"] if "ccc" in row else None,
            "interval": row.get("interval"),
            "seeds": [],
            "published": None,
            "reference": row["name"] == REFERENCE,
        }
        for row in results["rows"]
    ]
    figure = plot_table(rows, "mean CCC (bars: 95% confidence intervals over speakers)")
    path.write_bytes(render_png(figure))

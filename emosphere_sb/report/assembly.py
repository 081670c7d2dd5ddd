"""Assemble the report on one system: evaluation, correction and comparison of each set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from emosphere_sb.report.read.file_lists import utterance_id
from emosphere_sb.report.read.runs import Run, common_metadata, common_sets
from emosphere_sb.report.stats.calibration import Correction
from emosphere_sb.report.stats.comparison import compare_systems
from emosphere_sb.report.stats.evaluation import evaluate_predictions, mean_metrics
from emosphere_sb.results.scores import prediction_metrics
from emosphere_sb.scale import Scale

DEVELOPMENT_SET = "valid"
"""Name of the development set, on which corrections are fitted."""


@dataclass(frozen=True)
class ReportRequest:
    """Options of a report.

    Arguments
    ---------
    sets : sequence of str
        Sets to report on. (default: all labelled sets)
    resamples, seed : int
        Number of resamples and seed of the bootstrap.
    correct : str, optional
        Kind of correction (see :class:`emosphere_sb.report.stats.calibration.Correction`).
    fit : pandas.DataFrame, optional
        Predictions on which to fit the correction. (default: the development set of each run)
    reference : sequence of Run
        Runs of the system to compare with.
    """

    sets: Sequence[str] = ()
    resamples: int = 10_000
    seed: int = 0
    correct: str | None = None
    fit: pd.DataFrame | None = None
    reference: Sequence[Run] = ()


@dataclass
class Report:
    """Content of a report, as expected by :func:`emosphere_sb.report.html.page.run_page`.

    Arguments
    ---------
    content : dict
        Content of ``report.json``: ``title``, ``protocol``, ``run``, ``synthetic``, ``sets``,
        ``beside``, ``warnings``; ``comparison`` if requested; and ``unfinished`` for an unfinished
        run.
    tables : dict of str to pandas.DataFrame
        Predictions of the first run by set, for scatter plots.
    corrections : list of Correction
        One correction per run, if requested.
    """

    content: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    corrections: list[Correction] = field(default_factory=list)


def assemble_report(runs: Sequence[Run], request: ReportRequest) -> Report:
    """Assemble the report on one system.

    Arguments
    ---------
    runs : sequence of Run
        Runs of the system. Metrics of several runs (seeds) are averaged.
    request : ReportRequest
        Options of the report.

    Returns
    -------
    Report
        The report.

    Raises
    ------
    ValueError
        If a requested set is missing, no set has labels, the runs do not match each other or
        the reference,
        or the predictions required to fit a correction are missing.
    """
    sets, warnings = _sets(runs, request.sets)
    corrections = _corrections(runs, request)
    evaluations = {
        name: evaluate_predictions(
            [run.tables[name] for run in runs], scale=_scale_of(name, runs),
            resamples=request.resamples, seed=request.seed, source=name,
            own=all(run.folder is not None and name not in run.changed for run in runs),
        )
        for name in sets
    }  # fmt: skip
    for name, evaluation in evaluations.items():
        if corrections:
            evaluation["calibration"] |= _correction_results(name, runs, corrections, request)
    warnings += [note for run in (*runs, *request.reference) for note in run.notes]
    protocol = _protocol(sets, runs)
    plotted, plot_notes = _plottable(sets, runs, protocol)
    if len(runs) > 1:
        warnings.append(
            f"Metrics are means over {len(runs)} runs. Scatter and sphere plots show the first "
            f"run, {runs[0].name}."
        )
    content: dict[str, Any] = {
        "title": _title(runs),
        "protocol": protocol,
        "run": _run_metadata(runs),
        "synthetic": any(run.protocol.get("synthetic", False) for run in runs),
        "sets": evaluations,
        "beside": common_metadata([run.metrics.get("beside", {}) for run in runs]),
        "warnings": warnings + plot_notes,
    }
    if runs[0].unfinished is not None:
        content["title"] += " (unfinished)"
        content["unfinished"] = dict(runs[0].unfinished)
    if request.reference:
        content["comparison"] = _comparison(sets, runs, request, content["warnings"])
    return Report(content, plotted, corrections)


def _sets(runs: Sequence[Run], wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names of the sets to report on, and notes about the others."""
    common, notes = common_sets(runs)
    if wrong := [name for name in wanted if name not in common]:
        raise ValueError(
            f"--set must be a labelled set predicted by all runs ({', '.join(common) or 'none'}); "
            f"found {', '.join(wrong)}."
        )
    if not common and runs[0].unfinished is None:
        raise ValueError(
            "At least one labelled set must be predicted by all runs; found none. "
            f"{' '.join(notes)}"
        )
    return (list(wanted), []) if wanted else (common, notes)


def _scale_of(name: str, runs: Sequence[Run]) -> Scale | None:
    scales = {run.scales[name] for run in runs} - {None}
    if len(scales) > 1:
        found = ", ".join(f"{run.name}: {run.scales[name]}" for run in runs)
        raise ValueError(f"All runs must use the same label scale for {name}; found {found}.")
    return scales.pop() if scales else None


def _corrections(runs: Sequence[Run], request: ReportRequest) -> list[Correction]:
    """Fit one correction per run, on its development set or on the given table."""
    if request.correct is None:
        return []
    if request.fit is not None:
        if len(runs) > 1:
            raise ValueError(
                f"--fit supports a single run; found {len(runs)} runs. Remove --fit to correct "
                f"each run using its own set {DEVELOPMENT_SET!r}, or average the runs with "
                f"--average."
            )
        return [Correction.fit(request.correct, request.fit)]
    lacking = [run.name for run in runs if DEVELOPMENT_SET not in run.labelled]
    if lacking:
        raise ValueError(
            f"A correction is fitted on the development set, but there is no labelled set "
            f"{DEVELOPMENT_SET!r} in {', '.join(lacking)}. Specify a file with --fit=DEV.csv."
        )
    return [Correction.fit(request.correct, run.tables[DEVELOPMENT_SET]) for run in runs]


def _correction_results(
    name: str, runs: Sequence[Run], corrections: Sequence[Correction], request: ReportRequest
) -> dict[str, Any]:
    """Return the metrics after the correction, and how the correction was fitted."""
    tables = [
        one.apply(run.tables[name], scale=run.scales[name], regions=run.regions)
        for one, run in zip(corrections, runs, strict=True)
    ]
    own = request.fit is None
    fitted_on = f"the '{DEVELOPMENT_SET}' set of each run" if own else "the file given with --fit"
    same = own and name == DEVELOPMENT_SET
    return {
        "corrected": {request.correct: mean_metrics(tables, prediction_metrics)},
        "correction_learned_on": f"{fitted_on} (this set)" if same else fitted_on,
        "not_corrected": list(dict.fromkeys(note for one in corrections for note in one.notes)),
    }


def _comparison(
    sets: Sequence[str], runs: Sequence[Run], request: ReportRequest, warnings: list[str]
) -> dict[str, Any]:
    """Compare both systems, with a paired test, on each set that both have predicted."""
    found = {}
    for name in sets:
        tables = [run.tables[name] for run in runs]
        reference = [_counterpart(name, runs[0], other) for other in request.reference]
        if any(table is None for table in reference):
            lacking = [
                other.name
                for other, table in zip(request.reference, reference, strict=True)
                if table is None
            ]
            warnings.append(
                f"No comparison for {name}: it was not predicted by {', '.join(lacking)}."
            )
            continue
        found[name] = compare_systems(
            tables, reference, resamples=request.resamples, seed=request.seed
        )
        found[name]["reference"] = [str(other.folder or other.name) for other in request.reference]
    if not found:
        raise ValueError(
            f"--compare requires predictions for the same utterances; found none of the sets "
            f"{', '.join(sets)} in {', '.join(other.name for other in request.reference)}."
        )
    return found


def _counterpart(name: str, run: Run, other: Run) -> pd.DataFrame | None:
    """Find the other system's predictions of a set by name, or by IDs if either is a CSV file."""
    table = run.tables[name]
    if run.folder is not None and other.folder is not None:
        return other.tables.get(name)
    keys = {utterance_id(i): i for i in table["ID"]}
    for candidate in (other.tables.get(name), *other.tables.values()):
        if candidate is not None and {utterance_id(i) for i in candidate["ID"]} == keys.keys():
            # The IDs differ only in folders and suffixes: use those of `run`.
            return candidate.assign(ID=[keys[utterance_id(i)] for i in candidate["ID"]])
    return None


def _title(runs: Sequence[Run]) -> str:
    metadata = common_metadata([run.protocol for run in runs])
    if not metadata:
        return ", ".join(run.name for run in runs)
    words = [str(metadata[key]) for key in ("corpus", "release", "preset") if metadata.get(key)]
    if members := metadata.get("members"):
        words.append(f"average of {len(members)} runs")
    elif len(runs) > 1:
        words.append(f"{len(runs)} runs")
    elif "seed" in metadata:
        words.append(f"seed {metadata['seed']}")
    return ", ".join(words)


def _protocol(sets: Sequence[str], runs: Sequence[Run]) -> dict[str, Any]:
    protocol = common_metadata([run.protocol for run in runs])
    scale = _scale_of(sets[0], runs) if sets else None
    if "scale" not in protocol and scale is not None:
        protocol["scale"] = scale.to_dict()
    return protocol


def _run_metadata(runs: Sequence[Run]) -> dict[str, Any]:
    if len(runs) == 1:
        (run,) = runs
        return dict(run.metrics.get("run", {"file": run.name}))
    return {
        "runs": [str(run.folder or run.name) for run in runs],
        "commands": [run.metrics.get("run", {}).get("command") for run in runs],
    }


def _plottable(
    sets: Sequence[str], runs: Sequence[Run], protocol: Mapping[str, Any]
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return the tables for scatter and sphere plots, without sets on a different label scale."""
    scale = Scale.from_dict(protocol["scale"]) if "scale" in protocol else None
    different = [name for name in sets if _scale_of(name, runs) not in (None, scale)]
    tables = {name: runs[0].tables[name] for name in sets if name not in different}
    notes = [
        f"No scatter and sphere plots for {name}: its label scale is different."
        for name in different
    ]
    return tables, notes

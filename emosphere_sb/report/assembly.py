"""One system's report put together: every set evaluated, corrected, and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from emosphere_sb.report.read.file_lists import stem
from emosphere_sb.report.read.runs import Run, common_facts, common_sets
from emosphere_sb.report.stats.calibration import Correction
from emosphere_sb.report.stats.comparison import compare
from emosphere_sb.report.stats.evaluation import evaluate, mean_figures
from emosphere_sb.results.scores import figures
from emosphere_sb.scale import Scale

DEVELOPMENT = "valid"
"""The set that corrections are learned on: a run's development set."""


@dataclass(frozen=True)
class Request:
    """What a report is to hold beside the figures.

    Arguments
    ---------
    sets : sequence of str
        To report on. (default: all that have labels)
    resamples, seed : int
        Of the bootstrap.
    correct : str, optional
        Kind of a correction, see :class:`emosphere_sb.report.stats.calibration.Correction`.
    fit : pandas.DataFrame, optional
        Predictions to learn the correction from. (default: each run's own development set)
    reference : sequence of Run
        Runs of another system to compare with.
    """

    sets: Sequence[str] = ()
    resamples: int = 10_000
    seed: int = 0
    correct: str | None = None
    fit: pd.DataFrame | None = None
    reference: Sequence[Run] = ()


@dataclass
class Report:
    """A report, as :func:`emosphere_sb.report.html.page.run_page` takes it.

    Arguments
    ---------
    facts : dict
        ``title``, ``protocol``, ``run``, ``synthetic``, ``sets``, ``comparison`` where there is
        one, ``beside``, ``warnings``.
    tables : dict of str to pandas.DataFrame
        What plots of points show, by set: the first run's.
    corrections : list of Correction
        One a run, where corrections were asked for.
    """

    facts: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    corrections: list[Correction] = field(default_factory=list)


def assemble(runs: Sequence[Run], request: Request) -> Report:
    """Put the report of one system together.

    Arguments
    ---------
    runs : sequence of Run
        One, or runs of one system over several seeds: figures are means over them.
    request : Request
        What else it is to hold.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        If a set that was asked for is not there, nothing has labels, the runs or the reference do
        not go together, or there is nothing to learn a correction from.
    """
    sets, warnings = _sets(runs, request.sets)
    corrections = _corrections(runs, request)
    evaluations = {
        name: evaluate(
            [run.tables[name] for run in runs], scale=_scale_of(name, runs),
            resamples=request.resamples, seed=request.seed, source=name,
            own=all(run.folder is not None and name not in run.changed for run in runs),
        )
        for name in sets
    }  # fmt: skip
    for name, evaluation in evaluations.items():
        if corrections:
            evaluation["calibration"] |= _corrected(name, runs, corrections, request)
    warnings += [note for run in (*runs, *request.reference) for note in run.notes]
    protocol = _protocol(sets, runs)
    drawn, odd = _drawable(sets, runs, protocol)
    if len(runs) > 1:
        warnings.append(
            f"Figures are means over {len(runs)} runs; pictures of points show the first, "
            f"{runs[0].name}."
        )
    facts = {
        "title": _title(runs),
        "protocol": protocol,
        "run": _run_facts(runs),
        "synthetic": any(run.protocol.get("synthetic", False) for run in runs),
        "sets": evaluations,
        "beside": common_facts([run.metrics.get("beside", {}) for run in runs]),
        "warnings": warnings + odd,
    }
    if request.reference:
        facts["comparison"] = _comparison(sets, runs, request, facts["warnings"])
    return Report(facts, drawn, corrections)


def _sets(runs: Sequence[Run], wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names of the sets to report on, and what has to be said about the others."""
    common, notes = common_sets(runs)
    if wrong := [name for name in wanted if name not in common]:
        raise ValueError(
            f"--set must name a set with labels that every run has predicted, one of "
            f"{', '.join(common) or 'none'}; found {', '.join(wrong)}."
        )
    if not common:
        raise ValueError(
            f"A report needs a set with labels that every run has predicted; found none. "
            f"{' '.join(notes)}"
        )
    return (list(wanted), []) if wanted else (common, notes)


def _scale_of(name: str, runs: Sequence[Run]) -> Scale | None:
    scales = {run.scales[name] for run in runs} - {None}
    if len(scales) > 1:
        said = ", ".join(f"{run.name}: {run.scales[name]}" for run in runs)
        raise ValueError(f"All runs must have {name} on one scale; found {said}.")
    return scales.pop() if scales else None


def _corrections(runs: Sequence[Run], request: Request) -> list[Correction]:
    """One for each run, learned from its development set or from the table that is given."""
    if request.correct is None:
        return []
    if request.fit is not None:
        if len(runs) > 1:
            raise ValueError(
                f"--fit is one run's predictions; found {len(runs)} runs. Leave it out, so that "
                f"each run is corrected by its own set {DEVELOPMENT!r}, or average them first."
            )
        return [Correction.fit(request.correct, request.fit)]
    lacking = [run.name for run in runs if DEVELOPMENT not in run.labelled]
    if lacking:
        raise ValueError(
            f"A correction is learned on predictions of the development set; {', '.join(lacking)} "
            f"has no labelled set {DEVELOPMENT!r}. Name a file with --fit=DEV.csv."
        )
    return [Correction.fit(request.correct, run.tables[DEVELOPMENT]) for run in runs]


def _corrected(
    name: str, runs: Sequence[Run], corrections: Sequence[Correction], request: Request
) -> dict[str, Any]:
    """Figures after the correction, and what must be known about it."""
    tables = [
        one.apply(run.tables[name], scale=run.scales[name], regions=run.regions)
        for one, run in zip(corrections, runs, strict=True)
    ]
    own = request.fit is None
    learned = f"the set {DEVELOPMENT} of each run" if own else "the file named with --fit"
    same = own and name == DEVELOPMENT
    return {
        "corrected": {request.correct: mean_figures(tables, figures)},
        "correction_learned_on": f"{learned}, which is this one" if same else learned,
        "not_corrected": list(dict.fromkeys(note for one in corrections for note in one.notes)),
    }


def _comparison(
    sets: Sequence[str], runs: Sequence[Run], request: Request, warnings: list[str]
) -> dict[str, Any]:
    """The paired comparison on every set that both systems have predicted."""
    found = {}
    for name in sets:
        ours = [run.tables[name] for run in runs]
        theirs = [_counterpart(name, runs[0], other) for other in request.reference]
        if any(table is None for table in theirs):
            lacking = [
                other.name
                for other, table in zip(request.reference, theirs, strict=True)
                if table is None
            ]
            warnings.append(f"{name} is not compared: {', '.join(lacking)} has no such set.")
            continue
        found[name] = compare(ours, theirs, resamples=request.resamples, seed=request.seed)
        found[name]["reference"] = [str(other.folder or other.name) for other in request.reference]
    if not found:
        raise ValueError(
            f"--compare needs predictions of the same utterances; of the sets {', '.join(sets)}, "
            f"found none in {', '.join(other.name for other in request.reference)}."
        )
    return found


def _counterpart(name: str, run: Run, other: Run) -> pd.DataFrame | None:
    """The other system's predictions of a set, by its name, or in a CSV by its utterances."""
    table = run.tables[name]
    if run.folder is not None and other.folder is not None:
        return other.tables.get(name)
    keys = {stem(i): i for i in table["ID"]}
    for candidate in (other.tables.get(name), *other.tables.values()):
        if candidate is not None and {stem(i) for i in candidate["ID"]} == keys.keys():
            # Only folders and endings differ: the ids of ours, so that they meet.
            return candidate.assign(ID=[keys[stem(i)] for i in candidate["ID"]])
    return None


def _title(runs: Sequence[Run]) -> str:
    facts = common_facts([run.protocol for run in runs])
    if not facts:
        return ", ".join(run.name for run in runs)
    words = [str(facts[key]) for key in ("corpus", "release", "preset") if facts.get(key)]
    if members := facts.get("members"):
        words.append(f"average of {len(members)} runs")
    elif len(runs) > 1:
        words.append(f"{len(runs)} runs")
    elif "seed" in facts:
        words.append(f"seed {facts['seed']}")
    return ", ".join(words)


def _protocol(sets: Sequence[str], runs: Sequence[Run]) -> dict[str, Any]:
    protocol = common_facts([run.protocol for run in runs])
    scale = _scale_of(sets[0], runs)
    if "scale" not in protocol and scale is not None:
        protocol["scale"] = scale.to_dict()
    return protocol


def _run_facts(runs: Sequence[Run]) -> dict[str, Any]:
    if len(runs) == 1:
        (run,) = runs
        return dict(run.metrics.get("run", {"file": run.name}))
    return {
        "runs": [str(run.folder or run.name) for run in runs],
        "commands": [run.metrics.get("run", {}).get("command") for run in runs],
    }


def _drawable(
    sets: Sequence[str], runs: Sequence[Run], protocol: Mapping[str, Any]
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Tables for the plots of points; a set on another scale than the report's has none."""
    scale = Scale.from_dict(protocol["scale"]) if "scale" in protocol else None
    odd = [name for name in sets if _scale_of(name, runs) not in (None, scale)]
    tables = {name: runs[0].tables[name] for name in sets if name not in odd}
    notes = [f"No pictures of points for {name}, which is on another scale." for name in odd]
    return tables, notes

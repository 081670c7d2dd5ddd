"""Measure the coverage of the intervals and the false positive rate of the test: ``make coverage``.

The script simulates test sets with a known CCC (see simulation.py). It counts how often the 95%
interval contains the true CCC, and how often the paired test at the 5% level finds a difference
between two systems with equal CCC. It then measures time and peak memory of 10,000 resamples of
50,000 predictions. It takes ten minutes and writes the tables in docs/statistics.md. For a quick
trial that writes nothing, use ``--sets=20``.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two processes, one thread each

import argparse
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd
from runs import DIMENSIONS, ROOT, origin, replace_between_markers
from simulation import DESIGNS, ONE, Design, simulate

from emosphere_sb.report.stats.comparison import compare_systems
from emosphere_sb.report.stats.intervals import confidence_intervals
from emosphere_sb.results.metrics_json import machine_description, package_versions, peak_memory
from emosphere_sb.results.predictions import PREDICTED

SEED = 1
SETS = 1000
SPEAKERS = (2, 10, 12, 50, 200)
RESAMPLES = 999
LEVEL, ALPHA = 0.95, 0.05
SEEDS = 3
SIZE = 50_000
COVERAGE = "coverage"
ONE_SEED, SOME_SEEDS = "false positives, 1 seed", f"false positives, {SEEDS} seeds"
TARGETS = {COVERAGE: (0.92, 0.98), ONE_SEED: (0.03, 0.07), SOME_SEEDS: (0.03, 0.07)}
MIN_SPEAKERS = 12
"""The targets apply to test sets with at least this number of speakers."""


def main(words: Sequence[str] | None = None) -> None:
    """Run the simulations, measure the cost, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=SETS, help="test sets per row")
    sets = parser.parse_args(words).sets
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        jobs = [
            (design, speakers, pool.submit(rates, design, speakers, sets))
            for design in DESIGNS
            for speakers in SPEAKERS
        ]
        found = [(design, speakers, job.result()) for design, speakers, job in jobs]
    costs = []
    for kind in ("speakers", "utterances"):
        with ProcessPoolExecutor(
            1, mp_context=spawn
        ) as pool:  # separate processes have separate peak memory
            costs.append((kind, *pool.submit(cost, kind).result()))
    metrics = {
        "protocol": {"versions": package_versions()},
        "run": {"machine": machine_description()},
    }
    text = "\n\n".join(
        [
            rates_table(found),
            verdict(found),
            f"Each row: {sets:,} test sets with {RESAMPLES} resamples each. The rates are accurate "
            f"to within {100 * 2 * np.sqrt(0.05 * 0.95 / sets):.1f} percentage points (two "
            f"standard "
            f"errors at a rate of 5%).",
            costs_table(costs),
            origin("make coverage", [SEED], metrics),
        ]
    )
    print(text)
    if sets == SETS:
        replace_between_markers(ROOT / "docs" / "statistics.md", "coverage", text)


def rates(design: Design, speakers: int, sets: int) -> dict:
    """Compute the coverage of the intervals and the false positive rate over many test sets.

    Arguments
    ---------
    design : Design
        Design of the test sets.
    speakers : int
        Number of speakers per set.
    sets : int
        Number of sets.

    Returns
    -------
    dict
        ``unit``, and for each key of ``TARGETS`` a pair of rates: for a single dimension (mean over
        the three), and for the mean CCC.
    """
    true = np.array([*(one.ccc for one in ONE), np.mean([one.ccc for one in ONE])])
    names = (*DIMENSIONS, "mean_ccc")
    hits: dict[str, list] = {name: [] for name in TARGETS}
    for number in range(sets):
        key = [SEED, DESIGNS.index(design), speakers, number]
        one, other = simulate(design, speakers, SEEDS, np.random.default_rng(key))
        settings = {"resamples": RESAMPLES, "level": LEVEL, "seed": number}
        found = confidence_intervals(one[0], **settings)
        limits = [*(found[name]["ccc"] for name in DIMENSIONS), found["mean_ccc"]]
        hits[COVERAGE].append(
            [low <= value <= high for (low, high), value in zip(limits, true, strict=True)]
        )
        for name, seeds in ((ONE_SEED, 1), (SOME_SEEDS, SEEDS)):
            tested = compare_systems(one[:seeds], other[:seeds], **settings)
            hits[name].append([tested[n]["p"] <= ALPHA for n in names])
    means = {name: np.mean(rows, axis=0) for name, rows in hits.items()}
    pairs = {name: (float(mean[:3].mean()), float(mean[3])) for name, mean in means.items()}
    return {"unit": found["unit"], **pairs}


def cost(kind: str) -> tuple[float, int, int]:
    """Measure the cost of 10,000 resamples: time in s, peak memory and initial memory in MiB."""
    rng = np.random.default_rng(SEED)
    names = rng.integers(SIZE // 25, size=SIZE).astype(str) if kind == "speakers" else ""
    table = pd.DataFrame({"ID": np.arange(SIZE).astype(str), "speaker": names})
    for name, column in zip(DIMENSIONS, PREDICTED, strict=True):
        table[name] = rng.standard_normal(SIZE)
        table[column] = 0.6 * table[name] + 0.6 * rng.standard_normal(SIZE)
    before, start = peak_memory()["peak_memory_mib"], time.perf_counter()
    found = confidence_intervals(table, resamples=10_000)
    seconds = time.perf_counter() - start
    if found["unit"] != kind:
        raise RuntimeError(f"Expected {kind} to be resampled; found {found['unit']}.")
    return seconds, peak_memory()["peak_memory_mib"], before


def rates_table(found: Sequence[tuple[Design, int, dict]]) -> str:
    """Return a Markdown table with one row per design and number of speakers."""
    lines = [
        "| test sets | speakers | utterances | resampled | "
        + " | ".join(f"{name}: single dimension | {name}: mean CCC" for name in TARGETS)
        + " |",
        "|" + "---|" * 10,
    ]
    for design, speakers, rate in found:
        cells = [f"{100 * value:.1f}%" for name in TARGETS for value in rate[name]]
        about = [design.name, speakers, f"{design.sizes(speakers).sum():,}", rate["unit"]]
        lines.append("| " + " | ".join(map(str, about + cells)) + " |")
    return "\n".join(lines)


def verdict(found: Sequence[tuple[Design, int, dict]]) -> str:
    """Return a sentence that lists the rates outside the targets for 12 or more speakers."""
    judged = [(d, n, rate) for d, n, rate in found if n >= MIN_SPEAKERS]
    missed = [
        f"{design.name}, {speakers} speakers ({name}: {100 * value:.1f}%)"
        for design, speakers, rate in judged
        for name, (low, high) in TARGETS.items()
        for value in rate[name]
        if not low <= value <= high
    ]
    c_low, c_high, a_low, a_high = (100 * v for v in (*TARGETS[COVERAGE], *TARGETS[ONE_SEED]))
    goal = (
        f"Targets for {MIN_SPEAKERS} or more speakers: coverage of {c_low:g} to {c_high:g}%, false "
        f"positives of {a_low:g} to {a_high:g}%."
    )
    return f"{goal} " + (
        f"Not met for: {'; '.join(missed)}." if missed else "All these rows meet the targets."
    )


def costs_table(costs: Sequence[tuple]) -> str:
    """Return a Markdown table with the time and memory for each resampling unit."""
    lines = [
        f"| 10,000 resamples of {SIZE:,} predictions | time | peak memory | of which before "
        "resampling (libraries and input table) |",
        "|---|---|---|---|",
    ]
    for kind, seconds, peak, before in costs:
        lines.append(
            f"| by {kind.removesuffix('s')} | {seconds:.1f} s | {peak} MiB | {before} MiB |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

"""Do the intervals cover, and does the test keep its level? ``make coverage``, ten minutes.

Simulated test sets with a known CCC (see simulation.py): how often the 95% interval holds it, and
how often the paired test at 5% finds a difference between two systems of equal CCC. Then time and
peak memory of 10,000 resamples of 50,000 predictions. Writes the table in docs/statistics.md;
``--sets=20`` is a quick try that writes nothing.
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
from runs import DIMENSIONS, ROOT, origin, put_between
from simulation import DESIGNS, ONE, Design, simulate

from emosphere_sb.report.stats.comparison import compare
from emosphere_sb.report.stats.intervals import intervals
from emosphere_sb.results.metrics_json import machine, memory, versions
from emosphere_sb.results.predictions import PREDICTED

SEED = 1
SETS = 1000
SPEAKERS = (2, 10, 12, 50, 200)
RESAMPLES = 999
LEVEL, ALPHA = 0.95, 0.05
SEEDS = 3
SIZE = 50_000
COVERAGE, ONE_SEED, SOME_SEEDS = "coverage", "false alarms, 1 seed", f"false alarms, {SEEDS} seeds"
WANTED = {COVERAGE: (0.92, 0.98), ONE_SEED: (0.03, 0.07), SOME_SEEDS: (0.03, 0.07)}
FROM = 12
"""Speakers from which on coverage and false alarms are meant to lie within these limits."""


def main(words: Sequence[str] | None = None) -> None:
    """Simulate, time, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=SETS, help="data sets of each row")
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
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:  # a peak of its own
            costs.append((kind, *pool.submit(cost, kind).result()))
    metrics = {"protocol": {"versions": versions()}, "run": {"machine": machine()}}
    text = "\n\n".join(
        [
            rates_table(found),
            verdict(found),
            f"{sets:,} test sets a row, {RESAMPLES} resamples each. The rates are known to "
            f"{100 * 2 * np.sqrt(0.05 * 0.95 / sets):.1f} points (two standard errors at 5%).",
            costs_table(costs),
            origin("make coverage", [SEED], metrics),
        ]
    )
    print(text)
    if sets == SETS:
        put_between(ROOT / "docs" / "statistics.md", "coverage", text)


def rates(design: Design, speakers: int, sets: int) -> dict:
    """Coverage of the intervals and false alarms of the tests, over many test sets.

    Arguments
    ---------
    design : Design
        How the test sets are made up.
    speakers : int
        How many speakers a set has.
    sets : int
        How many sets.

    Returns
    -------
    dict
        ``unit``, and for each key of ``WANTED`` a pair of rates: of a dimension (mean over the
        three), and of the mean CCC.
    """
    true = np.array([*(one.ccc for one in ONE), np.mean([one.ccc for one in ONE])])
    names = (*DIMENSIONS, "mean_ccc")
    hits: dict[str, list] = {name: [] for name in WANTED}
    for number in range(sets):
        key = [SEED, DESIGNS.index(design), speakers, number]
        one, other = simulate(design, speakers, SEEDS, np.random.default_rng(key))
        settings = {"resamples": RESAMPLES, "level": LEVEL, "seed": number}
        found = intervals(one[0], **settings)
        limits = [*(found[name]["ccc"] for name in DIMENSIONS), found["mean_ccc"]]
        hits[COVERAGE].append(
            [low <= value <= high for (low, high), value in zip(limits, true, strict=True)]
        )
        for name, seeds in ((ONE_SEED, 1), (SOME_SEEDS, SEEDS)):
            tested = compare(one[:seeds], other[:seeds], **settings)
            hits[name].append([tested[n]["p"] <= ALPHA for n in names])
    means = {name: np.mean(rows, axis=0) for name, rows in hits.items()}
    pairs = {name: (float(mean[:3].mean()), float(mean[3])) for name, mean in means.items()}
    return {"unit": found["unit"], **pairs}


def cost(kind: str) -> tuple[float, int, int]:
    """Seconds and peak MiB of 10,000 resamples of 50,000 predictions, and the MiB before."""
    rng = np.random.default_rng(SEED)
    names = rng.integers(SIZE // 25, size=SIZE).astype(str) if kind == "speakers" else ""
    table = pd.DataFrame({"ID": np.arange(SIZE).astype(str), "speaker": names})
    for name, column in zip(DIMENSIONS, PREDICTED, strict=True):
        table[name] = rng.standard_normal(SIZE)
        table[column] = 0.6 * table[name] + 0.6 * rng.standard_normal(SIZE)
    before, begin = memory()["peak_memory_mib"], time.perf_counter()
    found = intervals(table, resamples=10_000)
    seconds = time.perf_counter() - begin
    if found["unit"] != kind:
        raise RuntimeError(f"{kind} were to be resampled; found {found['unit']}.")
    return seconds, memory()["peak_memory_mib"], before


def rates_table(found: Sequence[tuple[Design, int, dict]]) -> str:
    """One row a design and number of speakers."""
    lines = [
        "| test sets | speakers | utterances | resampled | "
        + " | ".join(f"{name}: a dimension | mean CCC" for name in WANTED)
        + " |",
        "|" + "---|" * 10,
    ]
    for design, speakers, rate in found:
        cells = [f"{100 * value:.1f}%" for name in WANTED for value in rate[name]]
        about = [design.name, speakers, f"{design.sizes(speakers).sum():,}", rate["unit"]]
        lines.append("| " + " | ".join(map(str, about + cells)) + " |")
    return "\n".join(lines)


def verdict(found: Sequence[tuple[Design, int, dict]]) -> str:
    """Which rates from 12 speakers up miss the limits they are meant to keep."""
    judged = [(d, n, rate) for d, n, rate in found if n >= FROM]
    missed = [
        f"{design.name}, {speakers} speakers: {name} {100 * value:.1f}%"
        for design, speakers, rate in judged
        for name, (low, high) in WANTED.items()
        for value in rate[name]
        if not low <= value <= high
    ]
    c_low, c_high, a_low, a_high = (100 * v for v in (*WANTED[COVERAGE], *WANTED[ONE_SEED]))
    goal = (
        f"Meant from {FROM} speakers up: coverage of {c_low:g} to {c_high:g}%, false alarms of "
        f"{a_low:g} to {a_high:g}%."
    )
    return f"{goal} " + (
        f"Missed: {'; '.join(missed)}." if missed else "Every row from there on keeps to it."
    )


def costs_table(costs: Sequence[tuple]) -> str:
    """Time and memory by kind of unit."""
    lines = [
        f"| 10,000 resamples of {SIZE:,} predictions | time | peak memory | of it libraries and "
        "table |",
        "|---|---|---|---|",
    ]
    for kind, seconds, peak, before in costs:
        lines.append(f"| by {kind} | {seconds:.1f} s | {peak} MiB | {before} MiB |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

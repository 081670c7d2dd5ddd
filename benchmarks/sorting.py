"""Measure the effect of length bucketing on the CCC: ``make sorting``.

The script runs the demo (SYNTHETIC speech) with batches of similar lengths (the default) and with
random batches, with three seeds each. It takes 15 minutes on two cores and writes the table in
benchmarks/RESULTS.md.
"""

from __future__ import annotations

from demo_checks import SEEDS, SETS, write_demo_corpus
from runs import ROOT, origin, replace_between_markers, run_all, seeds_row, table

RESULTS = ROOT / "results" / "sorting"
BUCKET_BATCHES = {
    "batches of similar lengths (`--bucket_batches=8`)": 8,
    "random batches (`--bucket_batches=0`)": 0,
}


def main() -> None:
    """Run the experiments and write the table."""
    jobs = {}
    for pool in BUCKET_BATCHES.values():
        for seed in SEEDS:
            options = [f"--seed={seed}", "--preset=demo", "--acoustic_baseline=False"]
            folder = RESULTS / f"pool{pool}-{seed}"
            jobs[pool, seed] = ("MSP-Podcast", [*options, f"--bucket_batches={pool}"], folder)
    write_demo_corpus()
    metrics = run_all(jobs)
    rows = [
        seeds_row(f"{name}: {label}", [metrics[pool, seed][name] for seed in SEEDS])
        for name in SETS
        for label, pool in BUCKET_BATCHES.items()
    ]
    text = "\n\n".join([table(rows), origin("make sorting", SEEDS, metrics[8, SEEDS[0]])])
    replace_between_markers(ROOT / "benchmarks" / "RESULTS.md", "sorting", text)
    print(text)


if __name__ == "__main__":
    main()

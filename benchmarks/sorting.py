"""Does sorting by length cost accuracy? ``make sorting``, a quarter of an hour on two cores.

The demo (SYNTHETIC speech) with batches from pools sorted by length, as by default, and with
batches drawn at random, over three seeds. Writes the table in benchmarks/RESULTS.md.
"""

from __future__ import annotations

from demo_checks import SEEDS, SETS, make_corpus
from runs import ROOT, origin, put_between, run_all, seeds_row, table

RESULTS = ROOT / "results" / "sorting"
WAYS = {
    "pools sorted by length (`--bucket_batches=8`)": 8,
    "drawn at random (`--bucket_batches=0`)": 0,
}


def main() -> None:
    """Run, then write the table."""
    jobs = {}
    for pool in WAYS.values():
        for seed in SEEDS:
            options = [f"--seed={seed}", "--preset=demo", "--acoustic_baseline=False"]
            folder = RESULTS / f"pool{pool}-{seed}"
            jobs[pool, seed] = ("MSP-Podcast", [*options, f"--bucket_batches={pool}"], folder)
    make_corpus()
    metrics = run_all(jobs)
    rows = [
        seeds_row(f"{name}: {label}", [metrics[pool, seed][name] for seed in SEEDS])
        for name in SETS
        for label, pool in WAYS.items()
    ]
    text = "\n\n".join([table(rows), origin("make sorting", SEEDS, metrics[8, SEEDS[0]])])
    put_between(ROOT / "benchmarks" / "RESULTS.md", "sorting", text)
    print(text)


if __name__ == "__main__":
    main()

"""Is the demo corpus neither trivial nor leaking? ``make checks``, half an hour on two cores.

On the same split of synthetic speech: the model, ridge regression on five acoustic features, and
the model trained on shuffled labels. Writes the table in recipes/MSP-Podcast/README.md.
"""

from __future__ import annotations

from runs import DIMENSIONS, ROOT, origin, put_between, run_all, seeds_row, table

SEEDS = (1, 2, 3)
RESULTS = ROOT / "results" / "checks"
CORPUS = ROOT / "results" / "demo_corpus" / "MSP-Podcast" / "demo"
SETS = ("test1", "test2")


def main() -> None:
    """Run, then write the table."""
    jobs = {}
    for seed in SEEDS:
        # Ridge regression has no seed: once is enough.
        first = f"--acoustic_baseline={seed == SEEDS[0]}"
        options = [f"--seed={seed}", "--preset=demo", first]
        jobs[f"model-{seed}"] = ("MSP-Podcast", options, RESULTS / f"demo-{seed}")
    for seed in SEEDS:
        options = [f"--seed={seed}", "--preset=demo+shuffled_labels", "--acoustic_baseline=False"]
        jobs[f"shuffled-{seed}"] = ("MSP-Podcast", options, RESULTS / f"shuffled-{seed}")
    make_corpus()
    metrics = run_all(jobs)
    ridge = metrics[f"model-{SEEDS[0]}"]["beside"]["acoustic_baseline"]
    rows = []
    for name in SETS:
        rows += [
            seeds_row(f"{name}: `--preset=demo`", [metrics[f"model-{s}"][name] for s in SEEDS]),
            seeds_row(f"{name}: ridge regression, 5 features", [ridge[name]]),
            seeds_row(f"{name}: shuffled labels", [metrics[f"shuffled-{s}"][name] for s in SEEDS]),
            cap_row(name, metrics[f"model-{SEEDS[0]}"]["beside"]["cap"][name]),
        ]
    text = "\n\n".join([table(rows), origin("make checks", SEEDS, metrics["model-1"])])
    put_between(ROOT / "recipes" / "MSP-Podcast" / "README.md", "demo-checks", text)
    print(text)


def make_corpus() -> None:
    """Make the demo corpus once, before runs that would make it at the same time."""
    from data_prep.synthetic import write as synthetic

    synthetic.write("MSP-Podcast", CORPUS, size="demo")


def cap_row(name: str, cap: dict) -> str:
    """What a perfect model would reach: the raters' noise caps the CCC."""
    figures = {dimension: {"ccc": cap[dimension]} for dimension in DIMENSIONS}
    figures["mean_ccc"] = sum(cap[dimension] for dimension in DIMENSIONS) / len(DIMENSIONS)
    return seeds_row(f"{name}: cap by the raters' noise", [figures])


if __name__ == "__main__":
    main()

"""Check that the demo corpus is not trivial and has no label leakage: ``make checks``.

The script compares the model, ridge regression on five acoustic features, and the model trained on
shuffled labels, all on the same split of synthetic speech. It takes half an hour on two cores and
writes the table in recipes/MSP-Podcast/README.md.
"""

from __future__ import annotations

from runs import DIMENSIONS, ROOT, origin, replace_between_markers, run_all, seeds_row, table

SEEDS = (1, 2, 3)
RESULTS = ROOT / "results" / "checks"
CORPUS = ROOT / "results" / "demo_corpus" / "MSP-Podcast" / "demo"
SETS = ("test1", "test2")


def main() -> None:
    """Run the experiments and write the table."""
    jobs = {}
    for seed in SEEDS:
        # Ridge regression does not depend on the seed: compute it once.
        baseline = f"--acoustic_baseline={seed == SEEDS[0]}"
        options = [f"--seed={seed}", "--preset=demo", baseline]
        jobs[f"model-{seed}"] = ("MSP-Podcast", options, RESULTS / f"demo-{seed}")
    for seed in SEEDS:
        options = [f"--seed={seed}", "--preset=demo+shuffled_labels", "--acoustic_baseline=False"]
        jobs[f"shuffled-{seed}"] = ("MSP-Podcast", options, RESULTS / f"shuffled-{seed}")
    write_demo_corpus()
    metrics = run_all(jobs)
    ridge = metrics[f"model-{SEEDS[0]}"]["beside"]["acoustic_baseline"]
    rows = []
    for name in SETS:
        rows += [
            seeds_row(f"{name}: `--preset=demo`", [metrics[f"model-{s}"][name] for s in SEEDS]),
            seeds_row(f"{name}: ridge regression, 5 features", [ridge[name]]),
            seeds_row(f"{name}: shuffled labels", [metrics[f"shuffled-{s}"][name] for s in SEEDS]),
            upper_bound_row(name, metrics[f"model-{SEEDS[0]}"]["beside"]["cap"][name]),
        ]
    text = "\n\n".join([table(rows), origin("make checks", SEEDS, metrics["model-1"])])
    replace_between_markers(ROOT / "recipes" / "MSP-Podcast" / "README.md", "demo-checks", text)
    print(text)


def write_demo_corpus() -> None:
    """Write the demo corpus in advance, because the concurrent runs share it."""
    from data_prep.synthetic import write as synthetic

    synthetic.write("MSP-Podcast", CORPUS, size="demo")


def upper_bound_row(name: str, cap: dict) -> str:
    """Return a row with the CCC that a perfect model can reach given the noise of the raters."""
    scores = {dimension: {"ccc": cap[dimension]} for dimension in DIMENSIONS}
    scores["mean_ccc"] = sum(cap[dimension] for dimension in DIMENSIONS) / len(DIMENSIONS)
    return seeds_row(f"{name}: upper bound given the rater noise", [scores])


if __name__ == "__main__":
    main()

"""Check that the recipe learns from real speech: ``make learn TAVA=/path/to/tava``.

The script runs recipes/OwnData on TAVA (256 acted clips with real ratings, 16 speakers, a
speaker-independent split). It trains a small, randomly initialised WavLM with style pooling and
with mean pooling, with three seeds each. It takes about 15 minutes and writes the table in
recipes/OwnData/README.md. The scores do not indicate what to expect on MSP-Podcast, IEMOCAP or
MSP-IMPROV.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from runs import ROOT, add_tava, origin, replace_between_markers, run_all, seeds_row, table

SEEDS = (1, 2, 3)
RESULTS = ROOT / "results" / "learn"
PRESETS = {"style pooling": "learn", "mean pooling": "learn+mean_pooling"}


def main(words: Sequence[str] | None = None) -> None:
    """Run the experiments and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_tava(parser)
    options = parser.parse_args(words)
    jobs = {}
    for preset in PRESETS.values():
        for seed in SEEDS:
            arguments = [f"--data_folder={options.data}", f"--preset={preset}", f"--seed={seed}"]
            arguments += ["--label_low=-1", "--label_high=1", "--acoustic_baseline=False"]
            jobs[f"{preset}-{seed}"] = ("OwnData", arguments, RESULTS / f"{preset}-{seed}")
    metrics = run_all(jobs)
    rows = [
        seeds_row(name, [metrics[f"{preset}-{seed}"]["test"] for seed in SEEDS])
        for name, preset in PRESETS.items()
    ]
    text = "\n\n".join([table(rows), origin("make learn", SEEDS, metrics[f"learn-{SEEDS[0]}"])])
    replace_between_markers(ROOT / "recipes" / "OwnData" / "README.md", "learn", text)
    print(text)


if __name__ == "__main__":
    main()

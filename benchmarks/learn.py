"""Does the software learn from real speech? ``make learn TAVA=/path/to/tava``, about 15 minutes.

recipes/OwnData on TAVA (256 acted clips with real ratings, 16 speakers, a speaker-independent
split), a small WavLM of random weights, style pooling and mean pooling side by side, three seeds.
Writes the table in recipes/OwnData/README.md. It says that the software learns from real speech,
and nothing about MSP-Podcast, IEMOCAP or MSP-IMPROV.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from runs import ROOT, origin, put_between, run_all, seeds_row, table

SEEDS = (1, 2, 3)
RESULTS = ROOT / "results" / "learn"
ROWS = {"style pooling": "learn", "mean pooling": "learn+mean_pooling"}


def main() -> int:
    """Run, then write the table."""
    folder = Path(os.environ.get("TAVA", ROOT.parent / "shared" / "data" / "tava"))
    if not (folder / "labels.csv").is_file():
        print(f"learn needs the TAVA clips, and {folder}/labels.csv is not there. Set TAVA=/path.")
        return 0
    jobs = {}
    for row in ROWS.values():
        for seed in SEEDS:
            options = [f"--data_folder={folder}", f"--preset={row}", f"--seed={seed}"]
            options += ["--label_low=-1", "--label_high=1", "--acoustic_baseline=False"]
            jobs[f"{row}-{seed}"] = ("OwnData", options, RESULTS / f"{row}-{seed}")
    metrics = run_all(jobs)
    rows = [
        seeds_row(name, [metrics[f"{row}-{seed}"]["test"] for seed in SEEDS])
        for name, row in ROWS.items()
    ]
    text = "\n\n".join([table(rows), origin("make learn", SEEDS, metrics[f"learn-{SEEDS[0]}"])])
    put_between(ROOT / "recipes" / "OwnData" / "README.md", "learn", text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

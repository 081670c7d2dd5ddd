"""Report the time and memory of the demo: ``make demo-cost``.

First run ``make demo`` on an idle machine. The script reads the metrics.json of the demo and writes
the line in README.md and recipes/MSP-Podcast/README.md.
"""

from __future__ import annotations

import json

from runs import ROOT, origin, replace_between_markers

METRICS = ROOT / "results" / "MSP-Podcast-synthetic" / "demo" / "official" / "7" / "metrics.json"


def main() -> None:
    """Read the metrics and write the line to the README."""
    metrics = json.loads(METRICS.read_text(encoding="utf-8"))
    run = metrics["run"]
    text = (
        f"Total time: {run['process_seconds']:.0f} s (training: {run['training_seconds']:.0f} s); "
        f"peak memory: {run['peak_memory_mib']:,} MiB; mean CCC: "
        f"{metrics['test1']['mean_ccc']:.3f} on test1 and {metrics['test2']['mean_ccc']:.3f} on "
        "test2.\n\n" + origin("make demo; make demo-cost", [metrics["protocol"]["seed"]], metrics)
    )
    for page in (ROOT / "README.md", ROOT / "recipes" / "MSP-Podcast" / "README.md"):
        replace_between_markers(page, "demo-cost", text)
    print(text)


if __name__ == "__main__":
    main()

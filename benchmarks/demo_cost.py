"""Report time and memory of the demo: ``make demo`` on an idle machine, then ``make demo-cost``.

Reads the metrics.json of the demo and writes the line in recipes/MSP-Podcast/README.md.
"""

from __future__ import annotations

import json

from runs import ROOT, origin, put_between

METRICS = ROOT / "results" / "MSP-Podcast-synthetic" / "demo" / "official" / "7" / "metrics.json"


def main() -> None:
    """Read the metrics and write the line."""
    metrics = json.loads(METRICS.read_text(encoding="utf-8"))
    run = metrics["run"]
    text = (
        f"{run['process_seconds']:.0f} s ({run['training_seconds']:.0f} s for training) with a "
        f"peak memory of {run['peak_memory_mib']:,} MiB; mean CCC "
        f"{metrics['test1']['mean_ccc']:.3f} on test1 and {metrics['test2']['mean_ccc']:.3f} on "
        "test2.\n\n" + origin("make demo; make demo-cost", [metrics["protocol"]["seed"]], metrics)
    )
    put_between(ROOT / "recipes" / "MSP-Podcast" / "README.md", "demo-cost", text)
    print(text)


if __name__ == "__main__":
    main()

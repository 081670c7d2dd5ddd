"""What the demo costs: ``make demo`` on an idle machine, then ``make demo-cost``.

Writes the line in recipes/MSP-Podcast/README.md from the metrics.json that the demo left.
"""

from __future__ import annotations

import json

from runs import ROOT, origin, put_between

METRICS = ROOT / "results" / "MSP-Podcast-synthetic" / "demo" / "official" / "7" / "metrics.json"


def main() -> None:
    """Read, then write the line."""
    metrics = json.loads(METRICS.read_text(encoding="utf-8"))
    run = metrics["run"]
    text = (
        f"{run['process_seconds']:.0f} s, of which training took {run['training_seconds']:.0f} s, "
        f"and {run['peak_memory_mib']:,} MiB of memory at most; mean CCC on test1 "
        f"{metrics['test1']['mean_ccc']:.3f}, on test2 {metrics['test2']['mean_ccc']:.3f}.\n\n"
        + origin("make demo; make demo-cost", [metrics["protocol"]["seed"]], metrics)
    )
    put_between(ROOT / "recipes" / "MSP-Podcast" / "README.md", "demo-cost", text)
    print(text)


if __name__ == "__main__":
    main()

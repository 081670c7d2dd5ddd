"""Two tables on the demo corpus from one command: ``make tables``, under half an hour on two cores.

SYNTHETIC SPEECH. It runs what is missing, so that it can be stopped and started again, and puts the
tables into README.md.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from runs import ROOT, put_between

TABLES = ("ablation", "paper_table_1")
OPTIONS = ("--preset=demo_small", "--seeds=1,2,3", "--jobs=2")
RESULTS = ROOT / "results"


def main() -> int:
    """Run the tables as a user would, then write README.md."""
    began = time.time()
    words = ["table", *TABLES, *OPTIONS]
    status = subprocess.run([sys.executable, "-m", "emosphere_sb.cli", *words], cwd=ROOT).returncode
    minutes = (time.time() - began) / 60
    print(f"make tables took {minutes:.1f} minutes.")
    if status == 0:
        put_between(ROOT / "README.md", "tables", readme_text(RESULTS / "tables"))
    return status


def readme_text(folder: Path) -> str:
    """Both tables, each with its notes, and what made them."""
    parts = [(folder / f"{name}.md").read_text(encoding="utf-8").rstrip() for name in TABLES]
    return "\n\n".join([*parts, "Made by `make tables`: two runs at a time."])


if __name__ == "__main__":
    sys.exit(main())

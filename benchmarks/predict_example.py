"""What ``emosphere predict`` writes, for README.md: the demo's model on SYNTHETIC speech.

After ``make demo``: ``make predict-example``. ``--run=`` and ``--corpus=`` name another run and the
corpus that it was trained on.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from runs import ROOT, origin, put_between

RUN = ROOT / "results" / "MSP-Podcast-synthetic" / "demo" / "official" / "7"
CORPUS = ROOT / "results" / "demo_corpus" / "MSP-Podcast" / "demo"
SET = "test1"
COUNT = 3
SHOWN = (
    "file", "duration", "valence", "arousal", "dominance",
    "valence_on_scale", "arousal_on_scale", "dominance_on_scale", "region",
)  # fmt: skip


def main(words: Sequence[str] | None = None) -> None:
    """Release, predict, write."""
    options = parser().parse_args(words)
    metrics = json.loads((options.run / "metrics.json").read_text(encoding="utf-8"))
    names = first_files(options.run)
    files = [next(options.corpus.rglob(f"{name}.wav")) for name in names]
    with tempfile.TemporaryDirectory() as folder:
        emosphere("release", str(options.run), f"{folder}/model")
        emosphere("predict", f"{folder}/model", *map(str, files), f"--out={folder}/found.csv")
        with open(f"{folder}/found.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    seed = metrics["protocol"]["seed"]
    text = f"{table(rows)}\n\n{origin('make demo; make predict-example', [seed], metrics)}"
    put_between(ROOT / "README.md", "predict", text)
    print(text)


def first_files(run: Path) -> list[str]:
    """Ids of the first utterances of a run's test set."""
    with open(run / "predictions" / f"{SET}.csv", encoding="utf-8", newline="") as file:
        return [row["ID"] for row, _ in zip(csv.DictReader(file), range(COUNT), strict=False)]


def emosphere(*words: str) -> None:
    """Run a command of the package."""
    subprocess.run([sys.executable, "-m", "emosphere_sb.cli", *words], check=True)


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """The main columns as Markdown, and the names of the others."""
    others = [name for name in rows[0] if name not in SHOWN]
    lines = [f"| {' | '.join(SHOWN)} |", "|---" * len(SHOWN) + "|"]
    for row in rows:
        cells = [Path(row["file"]).name, *(short(row[name]) for name in SHOWN[1:])]
        lines.append(f"| {' | '.join(cells)} |")
    head = f"The first rows that `predict` writes for {SET} of the demo: SYNTHETIC SPEECH."
    named = ", ".join(f"`{name}`" for name in others)
    return "\n".join([head, "", *lines, "", f"Its other columns: {named}."])


def short(text: str) -> str:
    """A number with three decimals; other text as it is."""
    try:
        return f"{float(text):.3f}"
    except ValueError:  # the name of a region
        return text


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    made.add_argument("--run", type=Path, default=RUN, help="a finished run of preset demo")
    made.add_argument("--corpus", type=Path, default=CORPUS, help="the corpus of that run")
    return made


if __name__ == "__main__":
    main()

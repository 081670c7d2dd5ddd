"""Write example output of ``emosphere predict`` on SYNTHETIC speech to docs/inference.md.

First run ``make demo``, then ``make predict-example``. Use ``--run=`` and ``--corpus=`` for another
run and the corpus on which it was trained.
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

from runs import ROOT, origin, replace_between_markers

RUN = ROOT / "results" / "MSP-Podcast-synthetic" / "demo" / "official" / "7"
CORPUS = ROOT / "results" / "demo_corpus" / "MSP-Podcast" / "demo"
SET = "test1"
COUNT = 3
SHOWN = (
    "file", "duration", "valence", "arousal", "dominance",
    "valence_on_scale", "arousal_on_scale", "dominance_on_scale", "region",
)  # fmt: skip


def main(words: Sequence[str] | None = None) -> None:
    """Release the model, predict the first files of the test set, and write the table."""
    options = build_parser().parse_args(words)
    metrics = json.loads((options.run / "metrics.json").read_text(encoding="utf-8"))
    names = first_utterance_ids(options.run)
    files = [next(options.corpus.rglob(f"{name}.wav")) for name in names]
    with tempfile.TemporaryDirectory() as folder:
        emosphere("release", str(options.run), f"{folder}/model")
        emosphere("predict", f"{folder}/model", *map(str, files), f"--out={folder}/predictions.csv")
        with open(f"{folder}/predictions.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    seed = metrics["protocol"]["seed"]
    text = f"{table(rows)}\n\n{origin('make demo; make predict-example', [seed], metrics)}"
    replace_between_markers(ROOT / "docs" / "inference.md", "predict", text)
    print(text)


def first_utterance_ids(run: Path) -> list[str]:
    """Return the IDs of the first utterances of a run's test set."""
    with open(run / "predictions" / f"{SET}.csv", encoding="utf-8", newline="") as file:
        return [row["ID"] for row, _ in zip(csv.DictReader(file), range(COUNT), strict=False)]


def emosphere(*words: str) -> None:
    """Run an ``emosphere`` command."""
    subprocess.run([sys.executable, "-m", "emosphere_sb.cli", *words], check=True)


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return the main columns as Markdown, followed by the names of the other columns."""
    others = [name for name in rows[0] if name not in SHOWN]
    lines = [f"| {' | '.join(SHOWN)} |", "|---" * len(SHOWN) + "|"]
    for row in rows:
        cells = [Path(row["file"]).name, *(format_cell(row[name]) for name in SHOWN[1:])]
        lines.append(f"| {' | '.join(cells)} |")
    head = f"First rows of the output of `predict` on the demo's {SET} set (synthetic speech):"
    named = ", ".join(f"`{name}`" for name in others)
    return "\n".join([head, "", *lines, "", f"The output also has the columns {named}."])


def format_cell(text: str) -> str:
    """Round numbers to three decimals and return other text unchanged."""
    try:
        return f"{float(text):.3f}"
    except ValueError:  # a region name
        return text


def build_parser(description: str = __doc__) -> argparse.ArgumentParser:
    """Build the command-line parser."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument(
        "--run", type=Path, default=RUN, help="folder of a finished run of the demo preset"
    )
    parser.add_argument(
        "--corpus", type=Path, default=CORPUS, help="folder of the corpus of that run"
    )
    return parser


if __name__ == "__main__":
    main()

"""Results tables on real speech: ``make real-tables TAVA=… ENCODER=…``.

The script trains on TAVA (256 acted clips with real ratings, 16 speakers) with a pretrained Whisper
base encoder, cross-validated by speaker: one factor at a time around the preset ``frozen``, support
vector regression and ridge regression. It takes at most 2.5 hours on two idle cores, and writes
benchmarks/real_tables.json, the table in docs/real_speech.md and its figure. Finished runs are
skipped: to continue after an interruption, run it again.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from real_speech.cells import Settings, run_missing
from real_speech.page import readme_text, results_text, write_figure
from real_speech.results import collect_results, write_results
from runs import ROOT, add_encoder, add_tava, replace_between_markers


def main(words: Sequence[str] | None = None) -> int:
    """Run the missing runs and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add_tava(parser)
    add_encoder(parser)
    add("--tables", type=Path, default=ROOT / "benchmarks" / "real_tables.yaml")
    add("--results", type=Path, default=ROOT / "results" / "real_tables", help="folder for runs")
    add("--jobs", type=int, default=2, help="number of parallel runs")
    add("--resamples", type=int, default=10_000, help="number of bootstrap resamples")
    add("--only_collect", action="store_true", help="start no runs; use the finished ones")
    add("--output", type=Path, help="folder for the results, instead of those named above")
    options = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    os.chdir(ROOT)  # the runs read hparams/emosphere.yaml
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # parallel runs would compete for the cores
    settings = Settings(
        options.data, options.encoder, options.tables.resolve(),
        options.results.resolve(), options.jobs, options.resamples,
    )  # fmt: skip
    runs = run_missing(settings, only_collect=options.only_collect)
    results = collect_results(settings, runs, command="make real-tables")
    write_all(results, options.output)
    for cell, problem in runs.problems.items():
        print(f"{cell.folder}: {problem}", file=sys.stderr)
    return 1 if runs.problems else 0


def write_all(results: dict, output: Path | None) -> None:
    """Write the results file, the table and the figure."""
    text = results_text(results)
    print(text)
    if output is None:
        write_results(ROOT / "benchmarks" / "real_tables.json", results)
        write_figure(ROOT / "docs" / "real_speech.png", results)
        replace_between_markers(ROOT / "docs" / "real_speech.md", "real-speech", text)
        replace_between_markers(ROOT / "README.md", "real-speech", readme_text(results))
    else:
        output.mkdir(parents=True, exist_ok=True)
        write_results(output / "real_tables.json", results)
        write_figure(output / "real_speech.png", results)
        (output / "real_speech.md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

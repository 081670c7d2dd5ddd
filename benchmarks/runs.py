"""Run recipes as a user would, several at a time, and put their figures into a README.

Every table says what made it; none is typed.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIMENSIONS = ("valence", "arousal", "dominance")


def run_recipe(recipe: str, options: Sequence[str], folder: Path) -> dict:
    """Run ``recipes/<recipe>/train.py`` in a process of its own; returns its metrics.json."""
    command = [sys.executable, f"recipes/{recipe}/train.py", "hparams/emosphere.yaml"]
    command += [*options, f"--output_folder={folder}", "--noprogressbar"]
    shutil.rmtree(folder, ignore_errors=True)  # a run is made anew, never continued
    folder.mkdir(parents=True)
    print(" ".join(command[1:]), flush=True)
    # One thread each: several runs on two threads each wait for one another's threads.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with open(folder / "screen.txt", "w", encoding="utf-8") as screen:
        status = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=screen, stderr=subprocess.STDOUT, check=False
        )
    if status.returncode:
        raise RuntimeError(f"{' '.join(command)} failed; see {folder / 'screen.txt'}.")
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def run_all(jobs: Mapping[str, tuple], *, at_once: int = 2) -> dict[str, dict]:
    """Run several recipes, ``at_once`` at a time: name to (recipe, options, folder)."""
    with ThreadPoolExecutor(at_once) as pool:
        running = {name: pool.submit(run_recipe, *job) for name, job in jobs.items()}
        return {name: job.result() for name, job in running.items()}


def seeds_row(name: str, figures: Sequence[Mapping]) -> str:
    """One Markdown row: mean and standard deviation over seeds of each CCC and their mean."""
    columns = [[f[d]["ccc"] for f in figures] for d in DIMENSIONS]
    columns.append([f["mean_ccc"] for f in figures])
    return f"| {name} | " + " | ".join(map(spread, columns)) + f" | {len(figures)} |"


def spread(values: Sequence[float]) -> str:
    """``0.612 ± 0.010``, or the value alone where there is one."""
    mean = f"{statistics.mean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def table(rows: Sequence[str]) -> str:
    """A Markdown table under the usual heads."""
    heads = "| | valence | arousal | dominance | mean CCC | seeds |\n|---|---|---|---|---|---|"
    return "\n".join([heads, *rows])


def origin(command: str, seeds: Sequence[int], metrics: Mapping) -> str:
    """One line: what made a table, with seeds, versions and machine."""
    kept = ("emosphere_sb", "python", "torch", "speechbrain", "transformers")
    versions = ", ".join(f"{name} {metrics['protocol']['versions'][name]}" for name in kept)
    numbers = ", ".join(map(str, seeds))
    return f"Made by `{command}` (seeds {numbers}; {versions}; {metrics['run']['machine']})."


def put_between(path: Path, name: str, text: str) -> None:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->`` in a file."""
    whole = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if whole.count(begin) != 1 or whole.count(end) != 1:
        raise ValueError(f"{path} must hold {begin} and {end} once each.")
    head, tail = whole.split(begin)[0], whole.split(end)[1]
    path.write_text(f"{head}{begin}\n{text}\n{end}{tail}", encoding="utf-8")

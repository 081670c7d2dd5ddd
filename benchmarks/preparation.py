"""What preparing a corpus costs: time and memory against its size, first and second start.

``make preparation`` makes trees in the layout of MSP-Podcast 2.0, whose audio is
hard links to a few files, prepares each in a process of its own, starts a second time with nothing
changed, and writes benchmarks/RESULTS.md. The full size is the 264,705 rows of release 2.0.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from runs import ROOT, put_between

SIZES = (2_647, 26_470, 264_705)
LINKED = 64  # different files behind the links; ext4 allows 65,000 links to one
SPLITS = ("Train", "Train", "Train", "Train", "Train", "Development", "Test1", "Test2")
EMOTIONS = "ASHUFDCNOX"
# In a process of its own: imports, preparation, and the most memory that was held.
CHILD = """
import json, resource, sys, time
begin = time.perf_counter()
from data_prep.msp_podcast import reader
from data_prep.manifest import prepare
imported = time.perf_counter()
summary = prepare(reader, sys.argv[1], sys.argv[2])
print(json.dumps({
    "seconds": time.perf_counter() - begin,
    "import_seconds": imported - begin,
    "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "skipped": summary.skipped,
    "rows": sum(part["utterances"] for part in summary.facts["sets"].values()),
}))
"""


def make_tree(folder: Path, rows: int) -> None:
    """A tree of ``rows`` utterances with the durations of MSP-Podcast (2.75 to 11.9 s)."""
    import numpy as np
    import soundfile

    audio, labels = folder / "Audios", folder / "Labels"
    audio.mkdir(parents=True)
    labels.mkdir()
    chance = random.Random(1)
    sources = [folder / f"{number}.wav" for number in range(min(LINKED, rows))]
    for source in sources:
        seconds = 2.75 + 9.15 * chance.betavariate(1.4, 3.0)
        soundfile.write(source, np.zeros(round(16000 * seconds), dtype=np.int16), 16000)
    lines = ["FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"]
    for number in range(rows):
        name = f"MSP-PODCAST_{number // 1000:04d}_{number % 1000:04d}.wav"
        os.link(sources[number % len(sources)], audio / name)
        split = chance.choice(SPLITS)
        labelled = ",".join(f"{chance.uniform(1, 7):.6f}" for _ in range(3))
        speaker = f"{SPLITS.index(split)}{chance.randrange(100):02d}"
        lines.append(f"{name},{chance.choice(EMOTIONS)},{labelled},{speaker},Male,{split}")
    (labels / "labels_consensus.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def measure(corpus: Path, output: Path) -> dict:
    """One start in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(corpus), str(output)],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def benchmark(rows: int, place: Path | None) -> dict:
    """First and second start on a tree of ``rows`` utterances."""
    folder = Path(tempfile.mkdtemp(prefix="emosphere-", dir=place))
    try:
        make_tree(folder / "corpus", rows)
        first = measure(folder / "corpus", folder / "out")
        second = measure(folder / "corpus", folder / "out")
    finally:
        shutil.rmtree(folder)
    if first["rows"] != rows or first["skipped"] or not second["skipped"]:
        raise RuntimeError(f"{rows} rows were not prepared once: {first}, {second}.")
    return {"rows": rows, "first": first, "second": second}


def report(results: list[dict], command: str) -> str:
    """A Markdown table, and what made it."""
    lines = [
        "| rows | first start | memory | second start | memory |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        cells = [
            f"{result[key]['seconds']:.1f} s | {result[key]['mib']:.0f} MiB"
            for key in ("first", "second")
        ]
        lines.append(f"| {result['rows']:,} | {' | '.join(cells)} |")
    versions = f"python {platform.python_version()}, soundfile {version('soundfile')}"
    lines += [
        "",
        f"Imports included ({results[-1]['second']['import_seconds']:.1f} s). The disk's cache is "
        f"warm. Made by `{command}` ({versions}; {os.cpu_count()} cores; synthetic labels, hard "
        f"links to {LINKED} silent files).",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write benchmarks/RESULTS.md at full size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=SIZES)
    parser.add_argument("--place", type=Path, help="folder on the disk to measure")
    arguments = parser.parse_args()
    results = []
    for rows in arguments.rows:
        results.append(benchmark(rows, arguments.place))
        print(json.dumps(results[-1]), flush=True)
    text = report(results, "make preparation")
    print(text)
    if tuple(arguments.rows) == SIZES:
        put_between(ROOT / "benchmarks" / "RESULTS.md", "preparation", text)


if __name__ == "__main__":
    main()

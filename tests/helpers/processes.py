"""Small processes that replace recipe runs in tests of launchers, and the notes they write."""

import json
import time
from pathlib import Path

from emosphere_sb.tables.launcher import Job

NOTE = """
import json, os, sys, time
folder, seconds, status = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
begin = time.monotonic()
print("here", flush=True)
time.sleep(seconds)
names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
about = {"begin": begin, "end": time.monotonic(), **{n: os.environ.get(n) for n in names}}
with open(os.path.join(folder, f"{os.getpid()}.json"), "w") as file:
    json.dump(about, file)
if status:
    print("ValueError: lr must be a number", file=sys.stderr)
sys.exit(status)
"""
"""Code that waits, writes its times and environment to a file, and exits with a given status."""

PATIENT = """
import os, signal, sys, time
def leave(*_):
    open(os.path.join(sys.argv[1], "told"), "w").close()
    sys.exit(75)
signal.signal(signal.SIGTERM, leave)
open(os.path.join(sys.argv[1], str(os.getpid()) + ".pid"), "w").close()
time.sleep(600)
"""
"""Code that waits for SIGTERM and exits with status 75."""

WATCHED = """
import os, signal, sys, time
from emosphere_sb.tables.run import stop_with_parent
def leave(*_):
    open(os.path.join(sys.argv[1], "told"), "w").close()
    os._exit(75)
signal.signal(signal.SIGTERM, leave)
stop_with_parent()
open(os.path.join(sys.argv[1], str(os.getpid()) + ".pid"), "w").close()
time.sleep(600)
"""
"""Code that waits for SIGTERM or for the end of its parent process, and exits with status 75."""


def job(folder: Path, *runs: tuple[float, int]) -> Job:
    """Create a job with a command for each ``(seconds, status)``."""
    words = [(NOTE, str(folder), str(seconds), str(status)) for seconds, status in runs]
    return Job(folder, "MSP-Podcast", tuple(words))


def notes(*folders: Path) -> list[dict]:
    """Read the notes that commands of jobs wrote to these folders."""
    return [json.loads(p.read_text()) for folder in folders for p in sorted(folder.glob("*.json"))]


def most_at_once(spans) -> int:
    """Return the largest number of overlapping time spans."""
    return max(sum(o["begin"] <= s["begin"] < o["end"] for o in spans) for s in spans)


def wait_until(holds, what: str) -> None:
    """Wait for a condition, with a generous timeout against hanging tests."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def alive(number: int) -> bool:
    """Return whether a process is running (zombies do not count)."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pid_in(folder: Path) -> int:
    """Wait for the command in a folder to start and return its process ID."""
    wait_until(lambda: list(folder.glob("*.pid")), f"no process in {folder}")
    return int(next(folder.glob("*.pid")).stem)

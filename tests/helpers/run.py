"""Start, pause and kill runs of the recipe, and compare their output folders."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from emosphere_sb.training.checkpoints import BROKEN, DELETED, PARTIAL
from tests.helpers.forked import ForkedProcess

ROOT = Path(__file__).resolve().parents[2]
FILE = "hparams/emosphere.yaml"


class Runs:
    """Launcher of MSP-Podcast recipe runs with the smoke preset and common options.

    Arguments
    ---------
    corpus : Path
        Folder of the corpus.
    results : Path
        Folder for the results.
    *options : str
        Additional options of each run.
    """

    def __init__(self, corpus: Path, results: Path, *options: str):
        self.results, self.number = results, 0
        self.words = [
            FILE, "--preset=smoke", "--noprogressbar", "--release=synthetic", "--device=cpu",
            f"--data_folder={corpus}", f"--results_folder={results}", *options,
        ]  # fmt: skip

    def run_in_process(self, folder: Path, *options: str) -> dict:
        """Run the recipe in this process."""
        from emosphere_sb.recipe.run import run_recipe

        return run_recipe(
            [*self.words, f"--output_folder={folder}", *options], corpus="MSP-Podcast"
        )

    def start_paused(self, folder: Path, point: str, number: int, *options: str):
        """Start a run that pauses at a point of ``tests/helpers/kill_points.py``.

        Returns
        -------
        tuple of ForkedProcess and Path
            The process, and the signal file that it writes when it pauses.
        """
        self.number += 1
        sign = self.results / f"sign{self.number}"
        script = [sys.executable, "tests/helpers/kill_points.py", point, str(number), str(sign)]
        words = [*script, *self.words, f"--output_folder={folder}", *options]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        process = ForkedProcess(
            words, cwd=ROOT, env=environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        return process, sign

    def start_and_kill(
        self, folder: Path, point: str, number: int, *options: str, delay: float = 0
    ):
        """Start a run and kill it at a point, or ``delay`` seconds later."""
        process, sign = self.start_paused(folder, point, number, *options)
        wait_for(process, sign)
        time.sleep(delay)
        process.kill()
        output, _ = process.communicate()
        assert process.returncode == -signal.SIGKILL, output


def wait_for(process: subprocess.Popen | ForkedProcess, sign: Path) -> None:
    """Wait until a process has paused and written the signal file."""
    while not sign.exists():
        time.sleep(0.02)
        assert process.poll() is None, f"The process ended early: {process.communicate()[0]}"


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoint folders of a run, oldest first."""
    return sorted((folder / "save").glob("CKPT*"))


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """Read the weights of a checkpoint."""
    return torch.load(checkpoint / "model.ckpt", weights_only=True)["weights"]


def assert_same_weights(one: Path, other: Path, *, more_than: int = 50) -> None:
    """Assert that the newest checkpoints of two runs have bit-identical weights.

    A checkpoint must have ``more_than`` tensors; those of a frozen backbone are not saved.
    """
    first, second = (weights(checkpoints(folder)[-1]) for folder in (one, other))
    assert first.keys() == second.keys() and len(first) > more_than
    assert all(torch.equal(first[name], second[name]) for name in first)


def metrics_of(folder: Path) -> dict:
    """Read ``metrics.json`` without its ``run`` block, which differs between runs."""
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    del metrics["run"]
    return metrics


def assert_same_results(one: Path, other: Path, *, more_than: int = 50) -> None:
    """Assert equal weights, logs, predictions and metrics of two runs, and no partial files."""
    assert_same_weights(one, other, more_than=more_than)
    assert metrics_of(one) == metrics_of(other)
    names = ["train_log.txt", *(f"predictions/{n}.csv" for n in ("valid", "test1", "test2"))]
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    for folder in (one, other):
        save = [path.name for path in (folder / "save").iterdir()]
        assert not [n for n in save if n.startswith((PARTIAL, DELETED, BROKEN))]
        assert not list(folder.rglob("*.partial"))

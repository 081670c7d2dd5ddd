"""NCCL: a single process started by torchrun takes the same steps as a process without torchrun.

torchrun starts this module (``python -m gpu_steps.nccl``).
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from recipe_pipeline import RecipePipeline
from workload import SCALE, SIZES

from emosphere_sb import distributed
from gpu_steps.step import SMALL, Outcome, Settings, deterministic_algorithms, passed_if

BENCHMARKS = Path(__file__).resolve().parent.parent
STEPS = 4
TOLERANCE = 1e-6  # relative difference of the losses, with deterministic algorithms


class One(int):
    """The number 1, which compares as more than one.

    As the number of processes, it makes a single process execute the collective operations.
    """

    def __eq__(self, other: object) -> bool:
        return False

    def __gt__(self, other: int) -> bool:
        return True

    __hash__ = int.__hash__


def nccl(settings: Settings) -> Outcome:
    """Compare the losses of a process started by torchrun with those of this process."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    folder = settings.folder / "nccl"
    folder.mkdir()
    rows = dict(itertools.islice(settings.rows.items(), settings.batch * STEPS))
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    weights = str(settings.folder / "small")
    words = [weights, str(folder), settings.device, str(settings.batch)]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=1"]
    paths = [str(BENCHMARKS), str(BENCHMARKS.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    expected = losses(*words, single=True)
    result = subprocess.run(
        [*command, "-m", "gpu_steps.nccl", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"torchrun failed:\n{result.stderr[-4000:]}")
    found = json.loads((folder / "losses.json").read_text(encoding="utf-8"))
    pairs = zip(found["losses"], expected, strict=True)
    largest = max(abs(a - b) / abs(b) for a, b in pairs)
    text = "equal" if largest == 0 else f"relative difference {largest:.1g}"
    detail = f"{found['backend']}, one process, {STEPS} steps in fp32: losses {text}"
    return passed_if(largest <= TOLERANCE, detail, largest=largest, expected=expected, **found)


def losses(weights: str, folder: str, device: str, batch: str, *, single: bool) -> list[float]:
    """Train the small model and return the losses, with or without collective operations."""
    options = {"device": device}
    if not single:
        distributed.init_distributed(options)
        distributed.world_size = lambda: One(1)
    rows = json.loads((Path(folder) / "rows.json").read_text(encoding="utf-8"))
    pipeline = RecipePipeline(
        SMALL if device == "cuda" else SIZES["tiny"], Path(weights), device=device, scale=SCALE,
        batch=int(batch), precision="fp32",
    )  # fmt: skip
    pipeline.load(rows, 1)
    with deterministic_algorithms():
        return pipeline.train(STEPS)[1]


def main() -> None:
    """Write backend and losses; called in the process that torchrun starts."""
    found = losses(*sys.argv[1:], single=False)
    content = {"backend": torch.distributed.get_backend(), "losses": found}
    Path(sys.argv[2], "losses.json").write_text(json.dumps(content), encoding="utf-8")
    distributed.destroy_distributed()


if __name__ == "__main__":
    main()

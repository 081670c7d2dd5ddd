"""Settings and outcome of a step of the GPU benchmark."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from workload import SIZES, Size

# Settings of the full benchmark, and of its short form on a CPU.
DEFAULTS = {
    "cuda": {"size": "large", "batch": 16, "utterances": 960, "evaluated": 60, "pairs": 3},
    "cpu": {"size": "tiny", "batch": 2, "utterances": 10, "evaluated": 2, "pairs": 1},
}

LEAD_IN = {"cuda": 4, "cpu": 1}  # steps at the start of each part that are not measured
PROFILED = 3  # steps in the profiler
FEWER_PAIRS = {"fp32": 2, "fp16": 1}  # on a GPU

SMALL = Size(
    {
        "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
        "intermediate_size": 1024, "feat_extract_norm": "layer", "do_stable_layer_norm": True,
        "layerdrop": 0.0,
    },
    width=256,
)  # fmt: skip
"""Size of the model that is trained several times on a GPU; tiny on a CPU."""


@dataclass(frozen=True)
class Settings:
    """Settings of all steps.

    Attributes
    ----------
    device : str
        ``cuda`` or ``cpu``.
    size : str
        Name of the model size, see ``workload.SIZES``.
    batch, utterances, evaluated, pairs : int
        As in ``throughput.py``. In fp32, half the batch is used, and in fp16 and fp32 fewer pairs.
    folder : Path
        Folder with the weights of ``size``; those of the small model are in ``small``.
    rows : dict
        Manifest rows of the corpus.
    """

    device: str
    size: str
    batch: int
    utterances: int
    evaluated: int
    pairs: int
    folder: Path = Path()
    rows: dict = field(default_factory=dict)

    @property
    def gpu(self) -> bool:
        """Whether the benchmark runs on a GPU."""
        return self.device == "cuda"

    @property
    def small(self) -> Size:
        """Size of the small model."""
        return SMALL if self.gpu else SIZES["tiny"]

    def batch_in(self, precision: str) -> int:
        """Return the batch size in a precision; the published pipeline needs much memory."""
        return self.batch // 2 if self.gpu and precision == "fp32" else self.batch

    def pairs_in(self, precision: str) -> int:
        """Return the number of pairs in a precision."""
        pairs = FEWER_PAIRS.get(precision, self.pairs) if self.gpu else self.pairs
        return min(pairs, self.pairs)

    @property
    def steps(self) -> int:
        """Number of training steps of a part, including those that are not measured."""
        return self.utterances // (self.batch * self.pairs)

    def rows_in(self, precision: str) -> dict:
        """Return the rows for training in a precision."""
        count = self.steps * self.batch_in(precision) * self.pairs_in(precision)
        return dict(itertools.islice(self.rows.items(), count))


@dataclass(frozen=True)
class Outcome:
    """Outcome of a step.

    Attributes
    ----------
    status : str
        ``passed``, ``failed`` or ``skipped``.
    detail : str
        Main result, or the reason, in one line.
    values : dict
        Measured values, JSON serialisable.
    """

    status: str
    detail: str
    values: dict = field(default_factory=dict)


def passed_if(condition: bool, detail: str, **values: object) -> Outcome:
    """Return an outcome that passed if ``condition`` holds."""
    return Outcome("passed" if condition else "failed", detail, values)


@contextmanager
def deterministic_algorithms():
    """Use only algorithms whose result is the same in each run.

    Attention uses PyTorch's math implementation, because the gradients of the memory-efficient one
    are sums in a random order. cuBLAS must not be initialised before.
    """
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    torch.use_deterministic_algorithms(True)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.use_deterministic_algorithms(False)


@dataclass(frozen=True)
class Step:
    """A step of the benchmark.

    Attributes
    ----------
    name : str
        Name, unique.
    run : callable
        Function of :class:`Settings` that returns an :class:`Outcome`.
    needs_gpu : bool
        Whether the step is skipped on a CPU.
    isolated : bool
        Whether to run in a separate process. Steps that start processes themselves are not.
    """

    name: str
    run: Callable[[Settings], Outcome]
    needs_gpu: bool = False
    isolated: bool = True

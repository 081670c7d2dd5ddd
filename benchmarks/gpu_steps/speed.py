"""Speed: peak of matrix products, throughput against the published pipeline, extraction rate."""

from __future__ import annotations

import statistics
import time

import torch
from feature_cache import FrozenTraining
from sides import SIDES, Job, wait
from speechbrain.core import Stage
from throughput import TASKS, TOLERANCE, matrix_peak, measure, pair_ratios, rate
from workload import SIZES, useful_flops

from emosphere_sb.data.dataset import collate, longest_batch
from emosphere_sb.training.feature_extraction import hidden_states
from gpu_steps.step import Outcome, Settings, passed_if

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
COMPARED = 8  # utterances whose predictions are computed with and without the cache


def precisions(settings: Settings) -> list[str]:
    """Return the precisions that the device supports."""
    return [name for name in DTYPES if settings.gpu or name != "fp16"]


def device_check(settings: Settings) -> Outcome:
    """Check that PyTorch can use the GPU."""
    total = torch.cuda.get_device_properties(0).total_memory / 2**30
    product = torch.ones(64, 64, device="cuda") @ torch.ones(64, 64, device="cuda")
    tf32 = torch.backends.cuda.matmul.allow_tf32
    detail = f"{torch.cuda.get_device_name()}, {total:.0f} GiB, CUDA {torch.version.cuda}"
    return passed_if(bool((product == 64).all()), detail, tf32=tf32)


def peaks(settings: Settings) -> Outcome:
    """Measure the FLOP/s of a large matrix product in each precision."""
    size, repeats = (8192, 20) if settings.gpu else (128, 2)
    found = {
        name: matrix_peak(size, repeats, DTYPES[name], settings.device)
        for name in precisions(settings)
    }
    detail = ", ".join(f"{name} {value / 1e12:.3g} TFLOP/s" for name, value in found.items())
    return passed_if(all(value > 0 for value in found.values()), detail, **found)


def throughput(settings: Settings, precision: str) -> Outcome:
    """Measure training and evaluation of both sides.

    The check requires equal predictions of both sides, and on a GPU that this project is not slower
    than the published pipeline.
    """
    batch = settings.batch_in(precision)
    job = Job("", settings.size, settings.folder, settings.device, batch, precision, "forkserver")
    found = measure(job, settings.rows, settings.evaluated, settings.pairs)
    values = {
        "batch": batch,
        "difference": found["difference"],
        "device_mib": {name: found["peaks"][name]["device"] for name in SIDES},
    }
    for task in TASKS:
        parts = {name: [pair[name][task] for pair in found["pairs"]] for name in SIDES}
        values[task] = {
            "rates": {name: [rate(part) for part in parts[name]] for name in SIDES},
            "flops": {name: [flops(settings, task, p) for p in parts[name]] for name in SIDES},
            "ratios": pair_ratios(found, task),
        }
    ratios = {task: statistics.median(values[task]["ratios"]) for task in TASKS}
    detail = ", ".join(f"{label} ratio {ratios[task]:.2f}" for task, label in TASKS.items())
    detail += f"; predictions of both sides differ by at most {found['difference']:.1g}"
    return passed_if(not settings.gpu or min(ratios.values()) >= 1, detail, **values)


def flops(settings: Settings, task: str, part: dict) -> float:
    """Return the useful FLOP/s of a part."""
    return useful_flops(SIZES[settings.size], part["durations"])[task] / part["seconds"]


def extraction(settings: Settings) -> Outcome:
    """Measure how fast the features of a frozen backbone are computed and stored.

    The check requires that predictions from cached features equal those from waveforms.
    """
    hours = sum(row["duration"] for row in settings.rows.values()) / 3600
    rates, differences, correct = {}, {}, True
    for precision in (name for name in precisions(settings) if name != "fp16"):
        frozen = FrozenTraining(
            "style", settings.size, settings.rows, settings.folder, settings.device,
            settings.batch, precision,
        )  # fmt: skip
        hidden_states(frozen.brain, longest_batch(frozen.set, settings.batch))  # warm-up
        before = predictions(frozen)
        wait(settings.device)
        start = time.perf_counter()
        frozen.fill(settings.folder / f"features-{precision}")
        rates[precision] = hours / ((time.perf_counter() - start) / 60)
        differences[precision] = float((predictions(frozen) - before).abs().max())
        correct &= differences[precision] <= TOLERANCE[settings.device][precision]
    detail = ", ".join(
        f"{name} {value:.3g} hours of audio per minute" for name, value in rates.items()
    )
    detail += f"; cached features change predictions by at most {max(differences.values()):.1g}"
    return passed_if(correct, detail, rates=rates, differences=differences)


def predictions(frozen: FrozenTraining) -> torch.Tensor:
    """Return the VAD of the first utterances, from waveforms or from the cache."""
    batch = collate([frozen.set[index] for index in range(COMPARED)])
    frozen.brain.modules.eval()
    with torch.no_grad(), frozen.brain.evaluation_ctx:
        return frozen.brain.compute_forward(batch, Stage.TEST).vad.float().cpu()

"""Speed: peak of matrix products, throughput against the published pipeline, extraction rate."""

from __future__ import annotations

import itertools
import statistics
import time
from pathlib import Path

import torch
from feature_cache import FrozenTraining
from published_pipeline import RATE
from sides import SIDES, Job, wait
from speechbrain.core import Stage
from throughput import TASKS, TOLERANCE, matrix_peak, measure, pair_ratios, rate
from workload import SIZES, useful_flops

from emosphere_sb.data.dataset import collate, eval_loader
from emosphere_sb.training.feature_extraction import (
    compute_features,
    hidden_states,
    use_cached_features,
)
from gpu_steps.step import LEAD_IN, PROFILED, Outcome, Settings, passed_if

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
SKIPPED = 3  # batches at the start of feature extraction that are not measured
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

    The check requires equal predictions of both sides; :func:`throughput.measure` compares them.
    """
    batch = settings.batch_in(precision)
    job = Job("", settings.size, settings.folder, settings.device, batch, precision, "forkserver")
    found = measure(
        job, settings.rows_in(precision), settings.evaluated, settings.pairs_in(precision),
        lead_in=LEAD_IN[settings.device], profiled=PROFILED,
    )  # fmt: skip
    values = {
        "batch": batch,
        "difference": found["difference"],
        "pairs": settings.pairs_in(precision),
        "profiles": found["profiles"],
        "waiting": {
            name: statistics.median(
                pair[name]["train"]["waited"] / pair[name]["train"]["seconds"]
                for pair in found["pairs"]
            )
            for name in SIDES
        },
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
    return passed_if(True, f"{detail}; {profile_text(values)}", **values)


def profile_text(values: dict) -> str:
    """Return what limits the speed of training with this project."""
    profile, waiting = values["profiles"]["recipe"], values["waiting"]["recipe"]
    if "error" in profile:
        return f"not profiled: {profile['error']}"
    text = f"waiting for the loader {waiting:.0%}, step of {profile['step_seconds'] * 1e3:.0f} ms"
    if "busy" in profile:
        text += f", GPU busy {profile['busy']:.0%}, {profile['launches']:.0f} kernels"
    operations = ", ".join(f"{name} {spent * 1e3:.0f} ms" for name, spent in profile["operations"])
    return f"this project: {text}, most expensive: {operations}"


def flops(settings: Settings, task: str, part: dict) -> float:
    """Return the useful FLOP/s of a part."""
    return useful_flops(SIZES[settings.size], part["durations"])[task] / part["seconds"]


def extraction(settings: Settings) -> Outcome:
    """Measure how fast the features of a frozen backbone are computed and stored.

    The first batches, during which the loader processes start, are not measured. The check requires
    that predictions from cached features equal those from waveforms.
    """
    count = settings.utterances // 2 if settings.gpu else settings.utterances
    rows = dict(itertools.islice(settings.rows.items(), count))
    found, differences, correct = {}, {}, True
    for precision in (name for name in precisions(settings) if name != "fp16"):
        frozen = FrozenTraining(
            "style", settings.size, rows, settings.folder, settings.device,
            settings.batch, precision,
        )  # fmt: skip
        before = predictions(frozen)
        found[precision] = extraction_rates(
            frozen, settings.folder / f"features-{precision}", settings.device
        )
        differences[precision] = float((predictions(frozen) - before).abs().max())
        correct &= differences[precision] <= TOLERANCE[settings.device][precision]
    detail = ", ".join(
        f"{name} {rates['total']:.3g} hours of audio per minute (model alone {rates['model']:.3g})"
        for name, rates in found.items()
    )
    detail += f"; cached features change predictions by at most {max(differences.values()):.1g}"
    return passed_if(correct, detail, rates=found, differences=differences)


def extraction_rates(frozen: FrozenTraining, folder: Path, device: str) -> dict[str, float]:
    """Fill the cache in a folder and use it; return the rates in hours of audio per minute.

    Returns
    -------
    dict
        Rate in ``total``, with the data loader and the copies to the CPU, and of the ``model``
        alone.
    """
    options = {"num_workers": frozen.hparams["num_workers"], "pin_memory": device == "cuda"}
    loader = eval_loader(
        frozen.set, batch_size=frozen.hparams["eval_batch"], shared=False, **options
    )
    frozen.brain.modules.eval()
    batches = list(loader)
    for batch in batches[:SKIPPED]:  # warm-up
        hidden_states(frozen.brain, batch)
    wait(device)
    start = time.perf_counter()
    for batch in batches[SKIPPED:]:
        hidden_states(frozen.brain, batch)
    wait(device)
    model = time.perf_counter() - start
    start = time.perf_counter()
    items = range(len(frozen.set))
    compute_features(frozen.brain, frozen.hparams, frozen.set, items, "train", lambda *_: None)
    total = time.perf_counter() - start
    use_cached_features(frozen.brain, frozen.hparams, {"train": frozen.set}, folder)
    minutes = [int(batch.lengths.sum()) / RATE / 60 for batch in batches]
    return {"total": sum(minutes) / total, "model": sum(minutes[SKIPPED:]) / model}


def predictions(frozen: FrozenTraining) -> torch.Tensor:
    """Return the VAD of the first utterances, from waveforms or from the cache."""
    batch = collate([frozen.set[index] for index in range(COMPARED)])
    frozen.brain.modules.eval()
    with torch.no_grad(), frozen.brain.evaluation_ctx:
        return frozen.brain.compute_forward(batch, Stage.TEST).vad.float().cpu()

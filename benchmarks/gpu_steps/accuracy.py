"""Accuracy: predictions on the GPU compared with those on the CPU in fp32."""

from __future__ import annotations

import itertools

import torch
from recipe_pipeline import RecipePipeline
from throughput import TOLERANCE, compare
from workload import SCALE, SIZES

from gpu_steps.speed import precisions
from gpu_steps.step import Outcome, Settings, passed_if

COUNT = 8
EXACT = 1e-3  # largest difference in fp32 without TF32


def predictions(settings: Settings) -> Outcome:
    """Compare predictions of the device in each precision with those of the CPU in fp32."""
    rows = dict(itertools.islice(settings.rows.items(), COUNT))
    expected = predict(settings, rows, "cpu", "fp32")
    usual = TOLERANCE[settings.device]
    tolerances = {**usual, "TF32": usual["fp32"], "fp32": EXACT}
    found = {}
    for precision in precisions(settings):
        if precision == "fp32" and settings.gpu:
            found["TF32"] = compare(expected, predict(settings, rows, "cuda", "fp32"))
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        found[precision] = compare(expected, predict(settings, rows, settings.device, precision))
    detail = ", ".join(f"{name} {value:.1g}" for name, value in found.items())
    correct = all(value <= tolerances[name] for name, value in found.items())
    return passed_if(correct, f"largest difference from the CPU in fp32: {detail}", **found)


def predict(settings: Settings, rows: dict, device: str, precision: str) -> dict:
    """Return the predictions of all rows with the initial weights."""
    pipeline = RecipePipeline(
        SIZES[settings.size], settings.folder, device=device, scale=SCALE, precision=precision
    )
    pipeline.load(rows, len(rows))
    return pipeline.evaluate()

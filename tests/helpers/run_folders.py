"""Folders of finished runs with chosen predictions, written without training."""

import json

import numpy as np

from emosphere_sb.results.metrics_json import (
    prediction_digests,
    write_and_score_sets,
    write_metrics,
)
from emosphere_sb.results.predictions import predictions_table
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions

SCALE_1_TO_7 = Scale(1, 7)
PROTOCOL = {
    "corpus": "MSP-Podcast", "release": "1.11", "scale": SCALE_1_TO_7.to_dict(), "synthetic": False,
    "preset": "demo", "backbone": "x",
}  # fmt: skip


def random_predictions(
    number=60, *, noise=0.3, seed=0, labelled=True, regions=None, head=True, scale=SCALE_1_TO_7
):
    """Generate a table of predictions; the labels do not depend on noise and seed."""
    regions = regions or SphericalRegions(90)
    truth = np.random.default_rng(99).uniform(-0.8, 0.8, (number, 3))
    chance = np.random.default_rng(seed)
    raw = scale.restore(truth)
    rows = {
        f"u{n:03d}": {
            "duration": 1.0 + n % 13, "speaker": f"s{n % 12}", "gender": ["Female", "Male"][n % 2],
            "emotion": ("happy", "sad", "")[n % 3],
            **{d: repr(float(raw[n, k])) if labelled else "" for k, d in enumerate(DIMENSIONS)},
        }
        for n in range(number)
    }  # fmt: skip
    vad = dict(zip(rows, truth + chance.normal(0, noise, truth.shape), strict=True))
    scores = chance.dirichlet(np.ones(len(regions.names)), number)
    return predictions_table(
        rows, vad, scale=scale, regions=regions, classes=regions.names if head else (),
        probabilities=dict(zip(rows, scores, strict=True)) if head else None,
    )  # fmt: skip


def write_run(folder, tables=None, *, yaml="preset: demo\n", **protocol):
    """Write a run folder with predictions, metrics and hyperparameters."""
    tables = tables or {
        "valid": random_predictions(40), "test1": random_predictions(),
        "test3": random_predictions(5, labelled=False),
    }  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "hyperparams.yaml").write_text(yaml, encoding="utf-8")
    results = write_and_score_sets(folder, tables)
    facts = {
        "folder": str(folder), "seed": 1, "predictions": prediction_digests(folder, tables),
    }  # fmt: skip
    write_metrics(folder / "metrics.json", results, {**PROTOCOL, **protocol}, facts, {})
    return folder


def change_metrics(folder, change):
    """Edit the metrics.json of a run in place."""
    path = folder / "metrics.json"
    metrics = json.loads(path.read_text(encoding="utf-8"))
    change(metrics)
    path.write_text(json.dumps(metrics), encoding="utf-8")

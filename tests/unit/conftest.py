"""Fixtures: a synthetic report with all sections.

The metrics of the report are computed from a seeded table.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from emosphere_sb.inference import speech_detection
from emosphere_sb.metrics import confusion_matrix
from emosphere_sb.results.predictions import PREDICTED, region_names
from emosphere_sb.results.scores import prediction_metrics
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions


@pytest.fixture(scope="session", autouse=True)
def _no_fsync():
    """``os.fsync`` does nothing: files of tests need not survive a power cut, and it takes most of
    the time of tests that write many files. Tests of ``fileio`` assert what is flushed and when.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(autouse=True)
def _no_speech_detector(request, monkeypatch):
    """The extra ``speech`` counts as not installed, because the signals of most tests are no
    speech. Tests of the detection request the fixture ``speech_detector``.
    """
    if "speech_detector" not in request.fixturenames:
        monkeypatch.setattr(speech_detection, "weights_path", lambda: None)


@pytest.fixture
def speech_detector():
    """The speech detector; skips the test if the extra ``speech`` is not installed."""
    detector = speech_detection.load_detector("auto")
    if detector is None:
        pytest.skip("the 'speech' extra is not installed")
    return detector


@pytest.fixture
def wav():
    """Write a short noise: ``wav(path, seconds=0.5, rate=16000, channels=1)``."""

    def write(path, *, seconds=0.5, rate=16000, channels=1):
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).uniform(-0.1, 0.1, (round(seconds * rate), channels))
        soundfile.write(path, noise, rate)
        return path

    return write


@pytest.fixture(scope="session")
def scale():
    return Scale(1, 7)


@pytest.fixture(scope="session")
def made_table(scale):
    """Factory of prediction tables with a given length and region step."""

    def make(length=60, *, step=90, seed=0, labelled=True):
        chance = np.random.default_rng(seed)
        true = np.clip(4 + chance.normal(size=(length, 3)), 1, 7)
        predicted = 4 + 0.6 * (true - 4) + 0.5 * chance.normal(size=(length, 3))
        regions = SphericalRegions(step)
        table = pd.DataFrame({"ID": [f"u{number}" for number in range(length)]})
        table["gender"] = chance.choice(["Female", "Male"], length)
        table[list(DIMENSIONS)] = true if labelled else np.nan
        table[list(PREDICTED)] = predicted
        table["region"] = region_names(scale.normalise(true), regions) if labelled else ""
        table["region_point"] = region_names(scale.normalise(predicted), regions)
        return table

    return make


@pytest.fixture(scope="session")
def made_evaluation():
    """Factory of evaluations with intervals of a given width."""

    def intervals(found, width):
        ends = {
            d: {key: [found[d][key] - width, found[d][key] + width] for key in ("ccc", "mae")}
            for d in DIMENSIONS
        }
        mean = [found["mean_ccc"] - width, found["mean_ccc"] + width]
        facts = {"unit": "speakers", "units": 40, "note": "A note & more.", "level": 0.95}
        return {**facts, "resamples": 10_000, **ends, "mean_ccc": mean}

    def make(table, width=0.05):
        found = prediction_metrics(table)
        names = SphericalRegions(90).names
        index = {name: number for number, name in enumerate(names)}
        pairs = (table[column].map(index).to_numpy() for column in ("region", "region_point"))
        parts = []
        for value, part in table.groupby("gender"):
            own = prediction_metrics(part)
            parts.append({"value": value, "utterances": len(part), "metrics": own})
            parts[-1]["intervals"] = intervals(own, width) if value == "Female" else None
        slopes = {"slope_of_prediction": 0.625, "slope_of_truth": 0.875, "scale_ratio": 0.75}
        return {
            "metrics": found,
            "intervals": intervals(found, width),
            "warnings": ["More than half of the predictions lie off the scale."],
            "confusion": {
                "region_point": {
                    "classes": list(names),
                    "counts": confusion_matrix(*pairs, classes=8).tolist(),
                }
            },
            "slices": {"gender": parts},
            "missing_slices": ["raters"],
            "calibration": {
                **dict.fromkeys(DIMENSIONS, slopes),
                "corrected": {"affine": {**found, "mean_ccc": 0.4321}},
            },
        }

    return make


@pytest.fixture(scope="session")
def made_log():
    """Log of three epochs; the auxiliary loss is removed in the third."""
    nan = float("nan")
    return {
        "epoch": [1.0, 2.0, 3.0],
        "lr": [1e-5, 1e-5, 1e-5],
        "train loss": [4.5, 3.5, 2.0],
        "train regression_loss": [2.5, 2.25, 2.0],
        "train auxiliary_loss": [2.0, 1.5, nan],
        "train weight": [1.0, 0.5, nan],
        "valid valence": [0.1, 0.2, 0.25],
        "valid arousal": [0.3, 0.4, 0.45],
        "valid dominance": [0.2, 0.3, 0.35],
        "valid mean_ccc": [0.2, 0.3, 0.35],
    }


@pytest.fixture(scope="session")
def made_report(made_table, made_evaluation):
    """Report and tables of a labelled and an unlabelled set."""
    table = made_table(120)
    difference = {"difference": 0.0123, "low": 0.001, "high": 0.0234, "p": 0.0004}
    report = {
        "title": "MSP-Podcast, row <smoke> & seed 7",
        "protocol": {
            "corpus": "MSP-Podcast",
            "scale": {"low": 1.0, "high": 7.0, "reversed": []},
            "utterances": {"train": 84030, "test1": 120},
            "best_epoch": 2,
            "versions": {"torch": "2.14.1"},
        },
        "run": {
            "training_seconds": 7200.0,
            "commit": "ab12",
            "command": "python t.py --preset=a<b",
        },
        "synthetic": True,
        "sets": {"test1": made_evaluation(table)},
        "comparison": {
            "test1": {"unit": "speakers", "units": 40, "note": None}
            | dict.fromkeys((*DIMENSIONS, "mean_ccc"), difference)
        },
        "beside": {"cap": {"test1": dict.fromkeys(DIMENSIONS, 0.9087)}},
    }
    return report, {"test1": table, "test3": made_table(20, seed=1, labelled=False)}

"""Tests of the results of a run: predictions, metrics, metrics.json."""

import json
import math
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.results.metrics_json import (
    machine_description,
    metrics_digest,
    package_versions,
    processor_name,
    results_error,
    write_and_score_sets,
    write_metrics,
)
from emosphere_sb.results.predictions import PREDICTED, read_predictions
from emosphere_sb.results.scores import prediction_metrics
from emosphere_sb.scale import DIMENSIONS
from tests.helpers.run_folders import write_run


def table_of(known=DIMENSIONS, length=4):
    chance = np.random.default_rng(1)
    table = pd.DataFrame({"ID": [f"u{n}" for n in range(length)]})
    for name in DIMENSIONS:
        table[name] = chance.normal(size=length) if name in known else math.nan
    for name in PREDICTED:
        table[name] = chance.normal(size=length)
    return table


def test_all_sets_are_written_and_labelled_sets_have_metrics(tmp_path):
    results = write_and_score_sets(tmp_path, {"test1": table_of(), "test3": table_of(known=())})
    assert {path.name for path in (tmp_path / "predictions").iterdir()} == {
        "test1.csv",
        "test3.csv",
    }
    assert list(results) == ["test1"]


def test_metrics_match_written_file(tmp_path):
    results = write_and_score_sets(tmp_path, {"test": table_of()})
    assert results["test"] == prediction_metrics(
        read_predictions(tmp_path / "predictions" / "test.csv")
    )


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_set_with_labels_of_one_dimension_has_metrics(tmp_path, dimension):
    results = write_and_score_sets(tmp_path, {"test": table_of(known=(dimension,))})
    assert results["test"]["mean_ccc"] == results["test"][dimension]["ccc"]


def test_metrics_json_matches_return_value(tmp_path):
    beside = {"cap": {"test": 0.9}, "acoustic_baseline": {}}
    sets, run = {"test": {"mean_ccc": 0.5}}, {"seconds": 1.5}
    metrics = write_metrics(tmp_path / "metrics.json", sets, {"seed": 7}, run, beside)
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert metrics["test"] == {"mean_ccc": 0.5}
    assert metrics["protocol"]["seed"] == 7
    assert metrics["protocol"]["versions"] == package_versions()
    assert metrics["run"] == {"seconds": 1.5, "checksum": metrics_digest(metrics)}
    assert metrics["beside"] == {"cap": {"test": 0.9}}


def test_package_versions_match_installation():
    found = package_versions()
    assert {"emosphere_sb", "python", "torch", "torchaudio", "speechbrain", "transformers"} <= set(
        found
    )
    assert found["transformers"] == version("transformers")


def test_machine_description_has_processor_cores_and_gpu():
    import torch

    text = machine_description()
    assert text.startswith(processor_name())
    assert " cores" in text
    assert ("no GPU" in text) is not torch.cuda.is_available()


def test_changed_results_are_named(tmp_path):
    folder = write_run(tmp_path / "run")
    path = folder / "metrics.json"
    assert results_error(path) == ""
    (folder / "predictions" / "test1.csv").write_text("")
    assert results_error(path) == "predictions/test1.csv was modified after the run"
    (folder / "predictions" / "test1.csv").unlink()
    assert results_error(path) == "predictions/test1.csv is missing"
    metrics = json.loads(path.read_text())
    metrics["test1"]["mean_ccc"] = 1.0
    path.write_text(json.dumps(metrics))
    assert results_error(path) == "metrics.json was modified after the run"
    path.write_text("{")
    assert results_error(path).startswith("metrics.json is damaged (")
    path.write_text(json.dumps({"test1": {}, "protocol": {}, "run": {"predictions": {}}}))
    assert results_error(path) == "metrics.json has no checksum of the predictions of test1"

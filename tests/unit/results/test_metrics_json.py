"""What a run leaves behind: every set's predictions, figures of the labelled ones, metrics.json."""

import json
import math
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.results.metrics_json import (
    machine,
    processor,
    report_sets,
    versions,
    write_metrics,
)
from emosphere_sb.results.predictions import PREDICTED, read_predictions
from emosphere_sb.results.scores import figures
from emosphere_sb.scale import DIMENSIONS


def table_of(known=DIMENSIONS, length=4):
    chance = np.random.default_rng(1)
    table = pd.DataFrame({"ID": [f"u{n}" for n in range(length)]})
    for name in DIMENSIONS:
        table[name] = chance.normal(size=length) if name in known else math.nan
    for name in PREDICTED:
        table[name] = chance.normal(size=length)
    return table


def test_every_set_is_written_and_the_labelled_ones_have_figures(tmp_path):
    results = report_sets(tmp_path, {"test1": table_of(), "test3": table_of(known=())})
    assert {path.name for path in (tmp_path / "predictions").iterdir()} == {
        "test1.csv",
        "test3.csv",
    }
    assert list(results) == ["test1"]


def test_figures_are_those_of_the_written_file(tmp_path):
    results = report_sets(tmp_path, {"test": table_of()})
    assert results["test"] == figures(read_predictions(tmp_path / "predictions" / "test.csv"))


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_set_with_labels_of_one_dimension_has_figures(tmp_path, dimension):
    results = report_sets(tmp_path, {"test": table_of(known=(dimension,))})
    assert results["test"]["mean_ccc"] == results["test"][dimension]["ccc"]


def test_metrics_json_is_what_is_returned(tmp_path):
    beside = {"cap": {"test": 0.9}, "acoustic_baseline": {}}
    sets, run = {"test": {"mean_ccc": 0.5}}, {"seconds": 1.5}
    metrics = write_metrics(tmp_path / "metrics.json", sets, {"seed": 7}, run, beside)
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert metrics["test"] == {"mean_ccc": 0.5}
    assert metrics["protocol"]["seed"] == 7
    assert metrics["protocol"]["versions"] == versions()
    assert metrics["run"] == {"seconds": 1.5}
    assert metrics["beside"] == {"cap": {"test": 0.9}}


def test_versions_are_those_installed():
    found = versions()
    assert {"emosphere_sb", "python", "torch", "torchaudio", "speechbrain", "transformers"} <= set(
        found
    )
    assert found["transformers"] == version("transformers")


def test_machine_names_processor_cores_and_gpu():
    import torch

    text = machine()
    assert text.startswith(processor())
    assert " cores" in text
    assert ("no GPU" in text) is not torch.cuda.is_available()

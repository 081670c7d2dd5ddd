"""Warnings about dimensions without labels or with equal labels."""

import numpy as np
import pytest
import torch

from data_prep.corpus import Utterance
from data_prep.screening import label_warnings
from emosphere_sb.audio.check import AudioInfo
from emosphere_sb.console import undefined_notes
from emosphere_sb.lobes import RegionTask
from emosphere_sb.metrics.regression import regression_metrics

INFO = AudioInfo(16000, 16000, 1)


def rows(*labels):
    return [(Utterance(f"u{n}", f"u{n}.wav", *vad), INFO) for n, vad in enumerate(labels)]


def test_constant_and_missing_dimensions_are_named():
    checked = {
        "train": rows(*[(4.0, float(n), None) for n in range(1, 9)]),
        "valid": rows(*[(float(n), 5.0, 8.0 - n) for n in range(1, 9)], (3.0, None, 3.0)),
        "test": rows(*[(float(n), 2.0 + n / 2, 3.0 - n / 3) for n in range(1, 9)]),
    }
    assert label_warnings(checked) == [
        "All 8 utterances of the 'train' set with a label of valence have the label 4, so its CCC "
        "is 0 or undefined.",
        "No utterance of the 'train' set has a label of dominance, so its CCC is undefined, and "
        "the mean CCC is that of the other dimensions.",
        "All 8 utterances of the 'valid' set with a label of arousal have the label 5, so its CCC "
        "is 0 or undefined.",
    ]


def test_mean_ccc_without_a_dimension_is_that_of_the_others():
    labels = np.array([[1, 2, np.nan], [2, 5, np.nan], [4, 3, np.nan]])
    predicted = np.array([[1, 3, 1], [3, 4, 2], [3, 3, 5]])
    metrics = regression_metrics(labels, predicted)
    both = [metrics[name]["ccc"] for name in ("valence", "arousal")]
    assert metrics["mean_ccc"] == pytest.approx(sum(both) / 2)
    assert np.isnan(metrics["dominance"]["ccc"])
    row = {name: metrics[name] for name in ("valence", "arousal", "dominance")}
    assert undefined_notes({"test": {**row, "mean_ccc": metrics["mean_ccc"]}}) == [
        "test: the CCC of dominance is undefined; the mean is that of valence and arousal."
    ]


def test_hidden_labels_and_tiny_sets_cause_no_warning():
    checked = {"test3": rows(*[(None, None, None)] * 9), "test": rows(*[(1.0, 2.0, 3.0)] * 7)}
    assert label_warnings(checked, predict_only=("test3",)) == []


def test_fault_regions_without_a_dimension_name_the_dimensions():
    with pytest.raises(ValueError, match="requires labels of valence, arousal and dominance"):
        RegionTask().set_targets(torch.tensor([-1, -1]))

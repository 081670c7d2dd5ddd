"""Label scales: normalisation, exact inverse, and errors."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emosphere_sb.scale import DIMENSIONS, Scale

PODCAST = Scale(1, 7)
IMPROV = Scale(1, 5, reversed=("arousal",))


def test_dimensions_are_in_vad_order():
    assert DIMENSIONS == ("valence", "arousal", "dominance")


@pytest.mark.parametrize("scale, neutral", [(PODCAST, 4.0), (IMPROV, 3.0), (Scale(0, 1), 0.5)])
def test_neutral_is_the_midpoint(scale, neutral):
    assert scale.neutral == neutral


def test_normalise_by_hand():
    # (x - 4) / 3
    assert PODCAST.normalise([1.0, 5.5, 7.0]).tolist() == [-1.0, 0.5, 1.0]


def test_reversed_dimension_equals_mirrored_label():
    # MSP-IMPROV: arousal = 6 - A, then (x - 3) / 2
    assert IMPROV.normalise([2.0, 1.5, 2.0]).tolist() == [-0.5, (6 - 1.5 - 3) / 2, -0.5]


def test_reversed_neutral_is_not_minus_zero():
    assert not np.signbit(IMPROV.normalise([3.0, 3.0, 3.0])).any()


def test_restore_returns_corpus_labels():
    assert IMPROV.restore([0.5, 0.5, 0.5]).tolist() == [4.0, 2.0, 4.0]


nano = st.integers(min_value=0, max_value=6 * 10**9).map(lambda n: (10**9 + n) / 10**9)


@settings(max_examples=300, deadline=None)
@given(st.tuples(nano, nano, nano), st.sampled_from([(), ("arousal",), DIMENSIONS]))
def test_round_trip_is_exact_for_nine_decimals(labels, upside_down):
    scale = Scale(1, 7, reversed=upside_down)
    assert scale.restore(scale.normalise(labels)).tolist() == list(labels)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 9 * 10**11), st.integers(1, 400), st.integers(1, 400))
def test_round_trip_is_exact_on_odd_scales(billionths, low, width):
    scale = Scale(-low, width)
    label = -low + billionths % ((low + width) * 10**9) / 10**9
    label = round(label, 9)
    assert scale.restore(scale.normalise([label] * 3)).tolist() == [label] * 3


def test_exact_round_trip_needs_rounding():
    # `restore` rounds because the round trip is not exact in float64
    labels = np.arange(10, 71) / 10
    plain = ((labels - 4) / 3) * 3 + 4
    assert (plain != labels).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_keep_their_dtype(dtype):
    assert PODCAST.normalise(np.ones((2, 3), dtype)).dtype == dtype
    assert IMPROV.restore(np.ones((2, 3), dtype)).dtype == dtype


def test_integers_become_float64():
    assert PODCAST.normalise(np.array([1, 4, 7])).dtype == np.float64
    assert PODCAST.normalise(torch.tensor([1, 4, 7])).dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_tensors_keep_their_dtype(dtype):
    assert IMPROV.normalise(torch.ones(2, 3, dtype=dtype)).dtype == dtype


def test_tensor_gradient_is_preserved():
    vad = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    IMPROV.restore(vad).sum().backward()
    assert vad.grad.tolist() == [[2.0, -2.0, 2.0]] * 2


def test_nan_stays_nan():
    assert np.isnan(PODCAST.normalise([np.nan, 4.0, 4.0])).tolist() == [True, False, False]


@pytest.mark.parametrize("shape", [(), (2,), (3, 2)])
@pytest.mark.parametrize("make", [np.zeros, torch.zeros])
def test_last_axis_must_be_vad(shape, make):
    with pytest.raises(ValueError, match="last axis must have size 3"):
        PODCAST.normalise(make(shape))


@pytest.mark.parametrize(
    "value, inside", [(1.0, True), (7.0, True), (0.999, False), (7.001, False), (np.nan, False)]
)
def test_contains(value, inside):
    assert bool(PODCAST.contains(value)) is inside


def test_contains_is_elementwise():
    assert PODCAST.contains([1.0, 8.0]).tolist() == [True, False]


@pytest.mark.parametrize("low, high", [(7, 1), (3, 3)])
def test_low_must_be_below_high(low, high):
    with pytest.raises(ValueError, match=f"low={low}, high={high}"):
        Scale(low, high)


@pytest.mark.parametrize("low", [float("nan"), float("-inf"), "one", None])
def test_nonfinite_ends_raise(low):
    with pytest.raises(ValueError, match="low end of a scale must be a finite number"):
        Scale(low, 7)


def test_unknown_reversed_dimension_raises():
    with pytest.raises(ValueError, match="found activation"):
        Scale(1, 5, reversed=("activation",))


def test_scale_round_trips_through_json():
    assert Scale.from_dict(json.loads(json.dumps(IMPROV.to_dict()))) == IMPROV


def test_reversed_dimensions_are_in_vad_order():
    assert Scale(1, 5, ["dominance", "valence"]) == Scale(1.0, 5.0, ("valence", "dominance"))


@pytest.mark.parametrize("fields", [{}, {"low": 1}, {"low": 1, "high": 5, "hihg": 5}])
def test_wrong_keys_raise(fields):
    with pytest.raises(ValueError, match="must have the keys low and high"):
        Scale.from_dict(fields)


def test_import_does_not_load_torch():
    code = "import sys, emosphere_sb.scale; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("scale", "same"),
    [
        (Scale(-1, 1), True),
        (Scale(-1.0, 1.0, reversed=("arousal",)), False),
        (Scale(1, 7), False),
        (Scale(-2, 2), False),
        (Scale(0, 1), False),
    ],
)
def test_normalised_scale(scale, same):
    values = [0.25, -0.5, 0.125]
    assert scale.is_normalised is same
    assert (scale.restore(values).tolist() == values) is same

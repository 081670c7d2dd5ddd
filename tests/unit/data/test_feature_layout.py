"""Records of the feature cache: sizes, precision and moments."""

import numpy as np
import pytest

from emosphere_sb.data.feature_layout import Layout

STATES = np.random.default_rng(0).normal(3.0, 2.0, (7, 2, 3)).astype(np.float32)


@pytest.mark.parametrize(("precision", "item"), [("fp32", 4), ("fp16", 2)])
def test_frames_and_float64_moments(precision, item):
    layout = Layout("frames", precision, 2, 3)
    record = layout.encode(STATES)
    assert len(record) == layout.record_bytes(7) == 2 * 2 * 3 * 8 + 7 * 2 * 3 * item
    assert layout.frames(record).dtype == {4: np.float32, 2: np.float16}[item]
    assert np.array_equal(layout.frames(record), STATES.astype(f"f{item}"))
    exact = STATES.astype(np.float64)
    assert np.array_equal(layout.moments(record), [exact.mean(axis=0), exact.std(axis=0)])


@pytest.mark.parametrize(
    ("precision", "normalised", "bytes_per_value"),
    [("fp32", False, 16), ("fp16", False, 4), ("fp32", True, 8), ("fp16", True, 2)],
)
def test_size_of_averages(precision, normalised, bytes_per_value):
    layout = Layout("averages", precision, 2, 3, normalised)
    record = layout.encode(STATES)
    assert len(record) == layout.record_bytes(7) == bytes_per_value * 2 * 3
    moments = layout.moments(record)
    assert moments.shape == (1 if normalised else 2, 2, 3)
    np.testing.assert_allclose(moments[0], STATES.astype(float).mean(axis=0), rtol=1e-3)


@pytest.mark.parametrize("kind", ["frames", "averages"])
@pytest.mark.parametrize("value", [65520.0, -1e6])
def test_values_beyond_half_precision_raise(kind, value):
    states = np.full((2, 1, 1), value, dtype=np.float32)
    with pytest.raises(ValueError, match=r"exceeds the range .*feature_cache_precision=fp32"):
        Layout(kind, "fp16", 1, 1).encode(states)
    assert Layout(kind, "fp32", 1, 1).encode(states)


def test_nan_and_inf_are_preserved():
    states = STATES.copy()
    states[0, 0, 0], states[1, 1, 1] = np.nan, np.inf
    layout = Layout("frames", "fp16", 2, 3)
    assert np.array_equal(
        layout.frames(layout.encode(states)), states.astype(np.float16), equal_nan=True
    )


def test_invalid_arguments_raise():
    with pytest.raises(ValueError, match="must be one of fp32, fp16; found 'bf16'"):
        Layout("frames", "bf16", 1, 1)
    with pytest.raises(ValueError, match="one of frames, averages; found 'sums'"):
        Layout("sums", "fp32", 1, 1)

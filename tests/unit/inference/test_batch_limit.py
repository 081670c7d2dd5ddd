"""On a CPU, batches of several utterances have a limited duration; predictions do not change."""

import numpy as np
import pytest

from emosphere_sb.inference.predictor import CPU_BATCH_SECONDS
from emosphere_sb.inference.timeline import timeline
from tests.helpers.fixed_model import RATE, levels_model, write_levels


@pytest.fixture
def model(monkeypatch):
    """Return a model that records the shape of each batch."""
    model = levels_model()
    model.batches = []
    forward = model._forward

    def record(signals):
        model.batches.append((len(signals), max(map(len, signals)) / RATE))
        return forward(signals)

    monkeypatch.setattr(model, "_forward", record)
    return model


def test_batches_on_a_cpu_have_a_limited_duration(model):
    seconds = [1.0, 11.0, 2.0, 9.0, 3.0, 0.5, 10.0]
    signals = [np.full(round(s * RATE), 0.01 * (n + 1), "float32") for n, s in enumerate(seconds)]
    found = model.predict(signals, RATE)
    # 2 · 11 > 20; 10 with 9; 3 with 2, 1 and 0.5
    assert model.batches == [(1, 11.0), (2, 10.0), (4, 3.0)]
    expected = [0.01 * (n + 1) for n in range(len(seconds))]
    assert [one.valence for one in found] == pytest.approx(expected, rel=1e-5)
    model.batches.clear()
    model.predict(signals, RATE, batch_size=2)
    assert model.batches == [(1, 11.0), (2, 10.0), (2, 3.0), (2, 1.0)]


def test_batches_of_windows_have_a_limited_duration(model, tmp_path):
    path = write_levels(tmp_path / "long.wav", (60, 0.1))
    model.predict(path, window=4, overlap=0)
    assert model.batches == [(5, 4.0)] * 3
    model.batches.clear()
    assert len(list(timeline(model, path, window=6, hop=6))) == 10
    assert model.batches == [(3, 6.0)] * 3 + [(1, 6.0)]


def test_no_limit_on_a_gpu(model):
    assert model.max_batch_seconds == CPU_BATCH_SECONDS == 20
    model.device = "cuda"
    assert model.max_batch_seconds is None

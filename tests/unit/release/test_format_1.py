"""A model that version 0.1.0 (commit 2dd617f) released, and constructors that have changed since.

The fixture's README says how it was made.
"""

import json
import re
import shutil

import numpy as np
import pytest
import torch

from emosphere_sb import lobes
from emosphere_sb.cli import main
from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.lobes import EmotionHead, StylePooling, VADHead
from emosphere_sb.release import checksums
from emosphere_sb.release.formats import upgrade
from emosphere_sb.release.load import load_released
from emosphere_sb.release.write import write_released
from tests.helpers.format_1 import FIXTURE, MODEL, predictions, write_wav
from tests.helpers.models import write_tiny_model


@pytest.fixture(scope="module")
def expected():
    return json.loads((FIXTURE / "expected.json").read_text(encoding="utf-8"))


def assert_as_released(folder, expected, tmp_path):
    """A folder predicts what version 0.1.0 predicted, to 1e-6."""
    found = predictions(EmoSphere.from_pretrained(folder, device="cpu"), tmp_path)
    assert found.keys() == expected.keys() and len(found) == 6
    for name, one in expected.items():
        for key in ("vad", "embedding"):
            np.testing.assert_allclose(found[name][key], one[key], rtol=0, atol=1e-6, err_msg=name)
        assert found[name]["probabilities"] == pytest.approx(one["probabilities"], abs=1e-6)
        assert len(one["probabilities"]) == 8 and found[name]["region"] == one["region"]


def test_predicts_as_when_it_was_released(expected, tmp_path):
    assert_as_released(MODEL, expected, tmp_path)
    places = np.array([one["vad"] for one in expected.values()])
    assert (np.ptp(places, axis=0) > 0.01).all(), "the signals must be told apart"


def test_command_predicts_the_same(expected, tmp_path):
    write_wav(tmp_path / "a.wav")
    out = tmp_path / "out.jsonl"
    words = ["predict", str(MODEL), str(tmp_path / "a.wav"), f"--out={out}", "--quiet"]
    assert main([*words, "--device=cpu"]) == 0
    row = json.loads(out.read_text().splitlines()[0])
    found = [row[name] for name in ("valence", "arousal", "dominance")]
    np.testing.assert_allclose(found, expected["stereo.wav"]["vad"], rtol=0, atol=1e-6)


def test_fixture_is_small_synthetic_and_names_no_place_of_a_machine():
    files = [path for path in FIXTURE.rglob("*") if path.is_file()]
    assert len(files) == 8 and sum(path.stat().st_size for path in files) < 200_000
    for path in files:
        assert not re.search(rb"/(home|root|tmp|work|Users)/", path.read_bytes()), path
    card = (MODEL / checksums.CARD).read_text(encoding="utf-8")
    assert "**SYNTHETIC SPEECH.**" in card and "2dd617f" in card
    assert load_released(MODEL)[1].synthetic


# --- in format 2 -------------------------------------------------------------------------------


def write_again(source, out):
    """Write a released model in the current format."""
    model, about = load_released(source)
    configuration = json.loads((source / checksums.CONFIGURATION).read_text(encoding="utf-8"))
    described = upgrade(configuration, source / checksums.CONFIGURATION)["parts"]
    out.mkdir()
    write_released(out, model, about, described, (source / checksums.CARD).read_text("utf-8"))
    return out


def test_written_again_only_the_description_changes(expected, tmp_path):
    again = write_again(MODEL, tmp_path / "again")
    assert_as_released(again, expected, tmp_path)
    names = sorted(path.name for path in MODEL.iterdir())
    assert sorted(path.name for path in again.iterdir()) == names and len(names) == 5
    changed = [n for n in names if (again / n).read_bytes() != (MODEL / n).read_bytes()]
    assert changed == ["checksums.json", "emosphere.json"]
    before, after = (json.loads((f / "emosphere.json").read_text()) for f in (MODEL, again))
    assert after["format"] == 2 and after["requires"] == "emosphere-sb>=0.2.0"
    assert after["about"] == before["about"]
    assert before.keys() ^ after.keys() == {"requires"}


# --- constructors that have changed since ------------------------------------------------------


class LongerPooling(StylePooling):
    """A parameter inserted in second position."""

    def __init__(
        self, input_size, inserted=3, width=1024, heads=2, kernel_size=5, dropout=0.1,
        attention_scale="d_model",
    ):  # fmt: skip
        assert inserted == 3, "an argument has taken another one's place"
        super().__init__(input_size, width, heads, kernel_size, dropout, attention_scale)


class LongerVADHead(VADHead):
    def __init__(
        self, input_size, inserted=3, hidden_size=1024, dropout=0.5, standardise_labels=False
    ):
        assert inserted == 3, "an argument has taken another one's place"
        super().__init__(input_size, hidden_size, dropout, standardise_labels)


class LongerEmotionHead(EmotionHead):
    def __init__(self, input_size, inserted=3, output_size=8, hidden_size=1024, dropout=0.5):
        assert inserted == 3, "an argument has taken another one's place"
        super().__init__(input_size, output_size, hidden_size, dropout)


class OtherPooling(StylePooling):
    """Other defaults, and another order of the parameters."""

    def __init__(
        self, input_size, heads=4, width=512, attention_scale="d_head", kernel_size=3, dropout=0.0
    ):
        super().__init__(input_size, width, heads, kernel_size, dropout, attention_scale)


class OtherVADHead(VADHead):
    def __init__(self, input_size, standardise_labels=False, dropout=0.0, hidden_size=512):
        super().__init__(input_size, hidden_size, dropout, standardise_labels)


class OtherEmotionHead(EmotionHead):
    def __init__(self, input_size, dropout=0.0, hidden_size=512, output_size=3):
        super().__init__(input_size, output_size, hidden_size, dropout)


CHANGED = {
    "inserted": (LongerPooling, LongerVADHead, LongerEmotionHead),
    "reordered, other defaults": (OtherPooling, OtherVADHead, OtherEmotionHead),
}


@pytest.fixture(params=CHANGED)
def changed_constructors(request, monkeypatch):
    for kind in CHANGED[request.param]:
        monkeypatch.setattr(lobes, kind.__base__.__name__, kind)
    return CHANGED[request.param]


def test_changed_constructors_leave_format_1_as_it_was(expected, tmp_path, changed_constructors):
    assert_as_released(MODEL, expected, tmp_path)
    model, _ = load_released(MODEL)
    kinds = tuple(type(part) for part in (model.pooling, model.vad_head, model.class_head))
    assert kinds == changed_constructors


def test_changed_constructors_leave_format_2_as_it_was(expected, tmp_path, changed_constructors):
    again = write_again(MODEL, tmp_path / "again")
    assert_as_released(again, expected, tmp_path)


def answers(folder):
    model, _ = load_released(folder)
    signals = torch.randn(2, 9000, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found = model(signals, torch.tensor([9000, 5000]))
    return found.vad, found.embedding, found.logits


def as_format_1(folder):
    """Give the arguments that the helper gave, by position, without the defaults."""
    path = folder / checksums.CONFIGURATION
    facts = json.loads(path.read_text())
    del facts["requires"]
    facts["format"] = 1
    facts["parts"]["pooling"]["arguments"] = [16, 8]
    facts["parts"]["vad_head"]["arguments"] = [8, 8, 0.1]
    facts["parts"]["class_head"]["arguments"] = [8, 8, 8, 0.1]
    path.write_text(json.dumps(facts))
    checksums.write_checksums(folder)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("kinds", CHANGED)
def test_arguments_that_were_left_out_keep_their_values(number, kinds, tmp_path, monkeypatch):
    write_tiny_model(tmp_path / "tiny")
    if number == 1:
        as_format_1(tmp_path / "tiny")
    before = answers(tmp_path / "tiny")
    for kind in CHANGED[kinds]:
        monkeypatch.setattr(lobes, kind.__base__.__name__, kind)
    for one, other in zip(before, answers(tmp_path / "tiny"), strict=True):
        assert torch.equal(one, other)


def test_other_arguments_would_be_noticed(expected, tmp_path):
    """The fixture tells apart what the tests above must not mix up."""
    folder = shutil.copytree(MODEL, tmp_path / "copy")
    path = folder / checksums.CONFIGURATION
    for place, value in ((2, 4), (5, "d_head")):
        facts = json.loads((MODEL / checksums.CONFIGURATION).read_text())
        facts["parts"]["pooling"]["arguments"][place] = value
        path.write_text(json.dumps(facts))
        checksums.write_checksums(folder)
        with pytest.raises(AssertionError):
            assert_as_released(folder, expected, tmp_path)

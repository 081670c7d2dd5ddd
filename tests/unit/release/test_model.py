"""Metadata of a model and the model without training components."""

import json

import pytest
import torch

from emosphere_sb.release.model import ModelInfo
from emosphere_sb.scale import Scale
from tests.helpers.models import tiny_about, tiny_model


def test_metadata_round_trip_through_json():
    about = tiny_about(scale=Scale(1, 5, reversed=("arousal",)), centre_radius=0.25, facts={"a": 1})
    assert ModelInfo.from_dict(json.loads(json.dumps(about.to_dict()))) == about
    assert about.regions.centre_radius == 0.25


@pytest.mark.parametrize(
    "edit",
    [
        lambda facts: facts.pop("name"), lambda facts: facts.pop("scale"),
        lambda facts: facts.update(surprise=1), lambda facts: facts["scale"].pop("low"),
    ],
)  # fmt: skip
def test_missing_or_unknown_field(edit):
    facts = tiny_about().to_dict()
    edit(facts)
    with pytest.raises(ValueError):
        ModelInfo.from_dict(facts)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_seconds", "12"), ("max_seconds", -1), ("max_seconds", 0), ("max_seconds", True),
        ("centre_radius", "x"), ("centre_radius", float("nan")), ("region_step", [90]),
        ("name", 5), ("name", "red \x1b[31m"), ("licence", None), ("licence", "two\nlines"),
        ("synthetic", "no"), ("head", "other"), ("facts", None), ("words", ["sad"]),
        ("words", {"sad": [0, 0]}), ("words", {"sad": "low"}), ("words", {"a\nb": [0, 0, 0]}),
        ("classes", "abcdefgh"), ("classes", ["I"] * 8), ("classes", [1, 2]),
    ],
)  # fmt: skip
def test_invalid_field_is_named(field, value):
    with pytest.raises(ValueError, match=f"description: {field} must be"):
        ModelInfo.from_dict(tiny_about().to_dict() | {field: value})


@pytest.mark.parametrize("changes", [{"head": "none"}, {"classes": []}])
def test_classes_require_a_head(changes):
    with pytest.raises(ValueError, match="if and only if it has a class head"):
        ModelInfo.from_dict(tiny_about().to_dict() | changes)


def test_predictions_do_not_depend_on_the_batch():
    model = tiny_model()
    signals = torch.randn(3, 9000, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([9000, 4000, 1500])
    for row, length in enumerate(lengths.tolist()):
        signals[row, length:] = 0
    with torch.inference_mode():
        together = model(signals, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = model(signals[row : row + 1, :length], lengths[row : row + 1])
            for name in ("vad", "embedding", "logits"):
                torch.testing.assert_close(
                    getattr(together, name)[row], getattr(alone, name)[0], atol=1e-5, rtol=0
                )


def test_limits_follow_the_backbone(save_any):
    assert tiny_model().min_samples == 80 + 7 * 40  # two convolutions: 80 and 8 samples, 40 apart
    assert tiny_model().max_samples is None
    from emosphere_sb.lobes import SSLEncoder
    from emosphere_sb.release.model import ReleasedModel

    whisper = SSLEncoder(save_any("whisper"), freeze="all")
    assert ReleasedModel(None, whisper, None, None).max_samples == 30 * 16000

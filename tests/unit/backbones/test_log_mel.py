"""Log-mel frames against transformers' extractors, independence of the batch, and configuration."""

import json
import logging

import numpy as np
import pytest
import torch
from transformers import AutoConfig, SeamlessM4TFeatureExtractor, WhisperFeatureExtractor

from emosphere_sb.backbones.log_mel import (
    SeamlessLogMel,
    WhisperLogMel,
    load_feature_extractor,
    precision,
)
from emosphere_sb.backbones.masking import frame_mask

KINDS = {
    "whisper": (WhisperLogMel, WhisperFeatureExtractor()),
    "w2v-bert": (SeamlessLogMel, SeamlessM4TFeatureExtractor()),
}


class Model:
    """The attributes of a model that ``load_feature_extractor`` reads."""

    def __init__(self, settings):
        self.config = AutoConfig.for_model(**settings)


# ---- comparison with transformers ------------------------------------------------------------


@pytest.mark.parametrize("bins", [80, 128])
def test_whisper_matches_extractor_in_float64(draw, pad, bins):
    extractor = WhisperFeatureExtractor(feature_size=bins)
    log_mel = WhisperLogMel(extractor)
    for signal in draw(12, 201, 90000):
        found, frames = log_mel(*pad([signal]))
        exact = extractor._np_extract_fbank_features(signal.numpy()[None], "cpu")
        assert found.shape == exact.shape and frames.tolist() == [exact.shape[-1]]
        assert np.abs(found.numpy() - exact).max() < 2e-6


def test_whisper_matches_extractor_without_padding(draw, pad):
    # With torch installed, transformers computes in float32, which differs by 3e-5 from float64.
    extractor = WhisperFeatureExtractor()
    log_mel = WhisperLogMel(extractor)
    for signal in draw(12, 201, 90000):
        found, _ = log_mel(*pad([signal]))
        given = extractor(signal.numpy(), sampling_rate=16000, padding=False, return_tensors="pt")
        torch.testing.assert_close(found, given.input_features, rtol=0, atol=3e-4)


def test_w2v_bert_matches_extractor_in_float64(draw, pad, in_float64):
    extractor = SeamlessM4TFeatureExtractor()
    log_mel = SeamlessLogMel(extractor)
    for signal in draw(12, 560, 90000):
        found, frames = log_mel(*pad([signal]))
        given = extractor(signal.numpy(), sampling_rate=16000, return_tensors="pt")
        assert frames.tolist() == given.attention_mask.sum(dim=1).tolist()
        # The spectrum is still complex64. In a band whose two or three values are nearly equal,
        # this rounding error is divided by a tiny SD (at least sqrt(1e-7)).
        allowed = 3e-6 if len(signal) > 4000 else 1e-3
        torch.testing.assert_close(found, given.input_features, rtol=0, atol=allowed)


def test_w2v_bert_matches_extractor(draw, pad):
    # The extractor rounds the bands to float32 before it normalises them, an error of 1e-5, or more
    # where a band is nearly constant, as over a few frames.
    extractor = SeamlessM4TFeatureExtractor()
    log_mel = SeamlessLogMel(extractor)
    for signal in draw(12, 4000, 90000):
        found, _ = log_mel(*pad([signal]))
        given = extractor(signal.numpy(), sampling_rate=16000, return_tensors="pt")
        torch.testing.assert_close(found, given.input_features, rtol=0, atol=3e-4)


@pytest.mark.parametrize("filler", [0.0, 1.0])
def test_w2v_bert_batch_has_the_layout_of_the_extractor(draw, pad, in_float64, filler):
    extractor = SeamlessM4TFeatureExtractor(padding_value=filler)
    signals = draw(4, 4000)
    found, frames = SeamlessLogMel(extractor)(*pad(signals))
    given = extractor([s.numpy() for s in signals], sampling_rate=16000, return_tensors="pt")
    assert torch.equal(frame_mask(frames, found.shape[1]).long(), given.attention_mask.long())
    torch.testing.assert_close(found, given.input_features, rtol=0, atol=3e-6)


@pytest.mark.parametrize("name", KINDS)
def test_silence_has_finite_frames(name):
    kind, extractor = KINDS[name]
    found, _ = kind(extractor)(torch.zeros(1, 8000), torch.tensor([8000]))
    # Whisper: log10(1e-10) everywhere; w2v-BERT: constant bands
    expected = -1.5 if name == "whisper" else 0.0
    torch.testing.assert_close(found, torch.full_like(found, expected))


# ---- independence of the batch ---------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_row_does_not_depend_on_its_batch(name, draw, check_invariance):
    kind, extractor = KINDS[name]
    log_mel = kind(extractor)

    def run(signals, lengths):
        features, _ = log_mel(signals, lengths)
        return features.transpose(1, 2) if name == "whisper" else features

    check_invariance(run, log_mel.frame_lengths, draw(6, log_mel.min_samples), 1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_frames_after_the_end_are_padding(name, draw, pad):
    kind, extractor = KINDS[name]
    log_mel = kind(extractor)
    features, frames = log_mel(*pad(draw(3, log_mel.min_samples), filler=float("nan")))
    assert features.dtype == torch.float32
    if name == "w2v-bert":  # the stack after the last valid one may contain an odd frame
        features, frames = features.transpose(1, 2), frames + 1
    assert not features.transpose(1, 2)[~frame_mask(frames, features.shape[2])].any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
@pytest.mark.parametrize("name", KINDS)
def test_waveform_may_have_any_dtype(name, dtype, draw, pad):
    kind, extractor = KINDS[name]
    signals, lengths = pad(draw(2, 4000))
    found, _ = kind(extractor)(signals.to(dtype), lengths)
    expected, _ = kind(extractor)(signals.to(dtype).float(), lengths)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", KINDS)
def test_gradient_reaches_the_waveform(name, draw, pad):
    kind, extractor = KINDS[name]
    signals, lengths = pad([signal + 1e-3 for signal in draw(2, 4000)])
    signals.requires_grad_(True)
    kind(extractor)(signals, lengths)[0].square().sum().backward()
    assert signals.grad.isfinite().all() and signals.grad.any()


@pytest.mark.parametrize("name, shortest", [("whisper", 201), ("w2v-bert", 560)])
def test_too_short_utterance_raises(name, shortest):
    kind, extractor = KINDS[name]
    log_mel = kind(extractor)
    assert log_mel.min_samples == shortest
    lengths = torch.tensor([5000, shortest])
    assert log_mel(torch.zeros(2, 5000), lengths)[1].tolist()[1] == 1
    with pytest.raises(ValueError, match=f"at least {shortest} samples; found {shortest - 1}"):
        log_mel(torch.zeros(2, 5000), lengths - torch.tensor([0, 1]))


def test_precision_is_float32_without_float64_support():
    assert precision(torch.device("mps")) == torch.float32
    assert precision(torch.device("cuda", 1)) == precision(torch.device("cpu")) == torch.float64


# ---- configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize("bins", [80, 128])
@pytest.mark.parametrize("bare", [False, True])
def test_preprocessor_config_of_the_folder_is_used(tmp_path, narrow_settings, bins, bare):
    """Also for a bare configuration in the same folder, as in a released model."""
    WhisperFeatureExtractor(feature_size=bins, chunk_length=20).save_pretrained(tmp_path)
    model = Model(narrow_settings("whisper", num_mel_bins=bins))
    extractor = load_feature_extractor(model, str(tmp_path / "backbone.json" if bare else tmp_path))
    assert isinstance(extractor, WhisperFeatureExtractor) and extractor.chunk_length == 20


def test_preprocessor_in_processor_config_is_used(tmp_path, narrow_settings):
    settings = SeamlessM4TFeatureExtractor(padding_value=1).to_dict()
    nested = {"processor_class": "Wav2Vec2BertProcessor", "feature_extractor": settings}
    (tmp_path / "processor_config.json").write_text(json.dumps(nested))
    extractor = load_feature_extractor(Model(narrow_settings("wav2vec2-bert")), str(tmp_path))
    assert extractor.padding_value == 1


@pytest.mark.parametrize(
    "family, changes, bins",
    [
        ("whisper", {"num_mel_bins": 128}, 128),
        ("wav2vec2-bert", {"feature_projection_input_dim": 80}, 40),
    ],
)
@pytest.mark.parametrize("bare", [False, True])
def test_missing_preprocessor_config_logs_the_defaults(
    tmp_path, narrow_settings, caplog, family, changes, bins, bare
):
    model = Model(narrow_settings(family, **changes))
    model.config.save_pretrained(tmp_path)
    source = str(tmp_path / "config.json") if bare else str(tmp_path)
    with caplog.at_level(logging.INFO, logger="emosphere_sb.backbones.log_mel"):
        extractor = load_feature_extractor(model, source)
    assert extractor.mel_filters.shape[1] == bins
    (record,) = [r for r in caplog.records if r.name == "emosphere_sb.backbones.log_mel"]
    assert record.levelno == (logging.INFO if bare else logging.WARNING)
    for part in (source, "no preprocessor_config.json", type(extractor).__name__, str(bins)):
        assert part in record.getMessage()


@pytest.mark.filterwarnings("ignore:At least one mel filter")
@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "Could not use"),
        ('{"feature_extractor_type": "NoSuchExtractor"}', "Could not use"),
        (
            '{"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": "many"}',
            "Could not use",
        ),
        (
            '{"feature_extractor_type": "Wav2Vec2FeatureExtractor"}',
            "is for Wav2Vec2FeatureExtractor; the model needs WhisperFeatureExtractor",
        ),
        (
            '{"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 128}',
            "has 128 mel bands; the model needs 80",
        ),
        (
            '{"feature_extractor_type": "WhisperFeatureExtractor", "sampling_rate": 48000}',
            "has a sampling rate of 48000 Hz",
        ),
    ],
)
@pytest.mark.parametrize("bare", [False, True])
def test_mismatching_preprocessor_config_raises(tmp_path, narrow_settings, text, message, bare):
    model = Model(narrow_settings("whisper"))
    model.config.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        load_feature_extractor(model, str(tmp_path / "config.json" if bare else tmp_path))
    assert str(tmp_path) in str(caught.value)


def test_stride_other_than_two_raises():
    with pytest.raises(ValueError, match=r"must be 2 .*found 4"):
        SeamlessLogMel(SeamlessM4TFeatureExtractor(stride=4))


def test_ignored_dither_is_logged(caplog):
    with caplog.at_level(logging.INFO, logger="emosphere_sb.backbones.log_mel"):
        WhisperLogMel(WhisperFeatureExtractor(dither=1e-4))
    assert "dither (0.0001)" in caplog.text

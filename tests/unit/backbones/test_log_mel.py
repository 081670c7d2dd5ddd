"""Log-mel frames: as transformers' extractors give them alone, in any batch, from any source."""

import json
import logging

import numpy as np
import pytest
import torch
from transformers import AutoConfig, SeamlessM4TFeatureExtractor, WhisperFeatureExtractor

from emosphere_sb.backbones.log_mel import (
    SeamlessLogMel,
    WhisperLogMel,
    extractor_for,
    precision,
)
from emosphere_sb.backbones.masking import frame_mask

KINDS = {
    "whisper": (WhisperLogMel, WhisperFeatureExtractor()),
    "w2v-bert": (SeamlessLogMel, SeamlessM4TFeatureExtractor()),
}


class Model:
    """As much of a model as ``extractor_for`` looks at."""

    def __init__(self, settings):
        self.config = AutoConfig.for_model(**settings)


# ---- as the extractors -----------------------------------------------------------------------


@pytest.mark.parametrize("bins", [80, 128])
def test_whisper_is_the_extractors_float64(draw, pad, bins):
    extractor = WhisperFeatureExtractor(feature_size=bins)
    log_mel = WhisperLogMel(extractor)
    for signal in draw(12, 201, 90000):
        found, frames = log_mel(*pad([signal]))
        exact = extractor._np_extract_fbank_features(signal.numpy()[None], "cpu")
        assert found.shape == exact.shape and frames.tolist() == [exact.shape[-1]]
        assert np.abs(found.numpy() - exact).max() < 2e-6


def test_whisper_is_what_the_extractor_gives_without_padding(draw, pad):
    # transformers runs it in float32 where torch is installed, which is 3e-5 off its own float64.
    extractor = WhisperFeatureExtractor()
    log_mel = WhisperLogMel(extractor)
    for signal in draw(12, 201, 90000):
        found, _ = log_mel(*pad([signal]))
        given = extractor(signal.numpy(), sampling_rate=16000, padding=False, return_tensors="pt")
        torch.testing.assert_close(found, given.input_features, rtol=0, atol=3e-4)


def test_w2v_bert_is_the_extractors_float64(draw, pad, in_float64):
    extractor = SeamlessM4TFeatureExtractor()
    log_mel = SeamlessLogMel(extractor)
    for signal in draw(12, 560, 90000):
        found, frames = log_mel(*pad([signal]))
        given = extractor(signal.numpy(), sampling_rate=16000, return_tensors="pt")
        assert frames.tolist() == given.attention_mask.sum(dim=1).tolist()
        # It still keeps the spectrum in complex64. A band whose two or three values are alike
        # divides that rounding by next to nothing, at least by sqrt(1e-7).
        allowed = 3e-6 if len(signal) > 4000 else 1e-3
        torch.testing.assert_close(found, given.input_features, rtol=0, atol=allowed)


def test_w2v_bert_is_what_the_extractor_gives(draw, pad):
    # It rounds the bands to float32 before it takes their mean and deviation: 1e-5 off, and more
    # where a band hardly changes, as over a few frames.
    extractor = SeamlessM4TFeatureExtractor()
    log_mel = SeamlessLogMel(extractor)
    for signal in draw(12, 4000, 90000):
        found, _ = log_mel(*pad([signal]))
        given = extractor(signal.numpy(), sampling_rate=16000, return_tensors="pt")
        torch.testing.assert_close(found, given.input_features, rtol=0, atol=3e-4)


@pytest.mark.parametrize("filler", [0.0, 1.0])
def test_w2v_bert_lays_a_batch_out_as_the_extractor(draw, pad, in_float64, filler):
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
    # Whisper: log10(1e-10) everywhere; w2v-BERT: bands that do not change
    expected = -1.5 if name == "whisper" else 0.0
    torch.testing.assert_close(found, torch.full_like(found, expected))


# ---- in any batch ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_a_row_is_the_same_in_any_batch(name, draw, check_invariance):
    kind, extractor = KINDS[name]
    log_mel = kind(extractor)

    def run(signals, lengths):
        features, _ = log_mel(signals, lengths)
        return features.transpose(1, 2) if name == "whisper" else features

    check_invariance(run, log_mel.frame_lengths, draw(6, log_mel.shortest), 1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_behind_the_end_stands_padding(name, draw, pad):
    kind, extractor = KINDS[name]
    log_mel = kind(extractor)
    features, frames = log_mel(*pad(draw(3, log_mel.shortest), filler=float("nan")))
    assert features.dtype == torch.float32
    if name == "w2v-bert":  # half of the stack behind the last may be an odd frame, as ever there
        features, frames = features.transpose(1, 2), frames + 1
    assert not features.transpose(1, 2)[~frame_mask(frames, features.shape[2])].any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
@pytest.mark.parametrize("name", KINDS)
def test_any_precision_of_the_waveform_is_taken(name, dtype, draw, pad):
    kind, extractor = KINDS[name]
    signals, lengths = pad(draw(2, 4000))
    found, _ = kind(extractor)(signals.to(dtype), lengths)
    expected, _ = kind(extractor)(signals.to(dtype).float(), lengths)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", KINDS)
def test_the_waveform_has_a_gradient(name, draw, pad):
    kind, extractor = KINDS[name]
    signals, lengths = pad([signal + 1e-3 for signal in draw(2, 4000)])
    signals.requires_grad_(True)
    kind(extractor)(signals, lengths)[0].square().sum().backward()
    assert signals.grad.isfinite().all() and signals.grad.any()


@pytest.mark.parametrize("name, shortest", [("whisper", 201), ("w2v-bert", 560)])
def test_too_short_an_utterance_is_refused(name, shortest):
    kind, extractor = KINDS[name]
    log_mel = kind(extractor)
    assert log_mel.shortest == shortest
    lengths = torch.tensor([5000, shortest])
    assert log_mel(torch.zeros(2, 5000), lengths)[1].tolist()[1] == 1
    with pytest.raises(ValueError, match=f"at least {shortest} samples; found {shortest - 1}"):
        log_mel(torch.zeros(2, 5000), lengths - torch.tensor([0, 1]))


def test_a_device_without_float64_gets_float32():
    assert precision(torch.device("mps")) == torch.float32
    assert precision(torch.device("cuda", 1)) == precision(torch.device("cpu")) == torch.float64


# ---- whose settings --------------------------------------------------------------------------


@pytest.mark.parametrize("bins", [80, 128])
@pytest.mark.parametrize("bare", [False, True])
def test_the_folders_preprocessor_is_read(tmp_path, narrow_settings, bins, bare):
    """Beside a bare configuration too: so it lies in a released model."""
    WhisperFeatureExtractor(feature_size=bins, chunk_length=20).save_pretrained(tmp_path)
    model = Model(narrow_settings("whisper", num_mel_bins=bins))
    extractor = extractor_for(model, str(tmp_path / "backbone.json" if bare else tmp_path))
    assert isinstance(extractor, WhisperFeatureExtractor) and extractor.chunk_length == 20


def test_a_preprocessor_inside_a_processor_is_read(tmp_path, narrow_settings):
    settings = SeamlessM4TFeatureExtractor(padding_value=1).to_dict()
    nested = {"processor_class": "Wav2Vec2BertProcessor", "feature_extractor": settings}
    (tmp_path / "processor_config.json").write_text(json.dumps(nested))
    extractor = extractor_for(Model(narrow_settings("wav2vec2-bert")), str(tmp_path))
    assert extractor.padding_value == 1


@pytest.mark.parametrize(
    "family, changes, bins",
    [
        ("whisper", {"num_mel_bins": 128}, 128),
        ("wav2vec2-bert", {"feature_projection_input_dim": 80}, 40),
    ],
)
@pytest.mark.parametrize("bare", [False, True])
def test_without_a_preprocessor_the_log_names_the_defaults(
    tmp_path, narrow_settings, caplog, family, changes, bins, bare
):
    model = Model(narrow_settings(family, **changes))
    model.config.save_pretrained(tmp_path)
    source = str(tmp_path / "config.json") if bare else str(tmp_path)
    with caplog.at_level(logging.INFO, logger="emosphere_sb.backbones.log_mel"):
        extractor = extractor_for(model, source)
    assert extractor.mel_filters.shape[1] == bins
    (record,) = [r for r in caplog.records if r.name == "emosphere_sb.backbones.log_mel"]
    assert record.levelno == (logging.INFO if bare else logging.WARNING)
    for part in (source, "without preprocessor_config.json", type(extractor).__name__, str(bins)):
        assert part in record.getMessage()


@pytest.mark.filterwarnings("ignore:At least one mel filter")
@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "could not be used"),
        ('{"feature_extractor_type": "NoSuchExtractor"}', "could not be used"),
        (
            '{"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": "many"}',
            "could not be used",
        ),
        (
            '{"feature_extractor_type": "Wav2Vec2FeatureExtractor"}',
            "names a Wav2Vec2FeatureExtractor, the model wants a WhisperFeatureExtractor",
        ),
        (
            '{"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 128}',
            "has 128 mel bands, the model 80",
        ),
        (
            '{"feature_extractor_type": "WhisperFeatureExtractor", "sampling_rate": 48000}',
            "has a sampling rate of 48000 Hz",
        ),
    ],
)
@pytest.mark.parametrize("bare", [False, True])
def test_a_preprocessor_that_does_not_fit_is_refused(
    tmp_path, narrow_settings, text, message, bare
):
    model = Model(narrow_settings("whisper"))
    model.config.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        extractor_for(model, str(tmp_path / "config.json" if bare else tmp_path))
    assert str(tmp_path) in str(caught.value)


def test_another_stride_than_two_is_refused():
    with pytest.raises(ValueError, match="stride is 4"):
        SeamlessLogMel(SeamlessM4TFeatureExtractor(stride=4))


def test_dither_is_named_in_the_log(caplog):
    with caplog.at_level(logging.INFO, logger="emosphere_sb.backbones.log_mel"):
        WhisperLogMel(WhisperFeatureExtractor(dither=1e-4))
    assert "dither of 0.0001" in caplog.text

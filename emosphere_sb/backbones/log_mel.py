"""Batched log-mel input for Whisper and w2v-BERT 2.0 in PyTorch, on any device.

The feature extractors of transformers process one utterance at a time on the CPU, and Whisper's
pads it to 30 s. Here, a padded batch of waveforms is converted to a padded batch of frames. Each
row equals the extractor's output for that utterance alone, without padding. Computations are in
float64, as in the extractors' NumPy code: in float32, rounding errors of loud bands affect quiet
ones.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from emosphere_sb.backbones.masking import frame_mask

logger = logging.getLogger(__name__)

SAMPLE_RATE = 16000
WHISPER_FLOOR, WHISPER_RANGE = 1e-10, 8.0  # smallest power; dynamic range in decades
# Hard-coded in SeamlessM4TFeatureExtractor, not part of its settings.
KALDI_LENGTH, KALDI_HOP, KALDI_FFT = 400, 160, 512
KALDI_SCALE, KALDI_PREEMPHASIS, KALDI_FLOOR = 2.0**15, 0.97, 1.192092955078125e-07
KALDI_EPSILON = 1e-7


class WhisperLogMel:
    """Log-mel features of ``WhisperFeatureExtractor`` for each utterance, without padding to 30 s.

    Frames are centred every ``hop_length`` samples, with each utterance reflected at its ends. The
    log10 of the mel bands is clipped at 8 below the utterance's maximum and scaled as
    ``(x + 4) / 4``. The last frame is dropped, as in the extractor.

    This is not a module and its filters are not buffers, so casting the model does not change their
    precision.

    Arguments
    ---------
    extractor : transformers.WhisperFeatureExtractor
        Extractor of the checkpoint; see :func:`load_feature_extractor`. Its random dither is not
        applied.

    Example
    -------
    >>> from transformers import WhisperFeatureExtractor
    >>> log_mel = WhisperLogMel(WhisperFeatureExtractor())
    >>> features, frames = log_mel(torch.randn(2, 16000), torch.tensor([16000, 8100]))
    >>> features.shape, frames.tolist()
    (torch.Size([2, 80, 100]), [100, 50])
    """

    def __init__(self, extractor):
        from transformers.audio_utils import window_function

        self.settings: str = extractor.to_json_string()
        self.fft, self.hop = int(extractor.n_fft), int(extractor.hop_length)
        # Reflecting n samples requires an utterance of at least n + 1.
        self.min_samples = max(self.fft // 2 + 1, self.hop)
        self._constants = _Constants(window_function(self.fft, "hann"), extractor.mel_filters)
        if extractor.dither:
            logger.info("Ignoring the dither (%g) of Whisper's preprocessor.", extractor.dither)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Convert numbers of samples to numbers of mel frames."""
        return lengths // self.hop

    def constants(self) -> tuple[Tensor, Tensor]:
        """Return the window (sample,) and the mel filters (frequency, bin) in float64."""
        return self._constants.on(torch.device("cpu"))

    def __call__(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute log-mel frames of a padded batch.

        Arguments
        ---------
        signals : torch.Tensor
            Waveforms at 16 kHz, shape (batch, samples); padding is not read.
        lengths : torch.Tensor
            Number of valid samples of each row, shape (batch,).

        Returns
        -------
        tuple of torch.Tensor
            Features (batch, bins, frames), float32, zero in padded frames, and the number of valid
            frames of each row (batch,).

        Raises
        ------
        ValueError
            If an utterance has fewer than ``min_samples`` samples.
        """
        _check_length(lengths, self.min_samples)
        window, filters = self._constants.on(signals.device)
        frames = self.frame_lengths(lengths)
        longest = int(frames.max())
        first = -(self.fft // 2)
        place = torch.arange(
            first, first + (longest - 1) * self.hop + self.fft, device=signals.device
        ).abs()
        last = lengths.unsqueeze(1) - 1
        # Each row is reflected at its own end; later positions only reach frames masked below.
        place = torch.where(place > last, 2 * last - place, place).clamp(min=0)
        samples = signals.to(window.dtype).gather(1, place)
        power = _power(samples.unfold(1, self.fft, self.hop) * window, self.fft)
        log_mel = (power @ filters).clamp(min=WHISPER_FLOOR).log10()
        padded = ~frame_mask(frames, longest).unsqueeze(-1)
        peak = log_mel.masked_fill(padded, -torch.inf).amax(dim=(1, 2), keepdim=True)
        log_mel = (torch.maximum(log_mel, peak - WHISPER_RANGE) + 4.0) / 4.0
        return log_mel.masked_fill(padded, 0.0).float().transpose(1, 2), frames


class SeamlessLogMel:
    """Log-mel features of ``SeamlessM4TFeatureExtractor``, the input of w2v-BERT 2.0.

    Frames are 25 ms long, one every 10 ms; none crosses the end of the utterance. The mean of
    each frame is removed, followed by pre-emphasis, Povey's window and the log of the mel bands.
    Each band is normalised to zero mean and unit variance over the utterance, and pairs of frames
    are stacked. If the number of frames is odd, the last one contributes to mean and variance, but
    its padded stack does not count as valid.

    Arguments
    ---------
    extractor : transformers.SeamlessM4TFeatureExtractor
        Extractor of the checkpoint; see :func:`load_feature_extractor`.

    Raises
    ------
    ValueError
        If the extractor's ``stride`` (number of stacked frames) is not 2.

    Example
    -------
    >>> from transformers import SeamlessM4TFeatureExtractor
    >>> log_mel = SeamlessLogMel(SeamlessM4TFeatureExtractor())
    >>> features, frames = log_mel(torch.randn(2, 16000), torch.tensor([16000, 880]))
    >>> features.shape, frames.tolist()
    (torch.Size([2, 49, 160]), [49, 2])
    """

    def __init__(self, extractor):
        if extractor.stride != 2:
            raise ValueError(
                f"The stride of a w2v-BERT 2.0 preprocessor must be 2 (two stacked frames); found "
                f"{extractor.stride}."
            )
        self.settings: str = extractor.to_json_string()
        self.padding = float(extractor.padding_value)
        self.min_samples = KALDI_LENGTH + KALDI_HOP  # two frames, for one stack and a variance
        self._constants = _Constants(extractor.window, extractor.mel_filters)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Convert numbers of samples to numbers of valid stacks of two frames."""
        return self._single(lengths) // 2

    @staticmethod
    def _single(lengths: Tensor) -> Tensor:
        return (lengths - KALDI_LENGTH) // KALDI_HOP + 1

    def __call__(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute log-mel frames of a padded batch, in the extractor's layout.

        Arguments
        ---------
        signals : torch.Tensor
            Waveforms at 16 kHz, shape (batch, samples); padding has no effect.
        lengths : torch.Tensor
            Number of valid samples of each row, shape (batch,).

        Returns
        -------
        tuple of torch.Tensor
            Features (batch, stacks, 2 · bins), float32, with the extractor's padding value after
            the last single frame of each utterance, and the number of valid stacks of each row
            (batch,). If the longest utterance has an odd number of single frames, the last stack
            is not valid in any row.

        Raises
        ------
        ValueError
            If an utterance has fewer than ``min_samples`` samples.
        """
        _check_length(lengths, self.min_samples)
        window, filters = self._constants.on(signals.device)
        frames = self._single(lengths)
        longest = int(frames.max())
        signals = signals[:, : (longest - 1) * KALDI_HOP + KALDI_LENGTH].to(window.dtype)
        pieces = signals.unfold(1, KALDI_LENGTH, KALDI_HOP) * KALDI_SCALE
        pieces = pieces - pieces.mean(dim=-1, keepdim=True)
        # The first sample of each frame also serves as its predecessor, as in Kaldi.
        before = torch.cat([pieces[..., :1], pieces[..., :-1]], dim=-1)
        power = _power((pieces - KALDI_PREEMPHASIS * before) * window, KALDI_FFT)
        log_mel = (power @ filters).clamp(min=KALDI_FLOOR).log()
        padded = ~frame_mask(frames, longest).unsqueeze(-1)
        count = frames.view(-1, 1, 1)
        mean = log_mel.masked_fill(padded, 0.0).sum(dim=1, keepdim=True) / count
        centred = (log_mel - mean).masked_fill(padded, 0.0)
        variance = centred.square().sum(dim=1, keepdim=True) / (count - 1)
        normal = centred / (variance + KALDI_EPSILON).sqrt()
        normal = normal.masked_fill(padded, self.padding).float()
        normal = nn.functional.pad(normal, (0, 0, 0, longest % 2), value=self.padding)
        return normal.reshape(len(normal), -1, 2 * normal.shape[-1]), frames // 2


class _Constants:
    """Window and mel filters, cached per device in the highest precision it supports."""

    def __init__(self, window, filters):
        self._source = (torch.as_tensor(window), torch.as_tensor(filters))
        self._placed: dict[torch.device, tuple[Tensor, ...]] = {}

    def on(self, device: torch.device) -> tuple[Tensor, ...]:
        if device not in self._placed:
            dtype = precision(device)
            self._placed[device] = tuple(part.to(device, dtype) for part in self._source)
        return self._placed[device]


def precision(device: torch.device) -> torch.dtype:
    """Return float64, or float32 on Apple GPUs, which do not support float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def load_feature_extractor(model: nn.Module, source: str):
    """Load the feature extractor that belongs to a Whisper or w2v-BERT 2.0 model.

    Arguments
    ---------
    model : torch.nn.Module
        Transformers model; its configuration gives the model type and the number of mel bands.
    source : str
        Hub name or folder with a ``preprocessor_config.json`` (or ``processor_config.json``), or
        path of a ``.json`` configuration, which may have a ``preprocessor_config.json`` in the same
        folder, as in a released model. If this file is missing, the transformers defaults are used
        with the model's number of mel bands, and this is logged.

    Returns
    -------
    transformers.SequenceFeatureExtractor
        ``WhisperFeatureExtractor`` or ``SeamlessM4TFeatureExtractor``.

    Raises
    ------
    ValueError
        If the file cannot be read, or its extractor type, sampling rate or number of mel bands does
        not match the model.
    """
    from transformers import (
        AutoFeatureExtractor,
        SeamlessM4TFeatureExtractor,
        WhisperFeatureExtractor,
    )
    from transformers.utils import cached_file

    config, source = model.config, str(source)
    if config.model_type == "whisper":
        kind, bins = WhisperFeatureExtractor, config.num_mel_bins
        defaults = {"feature_size": bins}
    else:
        kind, bins = SeamlessM4TFeatureExtractor, config.feature_projection_input_dim // 2
        defaults = {"feature_size": bins, "num_mel_bins": bins}
    try:
        # AutoFeatureExtractor would mistake a bare model configuration for a preprocessor's.
        bare = source.endswith(".json")
        if bare and (path := Path(source).with_name("preprocessor_config.json")).is_file():
            extractor = _from_file(path, kind)
        elif not bare and any(
            cached_file(source, name, _raise_exceptions_for_missing_entries=False)
            for name in ("preprocessor_config.json", "processor_config.json")
        ):
            extractor = AutoFeatureExtractor.from_pretrained(source)
        else:
            logger.log(
                logging.INFO if bare else logging.WARNING,
                "%s has no preprocessor_config.json; using the defaults of %s with %d mel bands.",
                source, kind.__name__, bins,
            )  # fmt: skip
            extractor = kind(**defaults)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"Could not use the preprocessor_config.json of backbone {source!r} ({error}). Use the "
            f"file published with the model."
        ) from error
    _check(extractor, kind, bins, source)
    return extractor


def _from_file(path: Path, kind: type):
    """Load an extractor from one file only; other files in its folder are ignored."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    named = settings.pop("feature_extractor_type", kind.__name__)
    if named != kind.__name__:
        raise ValueError(f"it is for {named}; the model needs {kind.__name__}")
    return kind.from_dict(settings)


def _check(extractor, kind: type, bins: int, source: str) -> None:
    wrong = None
    if not isinstance(extractor, kind):
        wrong = f"is for {type(extractor).__name__}; the model needs {kind.__name__}"
    elif extractor.sampling_rate != SAMPLE_RATE:
        wrong = (
            f"has a sampling rate of {extractor.sampling_rate} Hz; the model needs {SAMPLE_RATE} Hz"
        )
    elif extractor.mel_filters.shape[1] != bins:
        wrong = f"has {extractor.mel_filters.shape[1]} mel bands; the model needs {bins}"
    if wrong:
        raise ValueError(
            f"The preprocessor_config.json of backbone {source!r} {wrong}. Use the file published "
            f"with the model."
        )


def _power(pieces: Tensor, size: int) -> Tensor:
    spectrum = torch.fft.rfft(pieces, n=size)
    return spectrum.real.square() + spectrum.imag.square()


def _check_length(lengths: Tensor, min_samples: int) -> None:
    if int(lengths.min()) < min_samples:
        raise ValueError(
            f"Each utterance must contain at least {min_samples} samples; found "
            f"{int(lengths.min())}."
        )

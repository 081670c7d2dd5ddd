"""Log-mel input of Whisper and w2v-BERT 2.0 in torch: batched, on any device, without padding.

transformers' own extractors run one utterance at a time on the CPU, and Whisper's fills up to 30 s.
Here a padded batch of waveforms becomes a padded batch of frames, and each row is what the
extractor gives for that utterance alone. Inside it is float64, as in the extractors' NumPy code:
in float32 the rounding of loud bands reaches the quiet ones.
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
WHISPER_FLOOR, WHISPER_RANGE = 1e-10, 8.0  # smallest power; decades below the loudest that count
# Written into SeamlessM4TFeatureExtractor's code, not among its settings.
KALDI_LENGTH, KALDI_HOP, KALDI_FFT = 400, 160, 512
KALDI_SCALE, KALDI_PREEMPHASIS, KALDI_FLOOR = 2.0**15, 0.97, 1.192092955078125e-07
KALDI_EPSILON = 1e-7


class WhisperLogMel:
    """What ``WhisperFeatureExtractor`` gives for each utterance alone, without filling up to 30 s.

    A spectrogram of frames centred every ``hop_length`` samples, each utterance mirrored at its own
    end; its mel bands as log10, cut at 8 below the utterance's own maximum; ``(x + 4) / 4``. The
    last frame is dropped as the extractor drops it.

    Not a module, and its filters no buffers: a cast of the model must not reach them, and
    DistributedDataParallel has nothing to send around.

    Arguments
    ---------
    extractor : transformers.WhisperFeatureExtractor
        The checkpoint's own (see :func:`extractor_for`). Its dither, which is random, is left out.

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
        # A mirror needs one sample more than it reaches.
        self.shortest = max(self.fft // 2 + 1, self.hop)
        self._constants = _Constants(window_function(self.fft, "hann"), extractor.mel_filters)
        if extractor.dither:
            logger.info("The dither of %g in Whisper's preprocessor is left out.", extractor.dither)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples to mel frames."""
        return lengths // self.hop

    def __call__(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel frames of a padded batch.

        Arguments
        ---------
        signals : torch.Tensor
            Shape (batch, samples), 16 kHz; what lies behind an utterance's end is never read.
        lengths : torch.Tensor
            Shape (batch,), valid samples of each row.

        Returns
        -------
        tuple
            Features (batch, bins, frames), float32, zero behind each utterance's end, and valid
            frames (batch,).

        Raises
        ------
        ValueError
            If an utterance has fewer than ``shortest`` samples.
        """
        _refuse_short(lengths, self.shortest)
        window, filters = self._constants.on(signals.device)
        frames = self.frame_lengths(lengths)
        longest = int(frames.max())
        first = -(self.fft // 2)
        place = torch.arange(
            first, first + (longest - 1) * self.hop + self.fft, device=signals.device
        ).abs()
        last = lengths.unsqueeze(1) - 1
        # Each row is mirrored at its own end. Beyond that lie only frames that are masked below.
        place = torch.where(place > last, 2 * last - place, place).clamp(min=0)
        samples = signals.to(window.dtype).gather(1, place)
        power = _power(samples.unfold(1, self.fft, self.hop) * window, self.fft)
        log_mel = (power @ filters).clamp(min=WHISPER_FLOOR).log10()
        behind = ~frame_mask(frames, longest).unsqueeze(-1)
        peak = log_mel.masked_fill(behind, -torch.inf).amax(dim=(1, 2), keepdim=True)
        log_mel = (torch.maximum(log_mel, peak - WHISPER_RANGE) + 4.0) / 4.0
        return log_mel.masked_fill(behind, 0.0).float().transpose(1, 2), frames


class SeamlessLogMel:
    """What ``SeamlessM4TFeatureExtractor`` gives: w2v-BERT 2.0's input.

    Frames of 25 ms every 10 ms that lie wholly inside the utterance; without their mean,
    pre-emphasised, under Povey's window; the log of their mel bands; each band brought to zero mean
    and unit deviation over the utterance; two frames stacked into one. An odd last frame takes part
    in mean and deviation, and then in a stack that is filled up and not valid.

    Arguments
    ---------
    extractor : transformers.SeamlessM4TFeatureExtractor
        The checkpoint's own (see :func:`extractor_for`).

    Raises
    ------
    ValueError
        If the extractor stacks another number of frames than two.

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
                f"Log-mel input stacks two frames, as every w2v-BERT 2.0 does; the preprocessor's "
                f"stride is {extractor.stride}."
            )
        self.settings: str = extractor.to_json_string()
        self.padding = float(extractor.padding_value)
        self.shortest = KALDI_LENGTH + KALDI_HOP  # two frames, for one stack and a deviation
        self._constants = _Constants(extractor.window, extractor.mel_filters)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples to valid stacks of two frames."""
        return self._single(lengths) // 2

    @staticmethod
    def _single(lengths: Tensor) -> Tensor:
        return (lengths - KALDI_LENGTH) // KALDI_HOP + 1

    def __call__(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel frames of a padded batch, laid out as the extractor lays out a batch.

        Arguments
        ---------
        signals : torch.Tensor
            Shape (batch, samples), 16 kHz; what lies behind an utterance's end has no effect.
        lengths : torch.Tensor
            Shape (batch,), valid samples of each row.

        Returns
        -------
        tuple
            Features (batch, frames, 2 · bins), float32, the extractor's padding value behind each
            utterance's last single frame, and valid frames (batch,): one fewer than there are where
            the longest utterance has an odd number of single frames.

        Raises
        ------
        ValueError
            If an utterance has fewer than ``shortest`` samples.
        """
        _refuse_short(lengths, self.shortest)
        window, filters = self._constants.on(signals.device)
        frames = self._single(lengths)
        longest = int(frames.max())
        signals = signals[:, : (longest - 1) * KALDI_HOP + KALDI_LENGTH].to(window.dtype)
        pieces = signals.unfold(1, KALDI_LENGTH, KALDI_HOP) * KALDI_SCALE
        pieces = pieces - pieces.mean(dim=-1, keepdim=True)
        # The first sample of each frame stands in for the one before it, as in Kaldi.
        before = torch.cat([pieces[..., :1], pieces[..., :-1]], dim=-1)
        power = _power((pieces - KALDI_PREEMPHASIS * before) * window, KALDI_FFT)
        log_mel = (power @ filters).clamp(min=KALDI_FLOOR).log()
        behind = ~frame_mask(frames, longest).unsqueeze(-1)
        count = frames.view(-1, 1, 1)
        mean = log_mel.masked_fill(behind, 0.0).sum(dim=1, keepdim=True) / count
        centred = (log_mel - mean).masked_fill(behind, 0.0)
        variance = centred.square().sum(dim=1, keepdim=True) / (count - 1)
        normal = centred / (variance + KALDI_EPSILON).sqrt()
        normal = normal.masked_fill(behind, self.padding).float()
        normal = nn.functional.pad(normal, (0, 0, 0, longest % 2), value=self.padding)
        return normal.reshape(len(normal), -1, 2 * normal.shape[-1]), frames // 2


class _Constants:
    """Window and mel filters, kept once for each device in the precision that it has."""

    def __init__(self, window, filters):
        self._source = (torch.as_tensor(window), torch.as_tensor(filters))
        self._placed: dict[torch.device, tuple[Tensor, ...]] = {}

    def on(self, device: torch.device) -> tuple[Tensor, ...]:
        if device not in self._placed:
            dtype = precision(device)
            self._placed[device] = tuple(part.to(device, dtype) for part in self._source)
        return self._placed[device]


def precision(device: torch.device) -> torch.dtype:
    """float64 wherever there is such a thing: Apple's GPUs have none."""
    return torch.float32 if device.type == "mps" else torch.float64


def extractor_for(model: nn.Module, source: str):
    """The feature extractor whose log-mel frames a Whisper or w2v-BERT model was trained on.

    Arguments
    ---------
    model : torch.nn.Module
        A model of transformers, for its configuration.
    source : str
        Where it came from: a hub name or folder, whose ``preprocessor_config.json`` (or
        ``processor_config.json``) is read, or a bare ``.json`` configuration, beside which a
        ``preprocessor_config.json`` may lie, as in a released model. Where there is none,
        transformers' defaults with the model's number of bands are taken, and the log says so.

    Returns
    -------
    transformers.SequenceFeatureExtractor
        ``WhisperFeatureExtractor`` or ``SeamlessM4TFeatureExtractor``.

    Raises
    ------
    ValueError
        If the file is there and cannot be read, or names another extractor, sampling rate or number
        of bands than the model's.
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
        # AutoFeatureExtractor would read a bare configuration as if it were the preprocessor's.
        bare = source.endswith(".json")
        if bare and (beside := Path(source).with_name("preprocessor_config.json")).is_file():
            extractor = _from_file(beside, kind)
        elif not bare and any(
            cached_file(source, name, _raise_exceptions_for_missing_entries=False)
            for name in ("preprocessor_config.json", "processor_config.json")
        ):
            extractor = AutoFeatureExtractor.from_pretrained(source)
        else:
            logger.log(
                logging.INFO if bare else logging.WARNING,
                "%s comes without preprocessor_config.json; log-mel frames are made with the "
                "defaults of %s and %d bands.",
                source, kind.__name__, bins,
            )  # fmt: skip
            extractor = kind(**defaults)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"The preprocessor_config.json of backbone {source!r} could not be used: {error}"
        ) from error
    _check(extractor, kind, bins, source)
    return extractor


def _from_file(path: Path, kind: type):
    """An extractor from one file, and from nothing else that lies or is named there."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    named = settings.pop("feature_extractor_type", kind.__name__)
    if named != kind.__name__:
        raise ValueError(f"it names a {named}, the model wants a {kind.__name__}")
    return kind.from_dict(settings)


def _check(extractor, kind: type, bins: int, source: str) -> None:
    wrong = None
    if not isinstance(extractor, kind):
        wrong = f"names a {type(extractor).__name__}, the model wants a {kind.__name__}"
    elif extractor.sampling_rate != SAMPLE_RATE:
        wrong = f"has a sampling rate of {extractor.sampling_rate} Hz; audio here has {SAMPLE_RATE}"
    elif extractor.mel_filters.shape[1] != bins:
        wrong = f"has {extractor.mel_filters.shape[1]} mel bands, the model {bins}"
    if wrong:
        raise ValueError(f"The preprocessor_config.json of backbone {source!r} {wrong}.")


def _power(pieces: Tensor, size: int) -> Tensor:
    spectrum = torch.fft.rfft(pieces, n=size)
    return spectrum.real.square() + spectrum.imag.square()


def _refuse_short(lengths: Tensor, shortest: int) -> None:
    if int(lengths.min()) < shortest:
        raise ValueError(
            f"Log-mel frames need at least {shortest} samples; found {int(lengths.min())}."
        )

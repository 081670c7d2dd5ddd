"""Whisper's encoder in exportable form: spectra as matrix products, lengths as tensors."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from emosphere_sb.backbones.log_mel import WHISPER_FLOOR, WHISPER_RANGE, WhisperLogMel
from emosphere_sb.backbones.masking import frame_mask
from emosphere_sb.backbones.whisper import WhisperBackbone


class ExportedWhisper(WhisperBackbone):
    """Whisper's encoder without checks and branches that depend on values.

    Arguments
    ---------
    original : WhisperBackbone
        Backbone with the weights. It is not modified.
    """

    def __init__(self, original: WhisperBackbone):
        nn.Module.__init__(self)
        self.model = copy.deepcopy(original.model)
        config = self.model.config
        config._attn_implementation = "eager"  # plain products, which runtimes fuse
        # HiddenStates, which removes unused layers, must know the number of all layers.
        missing = config.encoder_layers - len(self.model.layers)
        self.model.layers.extend(nn.Identity() for _ in range(missing))
        self.log_mel = ExportedLogMel(original.log_mel)
        self.spec_augment = False
        self.output_size, self.receptive_field = original.output_size, original.receptive_field

    def forward(self, signals: Tensor, lengths: Tensor) -> Tensor:
        """Return the last hidden state (batch, frame, feature) for signals (batch, sample)."""
        return self.encode(*self.log_mel(signals, lengths))

    def attention_mask(self, hidden: Tensor, valid: Tensor) -> Tensor:
        """Return a mask (batch, 1, 1, frame) that is added to the attention scores."""
        mask = torch.zeros_like(valid, dtype=hidden.dtype)
        return mask.masked_fill(~valid, torch.finfo(hidden.dtype).min)[:, None, None, :]


class ExportedLogMel(nn.Module):
    """:class:`~emosphere_sb.backbones.log_mel.WhisperLogMel` with a discrete Fourier transform.

    ONNX Runtime computes spectra in float32 only. Like the original, this module uses float64.

    Arguments
    ---------
    original : WhisperLogMel
        Log-mel features with window and mel filters.
    """

    def __init__(self, original: WhisperLogMel):
        super().__init__()
        self.fft, self.hop = original.fft, original.hop
        window, filters = original.constants()
        angle = torch.outer(torch.arange(self.fft), torch.arange(self.fft // 2 + 1))
        angle = 2 * math.pi * (angle % self.fft).double() / self.fft
        self.register_buffer("cosine", window[:, None] * angle.cos())
        self.register_buffer("sine", window[:, None] * angle.sin())
        self.register_buffer("filters", filters)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Convert numbers of samples to numbers of mel frames."""
        return lengths // self.hop

    def forward(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-mel frames (batch, bin, frame) and the numbers of valid frames (batch,)."""
        count = signals.shape[1] // self.hop
        start = torch.arange(count, device=signals.device) * self.hop - self.fft // 2
        place = (start[:, None] + torch.arange(self.fft, device=signals.device)).abs().flatten()
        last = lengths.unsqueeze(1) - 1
        place = torch.where(place > last, 2 * last - place, place).clamp(min=0)
        samples = signals.double().gather(1, place).unflatten(1, (count, self.fft))
        power = (samples @ self.cosine).square() + (samples @ self.sine).square()
        log_mel = (power @ self.filters).clamp(min=WHISPER_FLOOR).log10()
        frames = self.frame_lengths(lengths)
        padded = ~frame_mask(frames, count).unsqueeze(-1)
        peak = log_mel.masked_fill(padded, -torch.inf).amax(dim=(1, 2), keepdim=True)
        log_mel = (torch.maximum(log_mel, peak - WHISPER_RANGE) + 4.0) / 4.0
        return log_mel.masked_fill(padded, 0.0).float().transpose(1, 2), frames

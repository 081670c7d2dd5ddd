"""Normalisation of the waveform: one setting, in one place."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emosphere_sb.backbones.masking import frame_mask

MODES = ("corpus", "utterance", "none", "as_checkpoint")


class WaveformNormaliser(nn.Module):
    """Bring a waveform to zero mean and unit deviation, over valid samples only.

    Arguments
    ---------
    mode : str
        ``corpus``: mean and deviation over the samples of the whole training files (the paper's:
        loudness stays audible). ``utterance``: over the utterance itself. ``none``.
        ``as_checkpoint``: ``utterance`` or ``none``, as the backbone's feature extractor says.
    backbone : str, optional
        Where ``as_checkpoint`` looks.

    Raises
    ------
    ValueError
        If the mode is unknown, or ``as_checkpoint`` finds no feature extractor.

    Example
    -------
    >>> normalise = WaveformNormaliser("utterance")
    >>> normalise(torch.tensor([[1.0, 3.0, 0.0]]), torch.tensor([2]))
    tensor([[-1.,  1.,  0.]])
    """

    def __init__(self, mode: str = "corpus", backbone: str | None = None):
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"normalisation must be one of {', '.join(MODES)}; found {mode!r}.")
        self.mode = checkpoint_mode(backbone) if mode == "as_checkpoint" else mode
        self.register_buffer("mean", torch.tensor(0.0, dtype=torch.float64))
        self.register_buffer("deviation", torch.tensor(1.0, dtype=torch.float64))

    def set_statistics(self, mean: float, deviation: float) -> None:
        """Take the corpus's mean and population deviation, which the checkpoint then carries."""
        self.mean.fill_(mean)
        self.deviation.fill_(deviation)

    def facts(self) -> tuple[str, float, float]:
        """What its output depends on: mode, mean, deviation."""
        return self.mode, float(self.mean), float(self.deviation)

    def forward(self, signals: Tensor, lengths: Tensor) -> Tensor:
        """Normalise (batch, samples); what lies behind an utterance's end becomes zero."""
        mask = frame_mask(lengths, signals.shape[1])
        if self.mode == "corpus":
            # The divisor deviation + 1e-6 is the published one.
            mean, scale = self.mean.float(), (self.deviation + 1e-6).float()
            signals = (signals - mean) / scale
        elif self.mode == "utterance":
            signals = self._by_utterance(signals, lengths, mask)
        return signals.masked_fill(~mask, 0.0)

    @staticmethod
    def _by_utterance(signals: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        count = lengths.unsqueeze(1)
        signals = signals.masked_fill(~mask, 0.0)
        centred = signals - signals.sum(dim=1, keepdim=True) / count
        variance = centred.masked_fill(~mask, 0.0).square().sum(dim=1, keepdim=True) / count
        return centred / (variance + 1e-7).sqrt()  # transformers' own epsilon


def checkpoint_mode(backbone: str | None) -> str:
    """What the backbone's feature extractor does: ``utterance`` or ``none``."""
    from transformers import AutoFeatureExtractor

    try:
        if str(backbone).endswith(".json"):  # which would be read as if it were that file
            raise OSError("a bare configuration comes without one")
        extractor = AutoFeatureExtractor.from_pretrained(backbone)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"normalisation as_checkpoint needs the preprocessor_config.json of backbone "
            f"{backbone!r}, which could not be read ({error}). Name corpus, utterance or none."
        ) from error
    return "utterance" if getattr(extractor, "do_normalize", False) else "none"

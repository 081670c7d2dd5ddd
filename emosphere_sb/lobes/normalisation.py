"""Normalisation of the waveform."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emosphere_sb.backbones.masking import frame_mask

NORMALISATION_MODES = ("corpus", "utterance", "none", "as_checkpoint")


class WaveformNormaliser(nn.Module):
    """Module that normalises waveforms to zero mean and unit variance, computed over valid samples.

    Arguments
    ---------
    mode : str
        ``corpus``: mean and SD of all samples of the training files (as in the paper; preserves
        differences in loudness). ``utterance``: mean and SD of the utterance. ``none``: no
        normalisation. ``as_checkpoint``: ``utterance`` or ``none``, according to the feature
        extractor of the backbone.
    backbone : str, optional
        Hub name or folder of the backbone; required for ``as_checkpoint``.

    Raises
    ------
    ValueError
        If the mode is unknown, or the feature extractor for ``as_checkpoint`` cannot be loaded.

    Example
    -------
    >>> normalise = WaveformNormaliser("utterance")
    >>> normalise(torch.tensor([[1.0, 3.0, 0.0]]), torch.tensor([2]))
    tensor([[-1.,  1.,  0.]])
    """

    def __init__(self, mode: str = "corpus", backbone: str | None = None):
        super().__init__()
        if mode not in NORMALISATION_MODES:
            raise ValueError(
                f"normalisation must be one of {', '.join(NORMALISATION_MODES)}; found {mode!r}."
            )
        self.mode = checkpoint_mode(backbone) if mode == "as_checkpoint" else mode
        self.register_buffer("mean", torch.tensor(0.0, dtype=torch.float64))
        self.register_buffer("deviation", torch.tensor(1.0, dtype=torch.float64))

    def set_statistics(self, mean: float, deviation: float) -> None:
        """Set mean and population SD of the corpus, which are saved in checkpoints."""
        self.mean.fill_(mean)
        self.deviation.fill_(deviation)

    def settings(self) -> tuple[str, float, float]:
        """Return mode, mean and SD, which determine the output."""
        return self.mode, float(self.mean), float(self.deviation)

    def forward(self, signals: Tensor, lengths: Tensor) -> Tensor:
        """Normalise a padded batch.

        Arguments
        ---------
        signals : torch.Tensor
            Waveforms, shape (batch, samples).
        lengths : torch.Tensor
            Number of valid samples of each row, shape (batch,).

        Returns
        -------
        torch.Tensor
            Normalised waveforms, zero in padding, shape (batch, samples).
        """
        mask = frame_mask(lengths, signals.shape[1])
        if self.mode == "corpus":
            # As published, the divisor is SD + 1e-6.
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
        return centred / (variance + 1e-7).sqrt()  # epsilon as in transformers


def checkpoint_mode(backbone: str | None) -> str:
    """Return the normalisation of a backbone's feature extractor: ``utterance`` or ``none``."""
    from transformers import AutoFeatureExtractor

    try:
        if str(backbone).endswith(".json"):  # would be mistaken for a preprocessor_config.json
            raise OSError(
                "a backbone given as a .json configuration has no preprocessor_config.json"
            )
        extractor = AutoFeatureExtractor.from_pretrained(backbone)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"normalisation=as_checkpoint needs the preprocessor_config.json of backbone "
            f"{backbone!r}, which could not be read ({error}). Use corpus, utterance or none."
        ) from error
    return "utterance" if getattr(extractor, "do_normalize", False) else "none"

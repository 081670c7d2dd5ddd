"""A model whose output can be computed by hand, and recordings for it."""

import numpy as np
import soundfile
import torch
from torch import nn

from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.release.model import ModelInfo, Outcome
from emosphere_sb.scale import Scale

RATE = 16_000
NAMES = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")


class Levels(nn.Module):
    """Model whose outputs are the mean, the mean magnitude m, and -m / 2 (as dominance).

    Class n (counted from 1) has the probability n / 36.
    """

    min_samples = 400

    def forward(self, signals, lengths):
        inside = torch.arange(signals.shape[1]) < lengths[:, None]
        mean = (signals * inside).sum(1) / lengths
        level = (signals.abs() * inside).sum(1) / lengths
        vad = torch.stack([mean, level, -level / 2], dim=1)
        logits = torch.arange(1.0, 9.0).log().expand(len(signals), 8)
        return Outcome(vad, torch.stack([mean, level], dim=1), logits)


def levels_model(**changes) -> EmoSphere:
    """Build the model; ``changes`` are fields of its :class:`ModelInfo`."""
    facts = {
        "name": "Levels <i>by hand</i>",
        "scale": Scale(1, 7),
        "max_seconds": 12.0,
        "head": "region",
        "classes": NAMES,
        "words": {"calm": [0.25, 0.0, 0.0], "far & away": [-1.0, 1.0, 1.0]},
        "licence": "For tests & nothing else.",
        "synthetic": True,
    }
    return EmoSphere(Levels(), ModelInfo(**{**facts, **changes}), "cpu")


def write_levels(path, *levels: tuple[float, float], rate: int = RATE):
    """Write a wav file with constant segments, given as ``(seconds, value)``."""
    parts = [np.full(round(seconds * rate), value) for seconds, value in levels]
    soundfile.write(path, np.concatenate(parts), rate, subtype="FLOAT")
    return path

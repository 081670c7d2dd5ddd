"""The layout of 3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes (Goncalves et al., 2024).

The baseline of the Odyssey 2024 challenge: the waveform less the corpus's mean, by its deviation
plus 1e-6 (both in ``config.json``), cut to ``maxlen`` samples in the challenge's evaluation (12 s);
WavLM's last layer; attentive statistics pooling; layers of linear, layer norm and ReLU; outputs on
[0, 1] in the order arousal, dominance, valence. Its pooling counts a frame per 320 samples, one
more than there are: in a padded batch it hears a padded frame, alone none. Here it never does.
L. Goncalves et al., "Odyssey 2024 – Speech Emotion Recognition Challenge", Odyssey 2024.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from emosphere_sb.audio.reading import SAMPLE_RATE
from emosphere_sb.lobes import AttentiveStatsPooling, WaveformNormaliser
from emosphere_sb.public_models.files import take
from emosphere_sb.public_models.modules import (
    UnitHead,
    encoder_of,
    fill,
    linear,
    order_of,
    wavlm_settings,
)
from emosphere_sb.release.model import ReleasedModel

KNOWN = "3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes"
LICENCE = "MIT by what its users write: see its card"
RELEASE = ""
ORDER = ("arousal", "dominance", "valence")
MAX_SAMPLES = 192_000
"""The challenge's cut, 12 s at 16 kHz, where ``config.json`` names no other."""


def recognises(configuration: Mapping[str, Any], names: Set[str]) -> bool:
    """Whether settings and names of weights are of this layout, with all three dimensions."""
    return (
        {"mean", "std"} <= configuration.keys()
        and configuration.get("num_classes", len(ORDER)) == len(ORDER)
        and {"pool_model.sap_linear.weight", "pool_model.attention"} <= names
        and {"ser_model.fc.0.0.weight", "ser_model.out.0.weight"} <= names
        and any(name.startswith("ssl_model.") for name in names)
    )


def build(
    configuration: Mapping[str, Any], state: Mapping[str, Tensor], folder: Path, path: Path
) -> tuple[ReleasedModel, set[str]]:
    """The model, and the names of the weights that it has taken.

    Raises
    ------
    ValueError
        If the weights do not fit, or the waveform's statistics are no numbers.
    """
    ssl = take(state, "ssl_model.")
    encoder = encoder_of(wavlm_settings(ssl), ssl, path)
    pooling = AttentiveStatsPooling(encoder.output_size)
    attention = {
        "hidden.weight": state["pool_model.sap_linear.weight"],
        "hidden.bias": state["pool_model.sap_linear.bias"],
        "score.weight": state["pool_model.attention"].reshape(1, -1),
    }
    fill(pooling, attention, path, "the pooling")
    normaliser = WaveformNormaliser("corpus")
    normaliser.set_statistics(*_statistics(configuration, folder))
    head = UnitHead(_layers(state, path), order_of(configuration) or ORDER)
    prefixes = ("ssl_model.", "pool_model.", "ser_model.")
    taken = {name for name in state if name.startswith(prefixes)}
    return ReleasedModel(normaliser, encoder, pooling, head), taken


def max_seconds(configuration: Mapping[str, Any]) -> float | None:
    """The cut of the challenge's evaluation."""
    return configuration.get("maxlen", MAX_SAMPLES) / SAMPLE_RATE


def _layers(state: Mapping[str, Tensor], path: Path) -> nn.Sequential:
    names = take(state, "ser_model.fc.")
    layers: list[nn.Module] = []
    for number in range(len({name.split(".")[0] for name in names})):
        layer = linear(state, f"ser_model.fc.{number}.0")
        norm = nn.LayerNorm(layer.out_features)
        fill(norm, take(state, f"ser_model.fc.{number}.1."), path, f"layer norm {number}")
        layers += [layer, norm, nn.ReLU()]
    return nn.Sequential(*layers, linear(state, "ser_model.out.0"))


def _statistics(configuration: Mapping[str, Any], folder: Path) -> tuple[float, float]:
    found = configuration["mean"], configuration["std"]
    try:
        mean, deviation = (float(value) for value in found)
    except (TypeError, ValueError):
        mean, deviation = math.nan, math.nan
    if not (math.isfinite(mean) and math.isfinite(deviation) and deviation > 0):
        raise ValueError(
            f"{folder / 'config.json'} must hold the waveform's mean and std as numbers, std above "
            f"0; found {found[0]!r}, {found[1]!r}."
        )
    return mean, deviation

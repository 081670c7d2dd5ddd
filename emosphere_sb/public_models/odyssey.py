"""Layout of 3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes (Goncalves et al., 2024).

This model is the baseline of the Odyssey 2024 challenge. The waveform is normalised with the mean
and the SD (plus 1e-6) of the corpus, both from ``config.json``. In the challenge's evaluation, it
is truncated to ``maxlen`` samples (12 s). The model consists of WavLM (last layer), attentive
statistics pooling, blocks of a linear layer, layer norm and ReLU, and outputs in [0, 1] in the
order arousal, dominance, valence. The original pooling counts one frame per 320 samples, which is
one too many, so it includes one padded frame in padded batches. Here, padded frames are never
included. L. Goncalves et al., "Odyssey 2024 – Speech Emotion Recognition Challenge", Odyssey 2024.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from emosphere_sb.audio.reading import SAMPLE_RATE
from emosphere_sb.lobes import AttentiveStatsPooling, WaveformNormaliser
from emosphere_sb.public_models.files import select_prefix
from emosphere_sb.public_models.modules import (
    UnitHead,
    build_encoder,
    linear_from_state,
    load_exactly,
    output_order,
    wavlm_settings,
)
from emosphere_sb.release.model import ReleasedModel

KNOWN = "3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes"
LICENCE = "MIT according to third parties; see its model card"
RELEASE = ""
ORDER = ("arousal", "dominance", "valence")
MAX_SAMPLES = 192_000
"""Maximum length in the challenge (12 s at 16 kHz) unless ``config.json`` specifies another one."""


def matches(configuration: Mapping[str, Any], names: Set[str]) -> bool:
    """Return whether configuration and weight names match this layout with all three dimensions."""
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
    """Build the model, and return it with the names of the weights it uses.

    Raises
    ------
    ValueError
        If the weights do not match, or the waveform statistics are invalid.
    """
    ssl = select_prefix(state, "ssl_model.")
    encoder = build_encoder(wavlm_settings(ssl), ssl, path)
    pooling = AttentiveStatsPooling(encoder.output_size)
    attention = {
        "hidden.weight": state["pool_model.sap_linear.weight"],
        "hidden.bias": state["pool_model.sap_linear.bias"],
        "score.weight": state["pool_model.attention"].reshape(1, -1),
    }
    load_exactly(pooling, attention, path, "the pooling layer")
    normaliser = WaveformNormaliser("corpus")
    normaliser.set_statistics(*_statistics(configuration, folder))
    head = UnitHead(_layers(state, path), output_order(configuration) or ORDER)
    prefixes = ("ssl_model.", "pool_model.", "ser_model.")
    taken = {name for name in state if name.startswith(prefixes)}
    return ReleasedModel(normaliser, encoder, pooling, head), taken


def max_seconds(configuration: Mapping[str, Any]) -> float | None:
    """Return the maximum duration in the challenge's evaluation, in seconds."""
    return configuration.get("maxlen", MAX_SAMPLES) / SAMPLE_RATE


def _layers(state: Mapping[str, Tensor], path: Path) -> nn.Sequential:
    names = select_prefix(state, "ser_model.fc.")
    layers: list[nn.Module] = []
    for number in range(len({name.split(".")[0] for name in names})):
        layer = linear_from_state(state, f"ser_model.fc.{number}.0")
        norm = nn.LayerNorm(layer.out_features)
        load_exactly(
            norm, select_prefix(state, f"ser_model.fc.{number}.1."), path, f"layer norm {number}"
        )
        layers += [layer, norm, nn.ReLU()]
    return nn.Sequential(*layers, linear_from_state(state, "ser_model.out.0"))


def _statistics(configuration: Mapping[str, Any], folder: Path) -> tuple[float, float]:
    found = configuration["mean"], configuration["std"]
    try:
        mean, deviation = (float(value) for value in found)
    except (TypeError, ValueError):
        mean, deviation = math.nan, math.nan
    if not (math.isfinite(mean) and math.isfinite(deviation) and deviation > 0):
        raise ValueError(
            f"{folder / 'config.json'} must contain mean and std of the waveform as numbers, with "
            f"std above 0; found {found[0]!r} and {found[1]!r}."
        )
    return mean, deviation

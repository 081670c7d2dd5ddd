"""Layout of audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim (Wagner et al., 2023).

The model consists of wav2vec 2.0 on waveforms normalised by utterance, the mean over the frames of
the last layer, one hidden layer with tanh, and three outputs on about [0, 1]. Their order is given
by ``id2label``: arousal, dominance, valence. J. Wagner et al., "Dawn of the transformer era in
speech emotion recognition: closing the valence gap", IEEE TPAMI 45 (9), 2023,
doi 10.1109/TPAMI.2023.3263585.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from emosphere_sb.lobes import MeanPooling, WaveformNormaliser
from emosphere_sb.public_models.files import select_prefix
from emosphere_sb.public_models.modules import (
    STRUCTURAL_SETTINGS,
    UnitHead,
    build_encoder,
    linear_from_state,
    output_order,
)
from emosphere_sb.release.checksums import read_json
from emosphere_sb.release.model import ReleasedModel

KNOWN = "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim"
LICENCE = "CC BY-NC-SA 4.0: no commercial use (according to its model card)"
RELEASE = "1.7"
PREPROCESSOR = "preprocessor_config.json"
MAX_SECONDS = None
"""The authors' code does not truncate utterances."""


def matches(configuration: Mapping[str, Any], names: Set[str]) -> bool:
    """Return whether the configuration and weight names match this layout."""
    return (
        configuration.get("model_type") == "wav2vec2"
        and configuration.get("pooling_mode", "mean") == "mean"
        and output_order(configuration) is not None
        and {"classifier.dense.weight", "classifier.out_proj.weight"} <= names
        and any(name.startswith("wav2vec2.") for name in names)
    )


def build(
    configuration: Mapping[str, Any], state: Mapping[str, Tensor], folder: Path, path: Path
) -> tuple[ReleasedModel, set[str]]:
    """Build the model, and return it with the names of the weights it uses.

    Raises
    ------
    ValueError
        If the weights do not match, or the normalisation of the waveform is not specified.
    """
    settings = {
        key: configuration[key] for key in STRUCTURAL_SETTINGS if configuration.get(key) is not None
    }
    encoder = build_encoder(
        {"model_type": "wav2vec2", **settings}, select_prefix(state, "wav2vec2."), path
    )
    layers = nn.Sequential(
        linear_from_state(state, "classifier.dense"),
        nn.Tanh(),
        linear_from_state(state, "classifier.out_proj"),
    )
    model = ReleasedModel(
        WaveformNormaliser("utterance" if _uses_normalised_waveforms(folder) else "none"),
        encoder,
        MeanPooling(encoder.output_size),
        UnitHead(layers, output_order(configuration)),
    )
    return model, {name for name in state if name.startswith(("wav2vec2.", "classifier."))}


def max_seconds(_configuration: Mapping[str, Any]) -> float | None:
    """Return the maximum duration in the authors' evaluation, in seconds."""
    return MAX_SECONDS


def _uses_normalised_waveforms(folder: Path) -> bool:
    path = folder / PREPROCESSOR
    if not path.is_file():
        raise ValueError(
            f"{PREPROCESSOR} not found in {folder}. It is required because it specifies whether "
            f"the waveform is normalised. Download the entire folder of {KNOWN}."
        )
    return bool(read_json(path).get("do_normalize", True))  # transformers default

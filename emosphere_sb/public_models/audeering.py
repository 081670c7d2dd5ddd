"""The layout of audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim (Wagner et al., 2023).

wav2vec 2.0 on the waveform normalised by utterance, mean over the last layer's frames, one hidden
layer with tanh, three outputs on about [0, 1] in the order that ``id2label`` gives: arousal,
dominance, valence. J. Wagner et al., "Dawn of the transformer era in speech emotion recognition:
closing the valence gap", IEEE TPAMI 45 (9), 2023, doi 10.1109/TPAMI.2023.3263585.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from emosphere_sb.lobes import MeanPooling, WaveformNormaliser
from emosphere_sb.public_models.files import take
from emosphere_sb.public_models.modules import STRUCTURE, UnitHead, encoder_of, linear, order_of
from emosphere_sb.release.checksums import read_json
from emosphere_sb.release.model import ReleasedModel

KNOWN = "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim"
LICENCE = "CC BY-NC-SA 4.0: no commercial use (its model card)"
RELEASE = "1.7"
PREPROCESSOR = "preprocessor_config.json"
MAX_SECONDS = None
"""The authors' code cuts nothing."""


def recognises(configuration: Mapping[str, Any], names: Set[str]) -> bool:
    """Whether settings and names of weights are of this layout."""
    return (
        configuration.get("model_type") == "wav2vec2"
        and configuration.get("pooling_mode", "mean") == "mean"
        and order_of(configuration) is not None
        and {"classifier.dense.weight", "classifier.out_proj.weight"} <= names
        and any(name.startswith("wav2vec2.") for name in names)
    )


def build(
    configuration: Mapping[str, Any], state: Mapping[str, Tensor], folder: Path, path: Path
) -> tuple[ReleasedModel, set[str]]:
    """The model, and the names of the weights that it has taken.

    Raises
    ------
    ValueError
        If the weights do not fit, or nobody says how the waveform is normalised.
    """
    settings = {key: configuration[key] for key in STRUCTURE if configuration.get(key) is not None}
    encoder = encoder_of({"model_type": "wav2vec2", **settings}, take(state, "wav2vec2."), path)
    layers = nn.Sequential(
        linear(state, "classifier.dense"), nn.Tanh(), linear(state, "classifier.out_proj")
    )
    model = ReleasedModel(
        WaveformNormaliser("utterance" if _normalised(folder) else "none"),
        encoder,
        MeanPooling(encoder.output_size),
        UnitHead(layers, order_of(configuration)),
    )
    return model, {name for name in state if name.startswith(("wav2vec2.", "classifier."))}


def max_seconds(_configuration: Mapping[str, Any]) -> float | None:
    """The cut of the authors' evaluation."""
    return MAX_SECONDS


def _normalised(folder: Path) -> bool:
    path = folder / PREPROCESSOR
    if not path.is_file():
        raise ValueError(
            f"{folder} must hold {PREPROCESSOR}, which says whether the waveform is normalised; it "
            f"is not there. Get the whole folder from {KNOWN}."
        )
    return bool(read_json(path).get("do_normalize", True))  # transformers' own default

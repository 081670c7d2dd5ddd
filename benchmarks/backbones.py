"""Sizes of the backbones: weights, what is trained by default, and the memory that they take.

``make backbones`` writes the table in README.md. Models are built without numbers (PyTorch's meta
device) from the architecture of the published checkpoints, of which nothing is downloaded.
"""

from __future__ import annotations

from importlib.metadata import version

import torch
from runs import ROOT, put_between
from transformers import AutoConfig, AutoModel

from emosphere_sb.backbones.freezing import freeze
from emosphere_sb.backbones.w2v_bert import W2vBertBackbone
from emosphere_sb.backbones.waveform_models import WaveformBackbone
from emosphere_sb.backbones.whisper import WhisperBackbone

LARGE = {
    "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
    "intermediate_size": 4096,
}  # fmt: skip
LAYER_NORM = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
WHISPER = {"d_model": 512, "encoder_layers": 6, "encoder_attention_heads": 8}
WHISPER |= {"encoder_ffn_dim": 2048, "decoder_layers": 1, "decoder_attention_heads": 8}
FAMILIES = (
    ("WavLM", "microsoft/wavlm-base-plus", "wavlm", {}, "fast attention"),
    ("WavLM", "microsoft/wavlm-large", "wavlm", {**LARGE, **LAYER_NORM}, "fast attention"),
    ("wav2vec 2.0", "facebook/wav2vec2-base", "wav2vec2", {}, ""),
    ("wav2vec 2.0", "facebook/wav2vec2-large-robust", "wav2vec2", {**LARGE, **LAYER_NORM}, ""),
    ("XLS-R, MMS", "facebook/wav2vec2-xls-r-300m", "wav2vec2", {**LARGE, **LAYER_NORM}, ""),
    ("HuBERT", "facebook/hubert-base-ls960", "hubert", {}, ""),
    ("HuBERT", "facebook/hubert-large-ll60k", "hubert", {**LARGE, **LAYER_NORM}, ""),
    ("data2vec-audio", "facebook/data2vec-audio-base", "data2vec-audio", {}, ""),
    ("UniSpeech-SAT", "microsoft/unispeech-sat-base-plus", "unispeech-sat", {}, ""),
    ("w2v-BERT 2.0", "facebook/w2v-bert-2.0", "wav2vec2-bert", {}, "log-mel input"),
    ("Whisper (encoder)", "openai/whisper-base", "whisper", WHISPER, "log-mel, 30 s at most"),
)


def backbone_of(family: str, changes: dict):
    """A backbone whose weights have sizes but no numbers."""
    from transformers import SeamlessM4TFeatureExtractor, WhisperFeatureExtractor

    config = AutoConfig.for_model(family, **changes)
    with torch.device("meta"):
        model = AutoModel.from_config(config)
    if family == "whisper":
        return WhisperBackbone(model, WhisperFeatureExtractor())
    if family == "wav2vec2-bert":
        return W2vBertBackbone(model, SeamlessM4TFeatureExtractor())
    return WaveformBackbone(model, fast=False)


def row(name: str, string: str, family: str, changes: dict, note: str) -> str:
    """A line of the table."""
    backbone = backbone_of(family, changes)
    freeze(backbone, "feature_encoder")
    parameters = list(backbone.model.parameters())
    everything = sum(p.numel() for p in parameters)
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    # float32: weights, and for what is trained a gradient and AdamW's two moments.
    memory = (4 * everything + 12 * trained) / 2**30
    frozen = {"whisper": "convolutions, positions", "wav2vec2-bert": "nothing"}
    return (
        f"| {name} | `{string}` | {everything / 1e6:.0f} M | {frozen.get(family, 'convolutions')} "
        f"| {memory:.1f} GiB | {note} |"
    )


def main() -> None:
    """Build, count, print, write."""
    lines = [
        "| family | `--backbone=` | weights | frozen by default | memory to train it | |",
        "|---|---|---|---|---|---|",
        *(row(*family) for family in FAMILIES),
        "",
        "Memory: float32 weights, gradients and AdamW's moments, without activations. Counted, not "
        f"measured. Made by `make backbones` (transformers {version('transformers')}).",
    ]
    text = "\n".join(lines)
    put_between(ROOT / "README.md", "backbones", text)
    print(text)


if __name__ == "__main__":
    main()

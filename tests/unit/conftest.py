"""What the tests of several lobes need: small speech models of any family, as configurations."""

import json

import pytest

NARROW = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,  # with kernels and strides of the real models: 400 samples, 320 apart
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0,
    "layerdrop": 0.0,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}

SEW = {  # its own defaults have 13 convolutions
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "squeeze_factor": 2,
}


@pytest.fixture(scope="session")
def waveform_settings():
    """Configuration of a narrow model: ``waveform_settings("wavlm", layerdrop=0.5)``."""

    def settings(family: str = "wavlm", **changes) -> dict:
        own = SEW if family == "sew" else {}
        return {"model_type": family, **NARROW, **own, **changes}

    return settings


@pytest.fixture
def configuration(tmp_path, waveform_settings):
    """The same in a file, which gives random weights: ``configuration("wavlm")``."""

    def write(family: str = "wavlm", **changes) -> str:
        path = tmp_path / f"{family}.json"
        path.write_text(json.dumps(waveform_settings(family, **changes)))
        return str(path)

    return write

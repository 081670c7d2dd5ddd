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


@pytest.fixture
def configuration(tmp_path):
    """Writes the configuration of a narrow model: ``configuration("wavlm", layerdrop=0.5)``."""

    def write(family: str = "wavlm", **changes) -> str:
        path = tmp_path / f"{family}.json"
        path.write_text(json.dumps({"model_type": family, **NARROW, **changes}))
        return str(path)

    return write

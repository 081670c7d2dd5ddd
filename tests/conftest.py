"""Shared fixtures: the repository root, a small synthetic corpus, small models of any family."""

import json
import os
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from speechbrain.utils.importutils import LazyModule

from tests.helpers.parallel import make_once

# Hypothesis reads __file__ of each loaded module. SpeechBrain's lazy modules would then import
# packages that are not installed (k2), which ends the test session.
LazyModule.__file__ = None

# Tests must not access the network: the hub may be unavailable in CI.
os.environ["HF_HUB_OFFLINE"] = "1"

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure(config):
    """Configure Hypothesis; the number of assertions must not depend on the examples it draws."""
    settings.register_profile(
        "tests",
        deadline=None,  # tests must not fail on a busy machine
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=config.getoption("--count-assertions"),
    )
    settings.load_profile("tests")


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_folder(request, tmp_path_factory):
    """Write a folder once for all workers: ``shared_folder("name", write)``. Tests only read it."""
    temporary = tmp_path_factory.getbasetemp()  # of this worker; its parent belongs to all workers
    shared = (temporary.parent if hasattr(request.config, "workerinput") else temporary) / "shared"
    shared.mkdir(exist_ok=True)
    return partial(make_once, shared)


@pytest.fixture(scope="session")
def smoke_corpus(shared_folder) -> Path:
    """Synthetic corpus of preset smoke in the layout of MSP-Podcast."""
    pytest.importorskip("espeakng_loader", reason="the 'demo' extra is not installed")
    from data_prep.synthetic import write as synthetic

    def write(folder: Path) -> None:
        synthetic.write("MSP-Podcast", folder / "MSP-Podcast", size="smoke")

    return shared_folder("demo", write) / "MSP-Podcast"


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Use one thread: tiny models are faster and reproducible across machines.

    Session scope also covers module fixtures that train a model.
    """
    import torch

    torch.set_num_threads(1)


NARROW = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,  # default kernels and strides: 400 samples per frame, hop 320
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

SEW = {  # the default has 13 convolutions
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "squeeze_factor": 2,
}


@pytest.fixture(scope="session")
def waveform_settings():
    """Return the configuration of a narrow model: ``waveform_settings("wavlm", layerdrop=0.5)``."""

    def settings(family: str = "wavlm", **changes) -> dict:
        family_settings = SEW if family in ("sew", "sew-d") else {}
        return {"model_type": family, **NARROW, **family_settings, **changes}

    return settings


@pytest.fixture
def configuration(tmp_path, waveform_settings):
    """Write the configuration of a narrow model to a file: ``configuration("wavlm")``."""

    def write(family: str = "wavlm", **changes) -> str:
        path = tmp_path / f"{family}.json"
        path.write_text(json.dumps(waveform_settings(family, **changes)))
        return str(path)

    return write


LOG_MEL = {
    "whisper": {
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 48,
        "decoder_ffn_dim": 48,
        "vocab_size": 8,  # the decoder is not used
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 3,
        "begin_suppress_tokens": None,
    },
    "wav2vec2-bert": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "conformer_conv_dropout": 0.0,
        "layerdrop": 0.0,
        "final_dropout": 0.0,
    },
}


@pytest.fixture(scope="session")
def log_mel_settings():
    """Configurations of narrow models with log-mel input, by family."""
    return LOG_MEL


@pytest.fixture(scope="session")
def save_any(tmp_path_factory, waveform_settings):
    """Save a narrow random model of a family once and return its folder: ``save_any("wavlm")``."""
    import torch
    from transformers import (
        AutoConfig,
        AutoModel,
        SeamlessM4TFeatureExtractor,
        WhisperFeatureExtractor,
    )

    folders: dict[str, str] = {}

    def folder_of(family: str) -> str:
        if family not in folders:
            folder = tmp_path_factory.mktemp(family)
            if family in LOG_MEL:
                config = AutoConfig.for_model(model_type=family, **LOG_MEL[family])
                kind = (
                    WhisperFeatureExtractor if family == "whisper" else SeamlessM4TFeatureExtractor
                )
                kind().save_pretrained(folder)
            else:
                config = AutoConfig.for_model(**waveform_settings(family))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)  # the weights must not depend on the order of the tests
                AutoModel.from_config(config).save_pretrained(folder)
            folders[family] = str(folder)
        return folders[family]

    return folder_of

"""What several tests need: the repository's root, and a small synthetic corpus made once."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from speechbrain.utils.importutils import LazyModule

# Hypothesis asks every loaded module for its file, upon which SpeechBrain's lazy modules import
# what is not installed (k2) and end the whole test session.
LazyModule.__file__ = None

# A busy machine is no fault of the code: no test asserts a time, Hypothesis's neither.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# No test may reach out: a hub is not there in CI, and a typing error must not wait for it.
os.environ["HF_HUB_OFFLINE"] = "1"

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def smoke_corpus(tmp_path_factory) -> Path:
    """The synthetic corpus of row smoke, in the layout of MSP-Podcast."""
    pytest.importorskip("espeakng_loader", reason="the extra 'demo' is not installed")
    from data_prep import demo

    folder = tmp_path_factory.mktemp("demo") / "MSP-Podcast"
    demo.write("MSP-Podcast", folder, size="smoke")
    return folder


@pytest.fixture(autouse=True)
def _few_threads():
    """Tiny models run faster, and the same on every machine, on one thread."""
    import torch

    torch.set_num_threads(1)

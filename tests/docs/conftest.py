"""Workspaces for documentation pages, and replacements of corpora and models."""

import pytest

from tests.helpers.docs_workspace import (
    Workspace,
    free_port,
    long_recording,
    recordings,
    short_tables,
)

SIZES = {  # as in preset smoke, but enough in Development for the paper's split
    "MSP-Podcast": {"Train": 48, "Development": 60, "Test1": 16, "Test2": 8, "Test3": 4},
    "IEMOCAP": "smoke",
    "MSP-IMPROV": "smoke",
    "OwnData": "smoke",
}


@pytest.fixture(scope="session")
def replacements(root, tmp_path_factory, save_any, waveform_settings):
    """Values of the placeholders in the substitutions."""
    pytest.importorskip("espeakng_loader", reason="the 'demo' extra is not installed")
    from transformers import Wav2Vec2FeatureExtractor

    from data_prep.synthetic import write as synthetic
    from tests.unit.public_models.test_audeering import checkpoint

    folder = tmp_path_factory.mktemp("replacements")

    def corpus(name):
        synthetic.write(name, folder / name, size=SIZES[name])
        return folder / name

    def audeering():
        if not (folder / "audeering").is_dir():
            checkpoint(folder / "audeering", waveform_settings)
        return folder / "audeering"

    def hubert():
        saved = save_any("hubert")
        Wav2Vec2FeatureExtractor().save_pretrained(saved)  # for normalisation=as_checkpoint
        return saved

    return {
        "MSP-PODCAST": lambda: corpus("MSP-Podcast"),
        "IEMOCAP_full_release": lambda: corpus("IEMOCAP"),
        "MSP-IMPROV": lambda: corpus("MSP-IMPROV"),
        "folder": lambda: corpus("OwnData"),
        "hubert": hubert,
        "audeering": audeering,
        "tables": lambda: short_tables(root, folder / "tables.yaml"),
        "port": free_port,
    }


@pytest.fixture(scope="session")
def workspace_of(root, tmp_path_factory, replacements):
    """Create a workspace with some recordings for the tutorial, and another for all other pages."""
    workspaces = {}

    def workspace(page):
        name = "tutorial" if page == "docs/tutorial.md" else "pages"
        if name not in workspaces:
            folder = tmp_path_factory.mktemp(name)
            workspaces[name] = Workspace(root, folder, replacements)
            long_recording(replacements["folder"](), folder / "long_recording.wav")
            recordings(replacements["folder"](), folder)
        return workspaces[name]

    return workspace

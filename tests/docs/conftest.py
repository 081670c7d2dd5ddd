"""Workspaces for pages, and stand-ins for what a test cannot use."""

import pytest

from tests.helpers.docs_workspace import (
    Workspace,
    free_port,
    long_recording,
    recordings,
    short_tables,
)

SIZES = {  # as preset smoke's, but enough in Development for the paper's division
    "MSP-Podcast": {"Train": 48, "Development": 60, "Test1": 16, "Test2": 8, "Test3": 4},
    "IEMOCAP": "smoke",
    "MSP-IMPROV": "smoke",
    "OwnData": "smoke",
}


@pytest.fixture(scope="session")
def stand_ins(root, tmp_path_factory, save_any, waveform_settings):
    """Values of the names in braces of the substitutions."""
    pytest.importorskip("espeakng_loader", reason="the extra 'demo' is not installed")
    from data_prep.synthetic import write as synthetic
    from tests.unit.public_models.test_audeering import checkpoint

    folder = tmp_path_factory.mktemp("stand_ins")

    def corpus(name):
        synthetic.write(name, folder / name, size=SIZES[name])
        return folder / name

    def audeering():
        if not (folder / "audeering").is_dir():
            checkpoint(folder / "audeering", waveform_settings)
        return folder / "audeering"

    return {
        "MSP-PODCAST": lambda: corpus("MSP-Podcast"),
        "IEMOCAP_full_release": lambda: corpus("IEMOCAP"),
        "MSP-IMPROV": lambda: corpus("MSP-IMPROV"),
        "folder": lambda: corpus("OwnData"),
        "hubert": lambda: save_any("hubert"),
        "audeering": audeering,
        "tables": lambda: short_tables(root, folder / "tables.yaml"),
        "port": free_port,
    }


@pytest.fixture(scope="session")
def workspace_of(root, tmp_path_factory, stand_ins):
    """The workspace of a page, with recordings in it."""
    made = {}

    def workspace(page):
        if page not in made:
            folder = tmp_path_factory.mktemp(page.replace("/", "_").replace(".md", ""))
            made[page] = Workspace(root, folder, stand_ins)
            long_recording(stand_ins["folder"](), folder / "long_recording.wav")
            recordings(stand_ins["folder"](), folder)
        return made[page]

    return workspace

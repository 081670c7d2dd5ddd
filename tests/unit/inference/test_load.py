"""Where a model is looked for."""

import pytest

from emosphere_sb.inference.load import find, load
from tests.helpers.models import write_tiny


@pytest.fixture
def folder(tmp_path):
    write_tiny(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_finds_a_folder_from_home(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert find("~/tiny") == folder
    assert load(folder)[1].name == "tiny"


@pytest.mark.parametrize("text", ["nowhere", "./a/b", "/a/b", "a/b/c", "../a"])
def test_no_folder_and_no_name(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"no folder .* no name on the hub"):
        find(text)


def test_file_is_no_folder(folder):
    with pytest.raises(ValueError, match="it is a file"):
        find(folder / "model.safetensors")


@pytest.mark.parametrize("text", ["someone/model", "some one/mo del"])
def test_hub_that_cannot_be_reached(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"{text} is no folder here, and cannot be had"):
        find(text)

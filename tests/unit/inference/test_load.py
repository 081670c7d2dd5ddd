"""Search for models in folders and on the Hub."""

import pytest

from emosphere_sb.inference.load import find_model, load_pretrained
from tests.helpers.models import write_tiny_model


@pytest.fixture
def folder(tmp_path):
    write_tiny_model(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_finds_a_folder_from_home(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert find_model("~/tiny") == folder
    assert load_pretrained(folder)[1].name == "tiny"


@pytest.mark.parametrize("text", ["nowhere", "./a/b", "/a/b", "a/b/c", "../a"])
def test_unknown_source_is_an_error(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"neither a folder nor a name on the Hugging Face Hub"):
        find_model(text)


def test_file_instead_of_folder_is_an_error(folder):
    with pytest.raises(ValueError, match="found a file"):
        find_model(folder / "model.safetensors")


@pytest.mark.parametrize("text", ["someone/model", "some one/mo del"])
def test_unreachable_hub_is_an_error(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"{text} is not a local folder and could not be"):
        find_model(text)

"""Checksums detect changed, missing and added files of a released model."""

import hashlib
import json
import shutil

import pytest

from emosphere_sb.release import checksums
from tests.helpers.models import write_tiny_model

NAMES = ("README.md", "backbone.json", "checksums.json", "emosphere.json", "model.safetensors")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released") / "tiny"
    write_tiny_model(folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "tiny")


def test_checksums_are_sha256_of_every_file(folder):
    kept = json.loads((folder / "checksums.json").read_text())
    assert kept == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in NAMES
        if name != "checksums.json"
    }
    checksums.verify_checksums(folder)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_one_changed_byte_is_detected(folder, name, place):
    path = folder / name
    content = bytearray(path.read_bytes())
    content[round(place * (len(content) - 1))] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=name):
        checksums.verify_checksums(folder)


@pytest.mark.parametrize("name", NAMES)
def test_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"({name} is missing|missing: {name})"):
        checksums.verify_checksums(folder)


def test_added_preprocessor_is_rejected(folder):
    (folder / "preprocessor_config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"preprocessor_config\.json is not listed in"):
        checksums.verify_checksums(folder)


def test_unlisted_weights_are_rejected(folder):
    kept = json.loads((folder / "checksums.json").read_text())
    del kept["model.safetensors"]
    (folder / "checksums.json").write_text(json.dumps(kept))
    with pytest.raises(ValueError, match=r"model\.safetensors is not listed in"):
        checksums.verify_checksums(folder)


@pytest.mark.parametrize("name", [".gitattributes", "hyperparams.yaml", "model.onnx"])
def test_other_files_are_allowed(folder, name):
    (folder / name).write_text("anything")
    checksums.verify_checksums(folder)


def test_listed_paths_do_not_leave_the_folder(folder, tmp_path):
    """Listed paths outside the folder are not read."""
    (tmp_path / "secret").write_text("x")
    kept = json.loads((folder / "checksums.json").read_text())
    kept["../secret"] = hashlib.sha256(b"x").hexdigest()
    (folder / "checksums.json").write_text(json.dumps(kept))
    with pytest.raises(ValueError, match="tiny/secret is missing"):
        checksums.verify_checksums(folder)


@pytest.mark.parametrize(
    ("text", "match"),
    [("{", "not valid JSON"), ("[1]", "must contain a mapping"), ("", "not valid JSON"),
     ("\udcff", "not valid JSON"),
     ("[" * 100_000, "not valid JSON")],
)  # fmt: skip
def test_invalid_json(tmp_path, text, match):
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=match):
        checksums.read_json(path)

"""Loading a released folder: tensors and plain data, whatever lies in it."""

import json
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from emosphere_sb.release import checksums
from emosphere_sb.release.load import load_released, refuse_code
from tests.helpers.models import write_tiny


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released") / "tiny"
    return folder, write_tiny(folder)


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole[0], tmp_path / "tiny")


def change(folder, name, edit):
    """Change a JSON file and write the checksums anew, as somebody would who means harm."""
    facts = json.loads((folder / name).read_text())
    edit(facts)
    (folder / name).write_text(json.dumps(facts))
    checksums.seal(folder)


def test_gives_the_weights_bit_for_bit(whole):
    folder, model = whole
    loaded, about = load_released(folder)
    expected, found = model.state_dict(), loaded.state_dict()
    assert found.keys() == expected.keys() and len(found) > 30
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert about.name == "tiny" and about.max_seconds == 2.0
    assert not loaded.training
    assert not any(value.requires_grad for value in loaded.parameters())


def test_file_that_changes_afterwards_changes_no_model(whole, folder):
    loaded, _ = load_released(folder)
    with open(folder / "model.safetensors", "r+b") as file:
        file.seek(4096)
        file.write(bytes(40_000))
    expected, found = whole[1].state_dict(), loaded.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_nothing_is_unpickled(whole, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("something was unpickled")

    for place, name in ((torch, "load"), (pickle, "load"), (pickle, "loads")):
        monkeypatch.setattr(place, name, refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    load_released(whole[0])


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize(
    "write", [torch.save, lambda thing, path: path.write_bytes(pickle.dumps(thing))]
)
def test_pickle_under_the_name_of_weights_is_refused(folder, tmp_path, write):
    write({"a": Trap(str(tmp_path / "sprung"))}, folder / "model.safetensors")
    checksums.seal(folder)
    with pytest.raises(ValueError, match=r"no safetensors file .* pickle"):
        load_released(folder)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x08\0\0\0\0\0\0\0{}      "])
def test_broken_weights_are_refused(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    checksums.seal(folder)
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        load_released(folder)


@pytest.mark.parametrize("version", [3, 0, None, "1", True])
def test_other_format_is_refused(folder, version):
    change(folder, "emosphere.json", lambda facts: facts.update(format=version))
    with pytest.raises(ValueError, match=f"has format {version}; .* Update"):
        load_released(folder)


def lack(folder, name):
    state = load_file(folder / "model.safetensors")
    del state[name]
    save_file(state, folder / "model.safetensors")


def grow(folder, name):
    state = load_file(folder / "model.safetensors")
    state[name] = torch.zeros(3, 3)
    save_file(state, folder / "model.safetensors")


def halve(folder, name):
    state = load_file(folder / "model.safetensors")
    save_file(state | {name: state[name].half()}, folder / "model.safetensors")


@pytest.mark.parametrize("edit", [lack, grow, halve])
def test_weights_of_another_model_are_refused(folder, edit):
    edit(folder, "vad_head.layers.1.weight")
    checksums.seal(folder)
    with pytest.raises(ValueError, match=r"does not fit .*: vad_head\.layers\.1\.weight"):
        load_released(folder)


@pytest.mark.parametrize("classes", [["a", "b"], []])
def test_classes_that_are_not_the_heads_are_refused(folder, classes):
    path = folder / checksums.CONFIGURATION
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["about"] |= {"classes": classes, "head": "region" if classes else "none"}
    path.write_text(json.dumps(facts), encoding="utf-8")
    checksums.seal(folder)
    with pytest.raises(ValueError, match=f"found 8 outputs and {len(classes)} classes"):
        load_released(folder)


def test_weights_of_more_than_the_model_are_refused(folder):
    grow(folder, "something.else")
    checksums.seal(folder)
    with pytest.raises(ValueError, match=r"does not fit .*something\.else"):
        load_released(folder)


def put(*keys_and_value):
    *keys, last, value = keys_and_value

    def edit(facts):
        for key in keys:
            facts = facts[key]
        facts[last] = value

    return edit


BAD = {
    "class of another package": put("parts", "pooling", "class", "os.system"),
    "class of another kind": put("parts", "pooling", "class", "VADHead"),
    "arguments that are none": put("parts", "pooling", "arguments", "16"),
    "arguments by position": put("parts", "pooling", "arguments", [16, 8]),
    "a width that heads do not divide": put("parts", "pooling", "arguments", "width", 9),
    "an argument that the class lacks": put("parts", "pooling", "arguments", "surprise", 1),
    "a size that cannot be had": put("parts", "vad_head", "arguments", "hidden_size", 2**60),
    "part that is a list": put("parts", "vad_head", []),
    "parts that are none": put("parts", 3),
    "no encoder": put("parts", "encoder", {}),
    "layers that are not there": put("parts", "encoder", "layers", 99),
    "unknown normalisation": put("parts", "normaliser", "mode", "loud"),
    "unknown field": put("about", "surprise", 1),
    "no scale": put("about", "scale", None),
    "an impossible scale": put("about", "scale", "low", 9.0),
    "about that is none": put("about", "a text"),
}


@pytest.mark.parametrize("name", BAD)
def test_description_of_no_model_is_refused(folder, name):
    change(folder, "emosphere.json", BAD[name])
    with pytest.raises(ValueError):
        load_released(folder)


CODE = {
    "auto_map": {"AutoModel": "someone/model--code.Model"},
    "attn_implementation": "someone/kernel",
    "_attn_implementation": "flash_attention_2",
    "experts_implementation": "someone/kernel",
    "quantization_config": {"quant_method": "bitsandbytes"},
    "text_config": {"auto_map": {"AutoModel": "a.B"}},
}


@pytest.mark.parametrize("key", CODE)
def test_backbone_that_names_code_is_refused(folder, key):
    change(folder, "backbone.json", lambda facts: facts.update({key: CODE[key]}))
    with pytest.raises(ValueError, match="may run code"):
        load_released(folder)


def test_plain_choices_of_attention_are_let_through(tmp_path):
    for value in (None, "eager", "sdpa"):
        refuse_code({"attn_implementation": value}, tmp_path)


def test_backbone_that_is_none_is_refused(folder):
    change(folder, "backbone.json", lambda facts: facts.update(model_type="bert"))
    with pytest.raises(ValueError, match=r"bert|Bert"):
        load_released(folder)
    change(folder, "backbone.json", lambda facts: facts.update(model_type="no such"))
    with pytest.raises(ValueError, match="no such"):
        load_released(folder)


def test_empty_folder_says_how_one_is_made(tmp_path):
    with pytest.raises(ValueError, match=r"emosphere release RUN OUT"):
        load_released(tmp_path)

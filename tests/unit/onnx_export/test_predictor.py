"""OnnxEmoSphere gives the same predictions as EmoSphere, and rejects invalid model folders."""

import json
import shutil
import sys

import numpy as np
import pytest
import soundfile

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.fileio.atomic import digest_of
from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.onnx_export.export import export
from emosphere_sb.onnx_export.predictor import OnnxEmoSphere
from emosphere_sb.onnx_export.session import OnnxSession
from tests.helpers.format_1 import FIXTURE, MODEL, predictions

FORMATS = [  # rate, seconds, channels, suffix
    (16000, 0.5, 1, "wav"),
    (8000, 1.3, 1, "wav"),
    (44100, 0.7, 2, "wav"),
    (96000, 0.4, 6, "wav"),
    (22050, 0.9, 1, "flac"),
    (48000, 1.1, 2, "ogg"),
    (24000, 3.5, 1, "wav"),  # longer than the model's max_seconds
]


@pytest.fixture(scope="module")
def pair(exported):
    theirs = EmoSphere.from_pretrained(exported.released, device="cpu")
    return theirs, OnnxEmoSphere.from_pretrained(exported.out, threads=1)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Files of several rates, lengths and formats, one of them damaged."""
    folder, paths = tmp_path_factory.mktemp("recordings"), []
    for number, (rate, seconds, channels, suffix) in enumerate(FORMATS):
        chance = np.random.default_rng(number)
        samples = 0.2 * chance.normal(size=(round(rate * seconds), channels))
        paths.append(folder / f"ein Ton {number} é.{suffix}")
        soundfile.write(paths[-1], samples.clip(-1, 1), rate)
    paths.insert(3, folder / "broken.wav")
    paths[3].write_bytes(b"RIFF, but nothing else")
    return paths


@pytest.fixture
def copy(exported, tmp_path):
    """An exported folder to damage."""
    return shutil.copytree(exported.out, tmp_path / "copy")


def same(ours, theirs):
    assert np.abs(ours.vad - theirs.vad).max() < 1e-4
    assert np.abs(ours.on_scale - theirs.on_scale).max() < 3e-4  # a scale of 1 to 7
    assert np.abs(ours.embedding - theirs.embedding).max() < 1e-4
    assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-4)
    assert ours.radius == pytest.approx(theirs.radius, abs=2e-4)
    for name in ("source", "duration", "start", "warnings", "head", "region_description"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.end == pytest.approx(theirs.end, abs=1e-9)
    assert [word for word, _ in ours.words] == [word for word, _ in theirs.words]
    assert ours.to_dict().keys() == theirs.to_dict().keys()


@pytest.mark.parametrize("options", [{}, {"batch_size": 1}, {"words": 2, "max_seconds": 0.3}])
def test_every_file_matches_pytorch(pair, recordings, options):
    theirs, ours = (list(model.predict_each(recordings, **options)) for model in pair)
    assert len(ours) == len(theirs) == len(FORMATS) + 1
    for one, other in zip(ours, theirs, strict=True):
        if isinstance(other, AudioError):
            assert str(one) == str(other)
            continue
        same(one, other)
    assert [isinstance(item, AudioError) for item in ours].index(True) == 3


def test_windows_match_pytorch(pair, recordings):
    theirs, ours = (model.predict(recordings[-1], window=1.0, overlap=0.5) for model in pair)
    same(ours, theirs)
    assert ours.end == pytest.approx(3.5)


@pytest.mark.parametrize("rate, kind", [(16000, np.float32), (44100, np.int16), (8000, np.uint8)])
def test_arrays_match_pytorch(pair, rate, kind):
    chance = np.random.default_rng(3)
    samples = 0.2 * chance.normal(size=(2, rate))
    if kind != np.float32:
        samples = samples.clip(-1, 0.99) * np.iinfo(kind).max
        samples = samples if kind == np.int16 else np.abs(samples)
    samples = samples.astype(kind)
    theirs, ours = (model.predict(samples, rate) for model in pair)
    same(ours, theirs)


def test_model_information_is_preserved(pair):
    theirs, ours = pair
    assert ours.info == theirs.info
    assert (ours.min_samples, ours.max_pass_seconds) == (
        theirs.min_samples,
        theirs.max_pass_seconds,
    )


def test_model_of_format_1_is_exported(tmp_path):
    export(MODEL, tmp_path / "out")
    found = predictions(OnnxEmoSphere.from_pretrained(tmp_path / "out", threads=1), tmp_path)
    expected = json.loads((FIXTURE / "expected.json").read_text(encoding="utf-8"))
    assert found.keys() == expected.keys()
    for name, one in expected.items():
        for key in ("vad", "embedding"):
            np.testing.assert_allclose(found[name][key], one[key], rtol=0, atol=1e-4)
        assert found[name]["probabilities"] == pytest.approx(one["probabilities"], abs=1e-4)
    card = (tmp_path / "out" / "README.md").read_bytes()
    assert card == (MODEL / "README.md").read_bytes()


def test_fault_one_damaged_file_among_many_is_raised_by_predict(pair, recordings):
    with pytest.raises(AudioError, match="broken"):
        pair[1].predict(recordings)


def test_fault_one_sample_is_too_short(pair, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(1), 16000)
    with pytest.raises(AudioError, match="is too short"):
        pair[1].predict(tmp_path / "a.wav")


def test_fault_no_such_folder(tmp_path):
    with pytest.raises(ValueError, match=r"does not exist\. Create it with `emosphere export"):
        OnnxEmoSphere.from_pretrained(tmp_path / "none")


def test_fault_released_folder_that_was_not_exported(exported):
    with pytest.raises(ValueError, match=r"missing: model\.onnx .*emosphere export MODEL OUT`"):
        OnnxEmoSphere.from_pretrained(exported.released)


def test_fault_exported_folder_loaded_with_pytorch(exported):
    with pytest.raises(ValueError, match=r"missing: backbone\.json, model\.safetensors"):
        EmoSphere.from_pretrained(exported.out)


def test_fault_int8_was_not_exported(copy):
    (copy / "model_int8.onnx").unlink()
    with pytest.raises(ValueError, match=r"missing: model_int8\.onnx .*MODEL OUT --int8"):
        OnnxEmoSphere.from_pretrained(copy, int8=True)


@pytest.mark.parametrize("name", ["model.onnx", "emosphere.json"])
def test_fault_changed_file(name, copy):
    whole = bytearray((copy / name).read_bytes())
    whole[len(whole) // 2] ^= 1
    (copy / name).write_bytes(bytes(whole))
    with pytest.raises(ValueError, match=r"SHA-256 of .* does not match"):
        OnnxEmoSphere.from_pretrained(copy)


def changed(folder, change):
    """Change the description, and its checksum with it."""
    path, sums = folder / "emosphere.json", folder / "checksums.json"
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))
    sums.write_text(json.dumps({**json.loads(sums.read_text()), path.name: digest_of(path)}))


def test_description_in_format_1_is_read(copy, exported):
    changed(copy, lambda facts: facts.update(format=1))
    whole, older = (OnnxEmoSphere.from_pretrained(folder) for folder in (exported.out, copy))
    assert older.info == whole.info and older.min_samples == whole.min_samples


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda facts: facts.update(format=99), "has format 99"),
        (lambda facts: facts.pop("onnx"), "must describe an exported model"),
        (
            lambda facts: facts["about"].update(classes=[], head="none"),
            "must belong to the same model",
        ),
        (lambda facts: facts["about"].pop("scale"), "Invalid model description"),
    ],
)
def test_fault_description(change, message, copy):
    changed(copy, change)
    with pytest.raises(ValueError, match=message):
        OnnxEmoSphere.from_pretrained(copy)


def test_fault_file_is_not_an_onnx_model(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"\x80\x04K\x01.")  # a pickle
    with pytest.raises(ValueError, match="onnxruntime cannot load"):
        OnnxSession(tmp_path / "model.onnx")


def test_fault_graph_with_other_inputs(tmp_path):
    from onnx import TensorProto, helper, save

    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "g", *map(list, zip(values)))
    opset = [helper.make_opsetid("", 20)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=10), tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="must have the inputs waveform, lengths"):
        OnnxSession(tmp_path / "model.onnx")


def test_fault_onnxruntime_is_not_installed(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match="pip install onnxruntime"):
        OnnxEmoSphere.from_pretrained(exported.out)

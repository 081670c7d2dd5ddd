"""Choice of the engine, the modules that each engine imports, and equal predictions."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from emosphere_sb import cli
from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.inference.torch_predictor import TorchPredictor
from emosphere_sb.onnx_export import engines
from emosphere_sb.onnx_export.engines import check_engine, load_predictor
from emosphere_sb.onnx_export.predictor import OnnxEmoSphere
from emosphere_sb.release import checksums

PREDICT = """
import sys
from emosphere_sb.cli import main
status = main(["predict", *sys.argv[1:]])
packages = {name.split(".")[0] for name in sys.modules}
models = {name.split(".")[2] for name in sys.modules if name.startswith("transformers.models.")}
print("status", status, sorted(packages), sorted(models), sep="|")
"""
TRAINING = {"speechbrain", "pandas", "hyperpyyaml", "matplotlib", "tensorboard"}
"""Packages that prediction does not need."""


@pytest.fixture(scope="module")
def released(exported, tmp_path_factory):
    """A released model with an ONNX copy in float32 and int8."""
    folder = tmp_path_factory.mktemp("engines") / "model"
    shutil.copytree(exported.released, folder)
    for name in ("model.onnx", "model_int8.onnx"):
        shutil.copyfile(exported.out / name, folder / name)
    graphs = json.loads((exported.out / "emosphere.json").read_text())["onnx"]
    description = json.loads((folder / "emosphere.json").read_text())
    checksums.write_json_file(folder / "emosphere.json", {**description, "onnx": graphs})
    checksums.write_checksums(folder)
    return folder


@pytest.fixture
def copy(released, tmp_path):
    return shutil.copytree(released, tmp_path / "model")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for number, seconds in enumerate((0.4, 1.3, 0.8)):
        noise = 0.2 * np.random.default_rng(number).normal(size=round(16000 * seconds))
        soundfile.write(folder / f"{number}.wav", noise.clip(-1, 1), 16000, subtype="FLOAT")
    return [str(path) for path in sorted(folder.iterdir())]


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(engines, "has_gpu", lambda: False)


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(engines, "has_gpu", lambda: True)


# --- modules that are imported ------------------------------------------------------------------


def imported_by_predict(root, folder, clip, *options):
    """Predict in a new process; return the imported packages and transformers models."""
    run = subprocess.run(
        [sys.executable, "-c", PREDICT, str(folder), clip, *options], cwd=root,
        env={"PYTHONPATH": str(root)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    _, status, packages, models = run.stdout.splitlines()[-1].split("|")
    assert status == "0", run.stderr
    return set(json.loads(packages.replace("'", '"'))), set(json.loads(models.replace("'", '"')))


def test_torch_engine_imports_only_the_model_it_needs(root, released, clips):
    packages, models = imported_by_predict(root, released, clips[0], "--engine=torch")
    assert {"torch", "transformers", "soundfile", "emosphere_sb"} <= packages
    assert packages & (TRAINING | {"onnxruntime", "onnx", "data_prep"}) == set()
    assert models == {"auto", "encoder_decoder", "wavlm"}


def test_onnx_engine_imports_neither_torch_nor_transformers(root, released, clips):
    packages, models = imported_by_predict(root, released, clips[0], "--engine=onnx")
    assert {"onnxruntime", "numpy", "soundfile", "emosphere_sb"} <= packages
    others = {"torch", "transformers", "scipy", "safetensors", "onnx", "data_prep"}
    assert packages & (TRAINING | others) == set()
    assert models == set()


# --- equal predictions --------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 3])
def test_onnx_matches_torch(released, clips, batch_size):
    found = {
        engine: load_predictor(released, engine=engine).predict(clips, batch_size=batch_size)
        for engine in ("torch", "onnx")
    }
    assert len(found["torch"]) == len(clips)
    for ours, theirs in zip(found["onnx"], found["torch"], strict=True):
        np.testing.assert_allclose(ours.vad, theirs.vad, atol=1e-4, rtol=0)
        np.testing.assert_allclose(ours.embedding, theirs.embedding, atol=1e-4, rtol=0)
        assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-4)
        assert (ours.engine, theirs.engine) == ("onnx fp32", "torch fp32")


def test_torch_engine_equals_the_speechbrain_interface(released, clips):
    ours = load_predictor(released, engine="torch", device="cpu").predict(clips)
    theirs = EmoSphere.from_pretrained(released, device="cpu").predict(clips)
    for one, other in zip(ours, theirs, strict=True):
        assert one.to_dict(embedding=True) == other.to_dict(embedding=True)


def test_int8_is_stated_and_close(released, clips):
    exact = load_predictor(released, engine="onnx").predict(clips)
    quantised = load_predictor(released, engine="onnx", int8=True).predict(clips)
    for one, other in zip(quantised, exact, strict=True):
        assert one.engine == "onnx int8"
        assert 0 < np.abs(one.vad - other.vad).max() < 0.1


# --- choice -------------------------------------------------------------------------------------


def test_auto_uses_the_onnx_copy_without_a_gpu(released, no_gpu):
    assert load_predictor(released).engine == "onnx fp32"
    assert load_predictor(released, device="cpu").engine == "onnx fp32"


def test_auto_uses_torch_with_a_gpu(released, gpu):
    assert type(load_predictor(released)) is TorchPredictor
    assert load_predictor(released, device="cpu").engine == "onnx fp32"  # no GPU is requested


def test_auto_uses_torch_for_bf16(released, no_gpu):
    assert load_predictor(released, precision="bf16").engine == "torch bf16"


def test_auto_uses_torch_without_onnxruntime(released, no_gpu, monkeypatch):
    known = engines.find_spec
    monkeypatch.setattr(
        engines, "find_spec", lambda name: None if name == "onnxruntime" else known(name)
    )
    assert load_predictor(released).engine == "torch fp32"


def test_auto_uses_torch_for_a_model_without_an_onnx_copy(exported, no_gpu):
    assert load_predictor(exported.released).engine == "torch fp32"


@pytest.mark.parametrize("machine", ["gpu", "no_gpu"])
def test_auto_uses_onnx_for_an_exported_model(exported, machine, request):
    request.getfixturevalue(machine)
    assert load_predictor(exported.out).engine == "onnx fp32"


@pytest.mark.parametrize("options", [{"precision": "bf16"}, {"engine": "torch"}])
def test_exported_model_in_torch_is_an_error(exported, options):
    with pytest.raises(ValueError, match="contains only an ONNX model, which runs on the CPU"):
        load_predictor(exported.out, **options)


def test_int8_selects_onnx_without_an_engine(released, gpu):
    assert load_predictor(released, int8=True).engine == "onnx int8"


def test_predict_recognises_an_exported_model(exported, clips, tmp_path, gpu):
    out = tmp_path / "out.jsonl"
    for options, engine in (([], "onnx fp32"), (["--int8"], "onnx int8")):
        assert cli.main(["predict", str(exported.out), *clips, f"--out={out}", *options]) == 0
        rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        assert [row["engine"] for row in rows] == [engine] * 3


def test_foreign_graph_in_a_released_model_is_ignored(exported, tmp_path, no_gpu):
    folder = shutil.copytree(exported.released, tmp_path / "model")
    shutil.copyfile(exported.out / "model.onnx", folder / "model.onnx")
    assert load_predictor(folder).engine == "torch fp32"


@pytest.mark.parametrize(
    ("missing", "engine"), [("model.onnx", "torch fp32"), ("model.safetensors", "onnx fp32")]
)
def test_weights_of_the_other_engine_may_be_missing(copy, no_gpu, missing, engine):
    (copy / "model_int8.onnx").unlink()
    (copy / missing).unlink()
    assert load_predictor(copy).engine == engine


@pytest.mark.parametrize("name", ["model.onnx", "emosphere.json", "README.md"])
def test_damaged_file_is_an_error(copy, no_gpu, name):
    (copy / name).write_bytes((copy / name).read_bytes() + b" ")
    with pytest.raises(ValueError, match=rf"SHA-256 of .*{name} does not match"):
        load_predictor(copy)


def test_unknown_model_is_an_error(no_gpu, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for engine in engines.ENGINES:
        with pytest.raises(ValueError, match="Model not found: nowhere"):
            load_predictor("nowhere", engine=engine)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "tensorrt"}, "engine must be one of auto, torch, onnx; found 'tensorrt'"),
        ({"engine": "torch", "precision": "fp16"}, "precision must be fp32 or bf16; found 'fp16'"),
        ({"engine": "torch", "int8": True}, "--int8 cannot be combined with --engine=torch"),
        ({"int8": True, "device": "cpu"}, "--device cannot be combined with --int8"),
        ({"int8": True, "precision": "bf16"}, "--precision=bf16 cannot be combined with --int8"),
        ({"engine": "onnx", "device": "cuda"}, "--device cannot be combined with --onnx"),
        ({"engine": "onnx", "precision": "bf16"}, "--precision=bf16 cannot be combined with"),
    ],
)
def test_invalid_options(options, message):
    with pytest.raises(ValueError, match=message):
        check_engine(**{"engine": "auto", **options})


@pytest.mark.parametrize(("driver", "available"), [(False, False), (True, False), (True, True)])
def test_gpu_requires_a_driver_and_torch(monkeypatch, tmp_path, driver, available):
    import torch

    monkeypatch.setattr(engines, "GPU_FILES", (str(tmp_path / "none"), str(tmp_path / "driver")))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    if driver:
        (tmp_path / "driver").touch()
    assert engines.has_gpu() is (driver and available)


def test_garbage_collection_is_paused_and_resumed():
    import gc

    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), engines.pause_garbage_collection():
        assert not gc.isenabled()
        raise ZeroDivisionError
    assert gc.isenabled()
    gc.disable()
    try:
        with engines.pause_garbage_collection():
            pass
        assert not gc.isenabled()  # as before
    finally:
        gc.enable()


def test_load_predictor_is_exported(exported):
    import emosphere_sb

    assert isinstance(emosphere_sb.load_predictor(exported.out), OnnxEmoSphere)

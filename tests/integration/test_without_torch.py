"""Test predictions of an exported model when torch and its dependents cannot be imported."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.onnx_export.export import export
from tests.helpers.onnx_models import short_settings, write_model

# Packages that are not installed by `pip install --no-deps emosphere-sb` followed by
# `pip install numpy soundfile onnxruntime`
BLOCKED = (
    "torch", "torchaudio", "transformers", "speechbrain", "hyperpyyaml", "pandas", "scipy",
    "matplotlib", "ruamel", "tqdm", "filelock", "safetensors", "huggingface_hub", "onnx",
    "onnxscript",
)  # fmt: skip
BLOCK = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}} (blocked)", name=name)

sys.meta_path.insert(0, Blocked())
"""
PYTHON = """
import json
from emosphere_sb.onnx_export.predictor import OnnxEmoSphere
model = OnnxEmoSphere.from_pretrained(sys.argv[1], threads=1)
print(json.dumps([item.to_dict(embedding=True) for item in model.predict(sys.argv[2:], words=1)]))
"""
COMMAND = """
from emosphere_sb.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory, waveform_settings):
    folder = tmp_path_factory.mktemp("without")
    write_model(folder / "model", short_settings(waveform_settings, "wavlm", num_hidden_layers=1))
    export(folder / "model", folder / "out")
    for number, rate in enumerate((16000, 8000, 44100)):
        samples = 0.2 * np.random.default_rng(number).normal(size=rate)
        soundfile.write(folder / f"{number}.wav", samples.clip(-1, 1), rate)
    return folder


@pytest.fixture(scope="module")
def files(folders):
    return [str(folders / f"{number}.wav") for number in range(3)]


@pytest.fixture(scope="module")
def expected(folders, files):
    return EmoSphere.from_pretrained(folders / "model", device="cpu").predict(files, words=1)


def run(code, root, *words):
    command = [sys.executable, "-c", BLOCK + code, *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_blocked_imports_fail(root):
    found = run("import torch", root)
    assert found.returncode and "No module named 'torch' (blocked)" in found.stderr


def test_predictions_match_torch(root, folders, files, expected):
    found = run(PYTHON, root, folders / "out", *files)
    assert found.returncode == 0, found.stderr
    rows = json.loads(found.stdout)
    assert [row["file"] for row in rows] == files
    for row, item in zip(rows, expected, strict=True):
        reference = item.to_dict(embedding=True)
        assert row.keys() == reference.keys()
        for name in ("valence", "arousal", "dominance", "radius", "embedding"):
            assert row[name] == pytest.approx(reference[name], abs=1e-4), name
        assert row["region"] == reference["region"] and row["word"] == reference["word"]


def test_predict_onnx_command_matches_torch(root, folders, files, expected, tmp_path):
    words = ["predict", folders / "out", *files, "--onnx", f"--out={tmp_path / 'p.csv'}", "--quiet"]
    found = run(COMMAND, root, *words)
    assert found.returncode == 0, found.stderr
    with open(tmp_path / "p.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == files
    for row, item in zip(rows, expected, strict=True):
        assert float(row["valence"]) == pytest.approx(item.valence, abs=1e-4)
        assert float(row["arousal"]) == pytest.approx(item.arousal, abs=1e-4)


def test_predict_onnx_command_reports_unreadable_files(root, folders, files, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    words = ["predict", folders / "out", broken, files[0], "--onnx", f"--out={tmp_path / 'p.csv'}"]
    found = run(COMMAND, root, *words)
    assert found.returncode == 2
    assert "broken.wav: not a recognised audio file" in found.stderr
    assert "Traceback" not in found.stderr


def test_export_without_torch_exits_with_one_line_error(root, folders, tmp_path):
    found = run(COMMAND, root, "export", folders / "model", tmp_path / "out")
    assert found.returncode == 2
    assert "Traceback" not in found.stderr and len(found.stderr.splitlines()) == 1

"""``emosphere release``: output and exit status."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from emosphere_sb.cli import main
from emosphere_sb.onnx_export import onnx_model
from emosphere_sb.onnx_export.engines import load_predictor
from emosphere_sb.recipe import training_files
from emosphere_sb.release.load import load_released
from tests.helpers.models import untrained_run


def test_writes_a_model_and_prints_its_name_and_licence(tmp_path, capsys):
    untrained_run(tmp_path / "run")
    assert main(["release", str(tmp_path / "run"), str(tmp_path / "out"), "--name=Mine"]) == 0
    text = capsys.readouterr().out
    assert f"Mine: {tmp_path / 'out'}" in text and text.startswith("Synthetic speech:")
    assert "Licence: Trained on synthetic speech only" in text
    assert load_released(tmp_path / "out")[1].name == "Mine"
    onnx = load_predictor(tmp_path / "out", engine="onnx")
    torch = load_predictor(tmp_path / "out", engine="torch", device="cpu")
    assert onnx.info == torch.info
    noise = 0.1 * np.random.default_rng(0).normal(size=8000)
    ours, theirs = (model.predict(noise, 16000) for model in (onnx, torch))
    np.testing.assert_allclose(ours.vad, theirs.vad, atol=1e-4, rtol=0)
    assert not (tmp_path / "out" / "model_int8.onnx").exists()


def released_files(folder, *options):
    untrained_run(folder / "run")
    assert main(["release", str(folder / "run"), str(folder / "out"), *options]) == 0
    listed = json.loads((folder / "out" / "checksums.json").read_text())
    assert {path.name for path in (folder / "out").iterdir()} == {*listed, "checksums.json"}
    return set(listed)


def test_no_onnx_omits_the_onnx_copy(tmp_path, caplog):
    files = released_files(tmp_path, "--no-onnx")
    assert files == {"README.md", "backbone.json", "emosphere.json", "model.safetensors"}
    assert "onnx" not in json.loads((tmp_path / "out" / "emosphere.json").read_text())
    assert "ONNX" not in caplog.text


def test_missing_training_data_are_stated(tmp_path, caplog):
    released_files(tmp_path, "--no-onnx")
    assert "will not warn about recordings that differ from its training data: " in caplog.text
    assert load_released(tmp_path / "out")[1].training_range is None


def test_range_of_the_training_data_is_stored(tmp_path, monkeypatch, caplog):
    paths = []
    for number in range(30):
        paths.append(str(tmp_path / f"{number}.wav"))
        noise = 0.1 * np.random.default_rng(number).normal(size=8000)
        soundfile.write(paths[-1], noise, 16000, subtype="FLOAT")
    files = training_files.TrainingFiles(paths, [0.5] * 30, "mix")
    monkeypatch.setattr(training_files, "find_training_files", lambda run: files)
    released_files(tmp_path, "--no-onnx", "--training_sample=25")
    found = load_released(tmp_path / "out")[1].training_range
    assert found.utterances == 25
    assert found.seconds[0.5] == 0.5 and found.level[0.5] == pytest.approx(-20, abs=0.1)
    assert "differ from its training data" not in caplog.text


def test_range_of_the_training_data_can_be_omitted(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(training_files, "find_training_files", lambda run: 1 / 0)
    released_files(tmp_path, "--no-onnx", "--training_sample=0")
    assert "differ from its training data" not in caplog.text


@pytest.mark.parametrize("count", [-1, 19])
def test_too_small_training_sample_is_an_error(count, capsys):
    assert main(["release", "run", "out", f"--training_sample={count}"]) == 2
    assert f"--training_sample must be 0 or at least 20; found {count}" in capsys.readouterr().err


def test_int8_copy_is_written_on_request(tmp_path):
    assert {"model.onnx", "model_int8.onnx"} < released_files(tmp_path, "--int8")


def test_missing_onnx_package_is_stated(tmp_path, monkeypatch, caplog, capsys):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert "model.onnx" not in released_files(tmp_path)
    assert "The released model has no ONNX copy: Export requires onnx" in caplog.text
    assert main(["release", str(tmp_path / "run"), str(tmp_path / "other"), "--int8"]) == 2
    assert "pip install 'emosphere-sb[onnx]'" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_model_that_cannot_be_exported_is_released_without_a_copy(tmp_path, monkeypatch, caplog):
    def refuse(model):
        raise onnx_model.NotExportableError("ONNX export supports other families.")

    monkeypatch.setattr(onnx_model, "check_exportable", refuse)
    assert "model.onnx" not in released_files(tmp_path)
    assert "has no ONNX copy: ONNX export supports other families." in caplog.text


def test_int8_without_onnx_is_an_error(capsys):
    assert main(["release", "run", "out", "--int8", "--no-onnx"]) == 2
    assert "--int8 cannot be combined with --no-onnx" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["none", "file"])
def test_error_is_printed_on_one_line(tmp_path, capsys, place):
    (tmp_path / "file").write_text("x")
    assert main(["release", str(tmp_path / place), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "must be the folder of a finished run" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "missing arguments: RUN, OUT"),
        (["a"], "missing arguments: OUT"),
        (["a", "b", "c"], "unrecognized arguments: c"),
        (["a", "b", "--nam=x"], "unrecognized arguments: --nam=x"),
    ],
)
def test_invalid_arguments_are_rejected(words, message, capsys):
    assert main(["release", *words]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}. See emosphere release --help.")


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom emosphere_sb.cli import main\n"
        "try:\n    main(['release', '--help'])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "print({'torch', 'pandas', 'transformers', 'speechbrain'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "set()"
    assert "it is written atomically" in run.stdout

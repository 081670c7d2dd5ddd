"""emosphere export: graph, output folder, int8 version and errors."""

import json
import shutil
import sys

import numpy as np
import onnx
import pytest
import torch

from emosphere_sb import cli
from emosphere_sb.commands.export import read_labelled_files
from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.onnx_export import export as export_module
from emosphere_sb.onnx_export.export import ccc_on_files, check_deviation, export, synthetic_signals
from emosphere_sb.onnx_export.predictor import OnnxEmoSphere
from emosphere_sb.onnx_export.session import OnnxSession
from emosphere_sb.release.checksums import verify_checksums
from tests.helpers.onnx_models import FIELD, short_settings, write_model

LENGTHS = (FIELD, FIELD + 1, 1600, 8001, 20_000)


def noise(samples, seed=0):
    return (0.2 * np.random.default_rng(seed).normal(size=samples)).astype(np.float32)


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory, waveform_settings):
    """A wav2vec 2.0 with group norm and attentive statistics, without a class head."""
    folder = tmp_path_factory.mktemp("wav2vec2")
    settings = short_settings(waveform_settings, "wav2vec2", "group", num_hidden_layers=1)
    options = {"pooling": "AttentiveStatsPooling", "mode": "utterance", "head": False}
    model = write_model(folder / "model", settings, **options)
    export(folder / "model", folder / "out")
    return model, folder / "out"


def expected_of(model, signal):
    with torch.no_grad():
        found = model(torch.from_numpy(signal)[None], torch.tensor([len(signal)]))
    return found.vad.numpy(), found.embedding.numpy()


def compare(model, session):
    signals = [noise(length, length) for length in LENGTHS]
    together = session.run(signals)
    for row, signal in enumerate(signals):
        alone = session.run([signal])
        for place, expected in enumerate(expected_of(model, signal)):
            assert np.abs(alone[place] - expected).max() < 1e-4
            assert np.abs(together[place][row] - expected[0]).max() < 1e-4


def test_wavlm_with_style_pooling_equals_torch_alone_and_padded(exported):
    compare(exported.model, OnnxSession(exported.out / "model.onnx"))


def test_group_norm_and_attentive_statistics_equal_torch(wav2vec2):
    model, folder = wav2vec2
    compare(model, OnnxSession(folder / "model.onnx"))


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["layer", "group"])
@pytest.mark.parametrize(
    "family, pooling, layers",
    [
        ("hubert", "MeanPooling", "weighted"),
        ("wav2vec2", "StylePooling", 1),
        ("unispeech", "AttentiveStatsPooling", "last"),
        ("unispeech-sat", "MeanPooling", "last"),
        ("wavlm", "AttentiveStatsPooling", 0),
    ],
)
def test_every_family_as_onnx(family, pooling, layers, norm, waveform_settings, tmp_path):
    settings = short_settings(waveform_settings, family, norm)
    model = write_model(tmp_path / "model", settings, pooling=pooling, layers=layers)
    export(tmp_path / "model", tmp_path / "out")
    compare(model, OnnxSession(tmp_path / "out" / "model.onnx"))


def test_padding_does_not_change_predictions(exported):
    runtime = OnnxSession(exported.out / "model.onnx")._session
    padded = np.stack([noise(8000), noise(8000, 1)])
    lengths = np.array([8000, 3000])
    clean = padded.copy()
    clean[1, 3000:] = 0
    found = [
        runtime.run(None, {"waveform": waveform, "lengths": lengths})[0]
        for waveform in (padded, clean)
    ]
    assert np.abs(found[0] - found[1]).max() < 1e-6
    assert np.abs(found[0][0] - found[0][1]).max() > 1e-3  # utterances do differ


def test_graph_takes_any_batch_and_length(exported):
    graph = onnx.load(exported.out / "model.onnx")
    onnx.checker.check_model(graph)
    waveform, lengths = graph.graph.input
    sizes = [d.dim_param or d.dim_value for d in waveform.type.tensor_type.shape.dim]
    assert sizes == ["batch", "samples"]
    assert [d.dim_param for d in lengths.type.tensor_type.shape.dim] == ["batch"]
    assert [o.name for o in graph.graph.output] == ["vad", "embedding", "logits"]
    assert {item.domain: item.version for item in graph.opset_import}[""] == 20


def test_only_matrix_products_are_quantised(exported):
    kinds = [node.op_type for node in onnx.load(exported.out / "model_int8.onnx").graph.node]
    plain = [node.op_type for node in onnx.load(exported.out / "model.onnx").graph.node]
    assert kinds.count("MatMulInteger") > 5
    assert kinds.count("Conv") == plain.count("Conv") >= 4
    assert "ConvInteger" not in kinds


def test_exported_folder_contains_description_and_card(exported):
    model = exported.released
    names = {"model.onnx", "model_int8.onnx", "emosphere.json", "README.md", "checksums.json"}
    assert {path.name for path in exported.out.iterdir()} == names
    verify_checksums(exported.out, ("emosphere.json", "model.onnx", "model_int8.onnx"))
    assert (exported.out / "README.md").read_text() == (model / "README.md").read_text()
    ours, theirs = (json.loads((f / "emosphere.json").read_text()) for f in (exported.out, model))
    facts = ours.pop("onnx")
    assert ours == theirs
    assert facts["shortest"] == FIELD
    assert facts["deviations"]["model.onnx"]["vad"] < 1e-4
    assert set(facts["deviations"]["model_int8.onnx"]) == {"vad", "embedding", "logits"}


def test_command_prints_differences_and_ccc(exported):
    assert "Differences from the original model on 2 files" in exported.printed
    lines = exported.printed.splitlines()
    assert [line.split()[0] for line in lines if " differs by " in line] == [
        "model.onnx", "model_int8.onnx",
    ]  # fmt: skip
    paths, labels = read_labelled_files(exported.labels)
    for name, model in {
        "torch": EmoSphere.from_pretrained(exported.released, device="cpu"),
        "int8": OnnxEmoSphere.from_pretrained(exported.out, int8=True),
    }.items():
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        assert f"mean {ccc_on_files(model, paths, labels)['mean']:.4f}" in line


def test_ccc_of_labelled_files_by_hand(tmp_path):
    """Lin's formula: 2 cov / (var + var + difference of means squared)."""

    class Says:
        def predict(self, paths, *, max_seconds, speech_detection):
            assert (max_seconds, speech_detection) == ("evaluation", "off")
            values = {"a": 1.0, "b": 2.0, "c": 3.0}
            return [type("P", (), {"on_scale": np.full(3, values[p[-1]])}) for p in paths]

    path = tmp_path / "l.csv"
    path.write_text("wav,valence,arousal,dominance\na,1,2,\nb,2,3,1\nc,3,4,3\n")
    found = ccc_on_files(Says(), *read_labelled_files(path))
    # valence: equal; arousal: shifted by 1, var 2/3: (4/3) / (4/3 + 1); dominance: of b, c alone,
    # (2, 3) against (1, 3): cov 1/2, var 1/4 and 1, means 2.5 and 2: 1 / (1.25 + 0.25)
    expected = {"valence": 1.0, "arousal": 4 / 7, "dominance": 2 / 3}
    assert found == pytest.approx({**expected, "mean": (1 + 4 / 7 + 2 / 3) / 3})


@pytest.mark.parametrize("value", [1.1e-4, float("nan")])
def test_fault_difference_above_the_tolerance(value):
    check_deviation({"vad": 0.9e-4})
    with pytest.raises(ValueError, match=r"must match those of the model to within 0\.0001"):
        check_deviation({"vad": 0.0, "embedding": value})


def test_fault_graph_of_another_model_is_never_written(
    exported, waveform_settings, tmp_path, monkeypatch
):
    write_model(tmp_path / "other", short_settings(waveform_settings, "wavlm"), seed=1)
    copy = lambda model, path, **_: shutil.copyfile(exported.out / "model.onnx", path)  # noqa: E731
    monkeypatch.setattr(export_module, "write_graph", copy)
    with pytest.raises(ValueError, match="Nothing was written"):
        export(tmp_path / "other", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_fault_output_folder_is_not_empty(exported, tmp_path):
    (tmp_path / "note.txt").touch()
    with pytest.raises(FileExistsError, match="new or empty folder"):
        export(exported.released, tmp_path)


@pytest.mark.parametrize("check", [[], [np.zeros(FIELD - 1, np.float32)]])
def test_fault_nothing_to_compare_on(check, exported, tmp_path):
    with pytest.raises(
        ValueError, match=f"at least one utterance, each of at least {FIELD} samples"
    ):
        export(exported.released, tmp_path / "out", check=check)


def test_fault_model_that_cannot_be_exported(tmp_path, configuration, waveform_settings, capsys):
    settings = {**waveform_settings("wav2vec2"), "add_adapter": True}
    write_model(tmp_path / "model", settings, pooling="MeanPooling", head=False)
    assert cli.main(["export", str(tmp_path / "model"), str(tmp_path / "out")]) == 2
    assert "found wav2vec2 with adapters" in capsys.readouterr().err


def test_fault_exporter_is_not_installed(exported, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert cli.main(["export", str(exported.released), str(tmp_path / "out")]) == 2
    assert "pip install 'emosphere-sb[onnx]'" in capsys.readouterr().err


def test_synthetic_signals_are_reproducible_and_at_speech_level():
    first, second = synthetic_signals([0.5, 1.0]), synthetic_signals([0.5, 1.0])
    assert [len(signal) for signal in first] == [8000, 16000]
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one, other)
        assert 0.02 < np.sqrt(np.mean(one**2)) < 0.3 and np.abs(one).max() < 1

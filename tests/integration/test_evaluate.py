"""Test ``emosphere evaluate``: released and public models give the same results as runs."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile

from emosphere_sb import cli
from emosphere_sb.inference.evaluation import EVALUATED_MODEL_KEY, predict_set, training_note
from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.release.model import ModelInfo
from emosphere_sb.report.read.runs import read_source
from emosphere_sb.results.predictions import read_predictions
from emosphere_sb.scale import DIMENSIONS, Scale
from tests.helpers.run import Runs
from tests.unit.public_models.test_odyssey import checkpoint

SETS = ("valid", "test1", "test2")


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    pytest.importorskip("espeakng_loader", reason="the 'demo' extra is not installed")
    from data_prep.synthetic import write as synthetic

    folder = tmp_path_factory.mktemp("with blanks ü")
    for corpus in ("MSP-Podcast", "IEMOCAP", "OwnData"):
        synthetic.write(corpus, folder / corpus, size="smoke")
    return folder


@pytest.fixture(scope="module")
def own(corpora, tmp_path_factory):
    """A run that uses the auxiliary head until the end, and its released model."""
    from emosphere_sb.release.release import release

    folder = tmp_path_factory.mktemp("run")
    runs = Runs(corpora / "MSP-Podcast", folder)
    runs.run_in_process(folder / "run")
    return folder / "run", release(folder / "run", folder / "released")


@pytest.fixture
def public(tmp_path, waveform_settings):
    return checkpoint(tmp_path / "odyssey", waveform_settings)[0]


def evaluate_model(model, corpus, data, out, *more):
    """Run the command and return the metrics of the output folder."""
    words = [str(model), corpus, f"--data_folder={data}", f"--out={out}", "--device=cpu"]
    words += [f"--results_folder={out.parent / 'results'}", *more]
    assert cli.main(["evaluate", *words]) == 0
    return json.loads((out / "metrics.json").read_text(encoding="utf-8"))


def test_released_model_matches_predictions_of_its_run(own, corpora, tmp_path, capsys):
    run, released = own
    sets = [f"--set={name}" for name in SETS]
    metrics = evaluate_model(
        released, "msp-podcast", corpora / "MSP-Podcast", tmp_path / "out", *sets,
        "--test_options={release: synthetic}", "--batch_size=3",
    )  # fmt: skip
    expected = json.loads((run / "metrics.json").read_text())
    for name in SETS:
        found, before = (
            read_predictions(folder / "predictions" / f"{name}.csv")
            for folder in (tmp_path / "out", run)
        )
        assert len(before) >= 8 and "p_I" in before
        pd.testing.assert_frame_equal(found, before, rtol=0, atol=1e-5)
        for dimension in DIMENSIONS:
            assert metrics[name][dimension] == pytest.approx(
                expected[name][dimension], abs=1e-5, rel=1e-5
            )
        assert metrics[name]["region_head"] == pytest.approx(expected[name]["region_head"])
    protocol = metrics["protocol"]
    assert protocol["corpus"] == "MSP-Podcast" and protocol["release"] == "synthetic"
    assert protocol["scale"] == expected["protocol"]["scale"] and protocol["synthetic"]
    assert protocol["conversion"] == "none: model and corpus have the same scale (1 to 7)"
    assert protocol[EVALUATED_MODEL_KEY]["source"] == str(released) and "left_out" not in protocol
    assert protocol["utterances"] == {n: expected["protocol"]["utterances"][n] for n in SETS}
    text = capsys.readouterr().out
    assert "Synthetic speech:" in text and "no corpus terms apply" in text
    assert "SYNTHETIC: the model was trained on synthetic speech" in text
    assert "trained on MSP-Podcast synthetic. Results on valid do not show" in text


def test_evaluation_can_be_reported_compared_averaged_and_submitted(
    own, corpora, public, tmp_path, capsys
):
    run, _ = own
    out = tmp_path / "evaluated" / "out"
    evaluate_model(public, "MSP-Podcast", corpora / "MSP-Podcast", out)
    assert "No metrics for test3: no labels" in capsys.readouterr().out
    (found,) = read_source(out)
    assert set(found.tables) == {"test1", "test2", "test3"}
    assert set(found.labelled) == {"test1", "test2"}  # test3 has no public labels
    assert found.scales["test1"] == Scale(1, 7) and found.notes == []
    words = ["report", str(out), "--compare", str(run), "--resamples=100", "--no_plots"]
    assert cli.main(words) == 0
    report = json.loads((out / "report" / "report.json").read_text())
    assert report["comparison"] and "test1" in report["sets"]
    words = ["report", str(out), str(run), "--average", f"--out={tmp_path / 'mean'}"]
    assert cli.main([*words, "--resamples=100", "--no_plots"]) == 0
    mean = read_predictions(tmp_path / "mean" / "predictions" / "test1.csv")
    both = [read_predictions(folder / "predictions" / "test1.csv") for folder in (out, run)]
    both = [table.set_index("ID").loc[mean["ID"]] for table in both]
    name = "valence_predicted"
    expected = (both[0][name].to_numpy() + both[1][name].to_numpy()) / 2
    np.testing.assert_allclose(mean[name], expected, atol=1e-9)
    words = ["submission", str(out), "--set=test1", f"--out={tmp_path / 's.csv'}"]
    assert cli.main(words) == 0
    assert len(pd.read_csv(tmp_path / "s.csv")) == len(mean)


def test_predictions_are_converted_to_the_scale_of_the_corpus(corpora, public, tmp_path, capsys):
    """The mapping from [0, 1] to [1, 7] is 1 + 6 y, and 7 - 6 y for reversed arousal."""
    options = "{label_low: 1, label_high: 7, reversed_dimensions: [arousal]}"
    metrics = evaluate_model(
        public, "OwnData", corpora / "OwnData", tmp_path / "out", f"--test_options={options}"
    )
    (name,) = (key for key in metrics["protocol"]["utterances"])
    table = read_predictions(tmp_path / "out" / "predictions" / f"{name}.csv").set_index("ID")
    model = EmoSphere.from_pretrained(public, device="cpu")
    wavs = {path.stem: path for path in (corpora / "OwnData").rglob("*.wav")}
    assert len(table) == 60
    for key in table.index[:5]:
        v, a, d = model.predict(wavs[key.removeprefix("wav-")]).on_scale  # on [0, 1]
        found = table.loc[key, [f"{n}_predicted" for n in DIMENSIONS]].astype(float)
        np.testing.assert_allclose(found, [1 + 6 * v, 7 - 6 * a, 1 + 6 * d], atol=1e-4)
    protocol = metrics["protocol"]
    assert protocol[EVALUATED_MODEL_KEY]["scale"] == {"low": 0.0, "high": 1.0, "reversed": []}
    assert protocol["conversion"].startswith(
        "linear, from the model's scale (0 to 1) to the corpus's scale (1 to 7, arousal reversed)"
    )
    assert protocol["max_seconds"] == 12.0 and protocol["note"] == ""
    assert "MIT according to third parties; see its model card" in capsys.readouterr().out


def test_default_sets_and_folder(corpora, public, tmp_path):
    """Without an official split, the default is the entire corpus; the model names the folder."""
    words = [str(public), "IEMOCAP", f"--data_folder={corpora / 'IEMOCAP'}", "--device=cpu"]
    assert cli.main(["evaluate", *words, f"--results_folder={tmp_path / 'results'}"]) == 0
    (folder,) = (tmp_path / "results").glob("IEMOCAP*/evaluated/odyssey")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["all"]["utterances"] == metrics["protocol"]["utterances"]["all"] > 20


def test_evaluation_replaces_an_earlier_one(corpora, public, tmp_path):
    out = tmp_path / "out"
    evaluate_model(public, "MSP-Podcast", corpora / "MSP-Podcast", out, "--set=test1")
    metrics = evaluate_model(public, "MSP-Podcast", corpora / "MSP-Podcast", out, "--set=test2")
    assert [path.name for path in (out / "predictions").iterdir()] == ["test2.csv"]
    assert "test1" not in metrics and "test2" in metrics


def test_a_run_is_not_overwritten(own, corpora, public, tmp_path, capsys):
    run, _ = own
    before = (run / "metrics.json").read_bytes()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    for out in (run, tmp_path / "other", tmp_path / "other" / "notes.txt"):
        words = [str(public), "MSP-Podcast", f"--data_folder={corpora / 'MSP-Podcast'}"]
        words += [f"--results_folder={tmp_path / 'results'}", f"--out={out}"]
        assert cli.main(["evaluate", *words]) == 2
        assert "--out must be a new or empty folder" in capsys.readouterr().err
    assert (run / "metrics.json").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["MSP-Podcasts"], "Unknown corpus 'MSP-Podcasts'. Allowed: MSP-Podcast"),
        (["MSP-Podcast", "--set=test7"], "--set: Unknown set 'test7'. Did you mean"),
        (["MSP-Podcast", "--batch_size=0"], "--batch_size must be at least 1; found 0"),
        (["MSP-Podcast", "--device=tpu9"], "--device=tpu9 is not available"),
        (["MSP-Podcast", "--test_options={relaese: 1.10}"], "Unknown key 'relaese'"),
        (["MSP-Podcast", "--data_folder=/nowhere"], "is not a folder. Set it to the folder of"),
        (["OwnData", "--data_folder={corpora}/OwnData"], "label scale are required"),
    ],
)
def test_invalid_arguments_exit_with_error(words, text, corpora, public, tmp_path, capsys):
    given = [f"--data_folder={corpora / 'MSP-Podcast'}", f"--results_folder={tmp_path / 'r'}"]
    words = [word.replace("{corpora}", str(corpora)) for word in words]
    assert cli.main(["evaluate", str(public), *given, *words]) == 2
    assert text in capsys.readouterr().err
    assert not list(tmp_path.rglob("metrics.json"))


def test_folder_without_model_exits_with_error(corpora, tmp_path, capsys):
    given = [f"--data_folder={corpora / 'MSP-Podcast'}", f"--results_folder={tmp_path / 'r'}"]
    assert cli.main(["evaluate", str(tmp_path), "MSP-Podcast", *given]) == 2
    assert "is not a released model" in capsys.readouterr().err


def test_few_unreadable_files_are_skipped_and_many_raise(public, tmp_path):
    model = EmoSphere.from_pretrained(public, device="cpu")
    noise = np.random.default_rng(1).normal(0, 0.1, 1600)
    soundfile.write(tmp_path / "a.wav", noise, 16000)
    rows = {f"u{number}": {"wav": str(tmp_path / "a.wav")} for number in range(150)}
    rows["u7"] = {"wav": str(tmp_path / "gone.wav")}
    vad, _, reasons = predict_set(model, "test1", rows, batch_size=50)
    assert list(reasons) == ["u7"] and "gone.wav" in reasons["u7"]
    assert list(vad) == [key for key in rows if key != "u7"]
    alone = model.predict(tmp_path / "a.wav").vad
    assert max(np.abs(point - alone).max() for point in vad.values()) < 1e-5
    rows["u9"] = {"wav": str(tmp_path)}
    with pytest.raises(ValueError, match="2 of 150 utterances of test1 could not be read"):
        predict_set(model, "test1", rows, batch_size=50)


class Corpus:
    """Stand-in for a summary, with the attributes that notes use."""

    def __init__(self, corpus, data_root):
        self.corpus, self.data_root = corpus, data_root


def about(**facts):
    return ModelInfo("m", Scale(1, 7), facts=facts)


def test_note_on_training_data_of_the_model(tmp_path):
    podcast = Corpus("MSP-Podcast", tmp_path)
    protocol = {"corpus": "MSP-Podcast", "release": "1.11"}
    mine = about(protocol=protocol)
    assert training_note(mine, Corpus("IEMOCAP", tmp_path), ["all"]) == ""
    note = training_note(mine, podcast, ["test1"])
    assert note.startswith("The model was trained on MSP-Podcast 1.11. Test sets of another")
    assert "Results on train, all do not show" in training_note(mine, podcast, ["train", "all"])
    note = training_note(about(protocol=protocol, published_as="a/b"), podcast, ["test1"])
    assert note.startswith(
        "The model has the architecture of a/b, which was trained on MSP-Podcast"
    )
    assert training_note(about(), podcast, ["test1"]).startswith("The training corpus of the model")
    (tmp_path / "demo.json").write_text("{}")  # marks synthetic speech in the layout of the corpus
    assert training_note(mine, podcast, ["test1"]) == ""


def test_help_does_not_import_torch():
    script = (
        "import sys; import emosphere_sb.commands.evaluate as c\n"
        "try: c.run(['--help'])\n"
        "except SystemExit as e: assert e.code == 0\n"
        "assert not {'torch', 'pandas', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage: emosphere evaluate" in done.stdout

"""Files of a run: demo corpus, reader options, waveform statistics and run folder."""

import json
import os
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

import data_prep.synthetic.write
from data_prep.manifest import MANIFEST_COLUMNS, Summary
from emosphere_sb.fileio.yaml_tree import read_tree, scalars
from emosphere_sb.recipe import corpora, workspace
from emosphere_sb.recipe.arguments import HPARAMS, Arguments
from emosphere_sb.recipe.hparams import SAVED, merge
from emosphere_sb.recipe.workspace import (
    default_run_folder,
    find_corpus,
    initialise_run_folder,
    matches_data,
    prepare_corpus,
    run_lock,
    training_statistics,
)


@pytest.fixture
def summary(tmp_path):
    """Corpus with two sets of two short files each."""
    chance = np.random.default_rng(0)
    for name in ("train", "valid"):
        lines = [",".join(MANIFEST_COLUMNS)]
        for number in range(2):
            signal = chance.normal(0.1, 0.2, 1000 * (number + 1)).clip(-1, 1)
            soundfile.write(tmp_path / f"{name}{number}.wav", signal, 16000, subtype="FLOAT")
            row = [f"{name}{number}", repr(len(signal) / 16000), f"$data_root/{name}{number}.wav"]
            lines.append(",".join(row + [""] * (len(MANIFEST_COLUMNS) - 3)))
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return summary_in(tmp_path)


def summary_in(folder, *, audio="a", release=None, protocol=()):
    sets = {name: {"file": f"{name}.csv"} for name in ("train", "valid")}
    facts = {"corpus": "C", "release": release, "data_root": str(folder), "sets": sets}
    facts |= {"fingerprint": {"audio": audio}, "protocol": dict(protocol)}
    return Summary(folder, facts)


def tree_of(folder, **overrides):
    texts = {"results_folder": str(folder), **{k: str(v) for k, v in overrides.items()}}
    return merge(Arguments(HPARAMS / "emosphere.yaml", ["smoke"], texts))


def claim(folder, summary, **overrides):
    tree = tree_of(folder, **overrides)
    return initialise_run_folder(tree, scalars(tree), summary)


# --- corpus ----------------------------------------------------------------------------------


@pytest.fixture
def written(monkeypatch):
    """Arguments of the calls that would generate synthetic speech."""
    prepare_calls = []
    monkeypatch.setattr(
        data_prep.synthetic.write, "write", lambda *a, **k: prepare_calls.append((a, k))
    )
    return prepare_calls


def test_demo_corpus_is_generated_without_data_folder(tmp_path, written):
    settings = {"data_folder": None, "synthetic_corpus": "smoke", "results_folder": tmp_path}
    folder = find_corpus(settings, "MSP-Podcast")
    assert folder == tmp_path / "demo_corpus" / "MSP-Podcast" / "smoke"
    assert written == [(("MSP-Podcast", folder), {"size": "smoke"})]


def test_data_folder_takes_precedence_over_the_demo(written):
    settings = {"data_folder": "/da ta:ü", "synthetic_corpus": "smoke", "results_folder": "r"}
    assert find_corpus(settings, "MSP-Podcast") == Path("/da ta:ü")
    assert written == []


def test_missing_data_folder_suggests_the_demo(written):
    settings = {"data_folder": None, "synthetic_corpus": None, "results_folder": "r"}
    with pytest.raises(
        ValueError, match=r"--data_folder is required, e\.g\. .*MSP-Podcast\. .*--preset=demo"
    ):
        find_corpus(settings, "MSP-Podcast")
    assert written == []


def test_missing_data_folder_of_a_corpus_without_demo(written):
    settings = {"data_folder": None, "synthetic_corpus": "smoke", "results_folder": "r"}
    with pytest.raises(
        ValueError, match=r"--data_folder is required, e\.g\. --data_folder=/path/to/C\.$"
    ):
        find_corpus(settings, "C")
    assert written == []


@pytest.fixture
def prepare_calls(monkeypatch):
    """Calls of ``prepare`` for a reader with three options."""
    module = ModuleType("reader")
    module.read = lambda data_folder, *, release="own", drop_train=(), label_low=None: None
    calls = []
    monkeypatch.setattr(workspace, "corpus_module", lambda corpus: module)
    monkeypatch.setattr(corpora, "corpus_module", lambda corpus: module)
    monkeypatch.setattr(workspace, "prepare_manifests", lambda *a, **k: calls.append((a, k)))
    return calls


def prepare_with(tmp_path, **changes):
    settings = {
        "data_folder": "/data", "results_folder": tmp_path, "synthetic_corpus": None,
        "reuse_manifests": True,
        "min_duration": 0.025, "max_duration": 60.0, "out_of_range_labels": "reject",
        "channel": "mix", "release": None,
        "drop_train": [], "label_low": None, "batch_size": 8,
    }  # fmt: skip
    prepare_corpus(settings | changes, "C")


def test_null_options_are_not_passed_to_the_reader(prepare_calls, tmp_path):
    prepare_with(tmp_path, drop_train=["other"], label_low=0)
    (_, folder, output), options = prepare_calls[0]
    assert folder == Path("/data")
    assert output.parent == tmp_path / "C" / "manifests"
    assert options == {
        "drop_train": ["other"], "label_low": 0, "reuse": True, "min_duration": 0.025,
        "max_duration": 60.0, "out_of_range_labels": "reject", "channel": "mix",
        "required_sets": ("train", "valid"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True), ({"batch_size": 9}, True), ({"reuse_manifests": False}, True),
        ({"release": "2"}, False), ({"drop_train": ["x"]}, False), ({"data_folder": "/b"}, False),
        ({"min_duration": 0.5}, False), ({"max_duration": 5.0}, False),
    ],
)  # fmt: skip
def test_each_combination_of_settings_has_its_own_folder(prepare_calls, tmp_path, change, same):
    prepare_with(tmp_path)
    prepare_with(tmp_path, **change)
    assert (prepare_calls[0][0][2] == prepare_calls[1][0][2]) is same


# --- statistics ------------------------------------------------------------------------------


def test_statistics_are_those_of_all_training_samples(summary):
    parts = [soundfile.read(summary.folder / f"train{n}.wav")[0] for n in (0, 1)]
    samples = np.concatenate(parts)
    mean, deviation = training_statistics(summary)
    assert mean == pytest.approx(samples.mean(), abs=1e-9)
    assert deviation == pytest.approx(samples.std(), abs=1e-9)


@pytest.fixture
def counted(monkeypatch):
    calls = []
    whole = workspace.corpus_statistics

    def count(*args, **kwargs):
        calls.append(args)
        return whole(*args, **kwargs)

    monkeypatch.setattr(workspace, "corpus_statistics", count)
    return calls


def test_statistics_are_cached(summary, counted):
    assert training_statistics(summary) == training_statistics(summary)
    assert len(counted) == 1


def test_statistics_are_recomputed_when_the_manifest_changes(summary, counted):
    first = training_statistics(summary)
    text = summary.sets["train"].read_text()
    summary.sets["train"].write_text(text[: text.index("train1")])
    assert training_statistics(summary) != first
    assert len(counted) == 2


def test_statistics_are_recomputed_when_the_audio_changes(summary, counted):
    """Processing that preserves the length of files does not change the manifest."""
    first = training_statistics(summary)
    path = summary.folder / "train0.wav"
    soundfile.write(path, 0.5 * soundfile.read(path)[0], 16000, subtype="FLOAT")
    assert training_statistics(summary_in(summary.folder, audio="b")) != first
    assert len(counted) == 2


# --- output folder ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "protocol", "expected"),
    [
        (None, {}, "C/smoke/given/7"),
        ("1.10", {"partition": "official"}, "C-1.10/smoke/official/7"),
    ],
)
def test_default_folder(tmp_path, release, protocol, expected):
    settings = {"results_folder": "results", "preset": "smoke", "seed": 7}
    summary = summary_in(tmp_path, release=release, protocol=protocol)
    assert default_run_folder(settings, summary) == Path("results") / expected


def test_run_folder_contains_the_merged_hyperparameters(summary, tmp_path):
    folder = claim(tmp_path / "r", summary, lr=0.5)
    assert folder == tmp_path / "r" / "C" / "smoke" / "given" / "7"
    saved = read_tree(folder / "hyperparams.yaml")
    assert (saved["lr"], saved["preset"], saved["batch_size"]) == (0.5, "smoke", 16)


def test_result_neutral_settings_may_change_on_resume(summary, tmp_path):
    first = claim(tmp_path / "r", summary)
    assert claim(tmp_path / "r", summary, num_workers=1, data_folder="/moved") == first


def trained(folder):
    """Create a run folder with a checkpoint."""
    (folder / "save" / "CKPT+1").mkdir(parents=True)
    return folder


def test_different_settings_are_rejected_and_named(summary, tmp_path):
    folder = trained(claim(tmp_path / "r", summary))
    with pytest.raises(ValueError, match=r"values of lr, batch_size|batch_size, lr") as error:
        claim(tmp_path / "r", summary, lr=0.5, batch_size=3, eval_batch=2)
    assert str(folder) in str(error.value)
    assert "--output_folder" in str(error.value)
    assert "eval_batch" not in str(error.value)
    assert read_tree(folder / "hyperparams.yaml")["batch_size"] == 16


def test_different_data_are_rejected(summary, tmp_path):
    """Two folders of own data differ only in ``data_folder``, which may change."""
    trained(claim(tmp_path / "r", summary))
    text = summary.sets["train"].read_text()
    summary.sets["train"].write_text(text.replace("train1,", "train9,"))
    with pytest.raises(
        ValueError, match=r"contains a run on other data.*train and valid.*--output_folder"
    ):
        claim(tmp_path / "r", summary)


def test_folder_without_checkpoint_can_be_reused(summary, tmp_path):
    folder = claim(tmp_path / "r", summary)
    assert claim(tmp_path / "r", summary, batch_size=3) == folder
    assert read_tree(folder / "hyperparams.yaml")["batch_size"] == 3


def test_only_the_number_of_epochs_may_change_in_a_given_folder(summary, tmp_path):
    """Otherwise, results would be reported with settings that were not used in training."""
    given = trained(claim(tmp_path, summary, output_folder=tmp_path / "mine"))
    assert claim(tmp_path, summary, output_folder=given, number_of_epochs=9) == given
    with pytest.raises(ValueError, match="different values of batch_size"):
        claim(tmp_path, summary, output_folder=given, number_of_epochs=9, batch_size=3)


def test_no_partial_files_remain(summary, tmp_path):
    folder = claim(tmp_path / "r", summary)
    assert sorted(path.name for path in folder.iterdir()) == ["data.json", "hyperparams.yaml"]
    digests = json.loads((folder / "data.json").read_text())
    assert set(digests) == {"train", "valid", "audio"}
    assert set(digests["audio"]) == {"train", "valid"}


def test_fault_folder_locked_by_another_process_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "LOCK_TIMEOUT", 0.05)
    folder = tmp_path / "run"
    refused = pytest.raises(ValueError, match=r"is locked by another run.*--output_folder")
    with run_lock(folder), refused, run_lock(folder):
        pass
    with run_lock(folder):  # given back
        pass


def test_timeout_of_a_run_is_not_reported_as_a_lock(tmp_path):
    with pytest.raises(TimeoutError, match="a disk"), run_lock(tmp_path):
        raise TimeoutError("a disk")


def test_run_of_version_0_1_names_the_last_version_that_can_resume_it(summary, tmp_path):
    folder = trained(claim(tmp_path / "r", summary))
    saved = folder / "hyperparams.yaml"
    saved.write_text(saved.read_text().replace("preset: smoke", "row: smoke"))
    with pytest.raises(ValueError, match=r"run created by version 0\.1\.0; later versions cannot"):
        claim(tmp_path / "r", summary)
    assert "row: smoke" in saved.read_text()


# --- damaged, modified and replaced files -------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not a valid JSON file"), ("[1]", "must contain a mapping; found list"),
        ('{"mean": 0.0}', "is damaged: it has no key manifest, dev"),
        ('{"a": 1', "is not a valid JSON file"), ("\udcff", "is not a valid JSON file"),
    ],
)  # fmt: skip
def test_damaged_statistics_are_named_with_the_remedy(summary, content, message):
    path = summary.folder / "statistics.json"
    training_statistics(summary)
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=rf"statistics\.json {message}.*Delete statistics\.json"):
        training_statistics(summary)
    path.unlink()
    training_statistics(summary)


def test_edited_statistics_are_rejected(summary):
    first = training_statistics(summary)
    path = summary.folder / "statistics.json"
    cached = json.loads(path.read_text())
    path.write_text(json.dumps(cached | {"mean": 0.5}))
    with pytest.raises(ValueError, match=r"statistics\.json was modified: .*checksum.*Delete"):
        training_statistics(summary)
    del cached["sha256"]  # an earlier version, whose values cannot be checked
    path.write_text(json.dumps(cached | {"mean": 0.5}))
    assert training_statistics(summary) == first


@pytest.mark.parametrize("content", ["", "[]", '{"train": "x"}', "{"])
def test_damaged_digests_of_the_data_are_named_with_the_remedy(summary, tmp_path, content):
    folder = trained(claim(tmp_path / "r", summary))
    (folder / "data.json").write_text(content)
    with pytest.raises(ValueError, match=r"data\.json .*Restore it, or delete it and re-run"):
        claim(tmp_path / "r", summary)
    (folder / "data.json").unlink()
    assert claim(tmp_path / "r", summary) == folder


@pytest.mark.parametrize("name", ["save", "predictions"])
def test_file_in_place_of_a_folder_of_the_run_is_named(summary, tmp_path, name):
    folder = claim(tmp_path / "r", summary)
    (folder / name).write_text("")
    with pytest.raises(
        ValueError, match=rf"{name} must be a folder; found a file\. Move or delete"
    ):
        claim(tmp_path / "r", summary)


def test_file_in_place_of_the_run_folder_is_named(tmp_path):
    (tmp_path / "results").write_text("")
    with (
        pytest.raises(ValueError, match=r"results must be a folder; found a file"),
        run_lock(tmp_path / "results" / "run"),
    ):
        pass


def test_number_of_epochs_can_only_grow(summary, tmp_path):
    given = trained(claim(tmp_path, summary, output_folder=tmp_path / "mine", number_of_epochs=5))
    with pytest.raises(
        ValueError, match=r"number_of_epochs .*can only grow; it is 5, found 1\. .*=5 or more"
    ):
        claim(tmp_path, summary, output_folder=given, number_of_epochs=1)
    assert read_tree(given / "hyperparams.yaml")["number_of_epochs"] == 5
    claim(tmp_path, summary, output_folder=given, number_of_epochs=5)
    claim(tmp_path, summary, output_folder=given, number_of_epochs=6)
    assert read_tree(given / "hyperparams.yaml")["number_of_epochs"] == 6


def replace_audio(path):
    """Overwrite an audio file with as many other samples, and keep its time of modification."""
    status = path.stat()
    samples = soundfile.read(path)[0]
    soundfile.write(path, samples[::-1].copy(), 16000, subtype="FLOAT")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size


@pytest.mark.parametrize("name", ["train", "valid"])
def test_replaced_audio_of_equal_length_is_rejected(summary, tmp_path, name):
    folder = trained(claim(tmp_path / "r", summary))
    before = (folder / "data.json").read_text()
    content = (tmp_path / f"{name}1.wav").read_bytes()  # its header contains the time
    replace_audio(tmp_path / f"{name}1.wav")
    with pytest.raises(ValueError, match=f"other data: audio files of {name} were replaced"):
        claim(tmp_path / "r", summary_in(tmp_path))
    assert (folder / "data.json").read_text() == before
    assert not matches_data(folder, summary_in(tmp_path))
    (tmp_path / f"{name}1.wav").write_bytes(content)
    assert claim(tmp_path / "r", summary_in(tmp_path)) == folder
    assert matches_data(folder, summary_in(tmp_path))


def test_rewritten_or_moved_audio_with_the_same_content_is_accepted(summary, tmp_path):
    folder = trained(claim(tmp_path / "r", summary))
    for path in tmp_path.glob("*.wav"):
        path.write_bytes(path.read_bytes())
        os.utime(path, (1, 1))
    assert claim(tmp_path / "r", summary_in(tmp_path)) == folder
    (tmp_path / "audio.index").write_text("damaged")
    assert claim(tmp_path / "r", summary_in(tmp_path)) == folder


@pytest.mark.parametrize("name", ["metrics.json", SAVED, "data.json"])
def test_folder_in_place_of_a_file_of_the_run_is_named(summary, tmp_path, name):
    folder = claim(tmp_path / "r", summary)
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()
    with pytest.raises(ValueError, match=f"{name} must be a file; found a folder. Move or delete"):
        claim(tmp_path / "r", summary)


def test_run_without_recorded_audio_is_resumed(summary, tmp_path):
    """An earlier version recorded only the digests of the manifests."""
    folder = trained(claim(tmp_path / "r", summary))
    digests = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps({k: digests[k] for k in ("train", "valid")}))
    assert claim(tmp_path / "r", summary_in(tmp_path)) == folder
    assert json.loads((folder / "data.json").read_text()) == digests


@pytest.mark.parametrize("key", ["release", "partition"])
def test_name_from_a_corpus_cannot_lead_out_of_the_results_folder(tmp_path, key):
    settings = {"results_folder": "results", "preset": "smoke", "seed": 7}
    named = {"release": "../../x"} if key == "release" else {"protocol": {"partition": "../x"}}
    with pytest.raises(ValueError, match=f"{key} must be a name without"):
        default_run_folder(settings, summary_in(tmp_path, **named))

"""The training files of a run are found by the digest of their manifest."""

import hashlib
import json

import pytest

from data_prep.schema import MANIFEST_COLUMNS
from emosphere_sb.recipe.training_files import find_training_files


@pytest.fixture
def run(tmp_path):
    """Two folders of manifests, and a run that was trained on the second one."""
    for name in ("aaa", "bbb"):
        folder = tmp_path / "results" / "OwnData" / "manifests" / name
        folder.mkdir(parents=True)
        row = dict.fromkeys(MANIFEST_COLUMNS, "") | {
            "ID": f"{name}1", "duration": "1.5", "wav": f"$data_root/{name}.wav",
        }  # fmt: skip
        lines = [",".join(row), ",".join(row.values())]
        (folder / "train.csv").write_text("\n".join(lines), encoding="utf-8")
        facts = {"data_root": str(tmp_path / "corpus"), "sets": {"train": {"file": "train.csv"}}}
        (folder / "summary.json").write_text(json.dumps(facts))
    (tmp_path / "corpus").mkdir()
    run = tmp_path / "results" / "OwnData" / "frozen" / "split" / "7"
    run.mkdir(parents=True)
    digest = hashlib.sha256((folder / "train.csv").read_bytes()).hexdigest()
    (run / "data.json").write_text(json.dumps({"train": digest}))
    (run / "hyperparams.yaml").write_text("results_folder: elsewhere\nchannel: left\n")
    return run


def test_manifest_is_found_from_the_path_of_the_run(run, tmp_path):
    found = find_training_files(run)
    assert found.paths == [str(tmp_path / "corpus" / "bbb.wav")]
    assert (found.durations, found.channel) == ([1.5], "left")


def test_manifest_is_found_in_the_results_folder(run, tmp_path):
    moved = tmp_path / "moved"
    run.rename(moved)
    text = f"results_folder: {tmp_path / 'results'}\n"
    (moved / "hyperparams.yaml").write_text(text)
    found = find_training_files(moved)
    assert found.paths == [str(tmp_path / "corpus" / "bbb.wav")] and found.channel == "mix"


def remove_manifest(run):
    (run.parents[2] / "manifests" / "bbb" / "train.csv").write_text("changed")


def remove_corpus(run):
    (run.parents[4] / "corpus").rmdir()


def remove_digests(run):
    (run / "data.json").unlink()


@pytest.mark.parametrize(
    ("remove", "message"),
    [
        (remove_manifest, "manifest of the training set was not found in elsewhere"),
        (remove_corpus, "folder of the corpus does not exist"),
        (remove_digests, r"data\.json does not give the digest of the training set"),
    ],
)
def test_missing_data_are_named(run, remove, message):
    remove(run)
    with pytest.raises(FileNotFoundError, match=message):
        find_training_files(run)

"""The summary of data preparation, and reuse of existing manifests."""

import json
import os

import numpy as np
import pytest
import soundfile

from data_prep.manifest import (
    load_summary,
    preparation_summary_lines,
    prepare_manifests,
    read_manifest,
)
from emosphere_sb.scale import Scale


def test_summary_of_counts(data, tmp_path, reader, sets_of, utterance):
    sets = sets_of()
    sets["train"][0] = utterance("a", emotion="happy", gender="Female", speaker="b")
    sets["train"][2] = utterance("c", speaker="Unknown")
    summary = prepare_manifests(reader(sets, release="3"), data, tmp_path / "out")
    assert summary.facts == load_summary(tmp_path / "out")
    facts = summary.facts["sets"]["train"]
    assert (facts["utterances"], facts["speakers"]) == (6, 4)
    assert facts["hours"] == pytest.approx(6 * 0.5 / 3600, abs=1e-12)
    assert facts["emotions"] == {"": 5, "happy": 1}
    assert facts["genders"] == {"": 5, "Female": 1}
    assert (summary.release, summary.scale) == ("3", Scale(1, 7))


def test_preparation_summary_lines(data, tmp_path, reader, sets_of):
    (data / "a.wav").unlink()
    corpus = reader(
        sets_of(),
        release="3",
        warnings=["Take care."],
        protocol={"dropped": {"train": {"other": 4}}},
    )
    lines = preparation_summary_lines(prepare_manifests(corpus, data, tmp_path / "out"))
    assert lines == [
        f"Tiny 3 prepared: manifests in {tmp_path / 'out'}",
        "  train: 5 utterances, 0.00 h, 5 known speakers",
        "  valid: 2 utterances, 0.00 h, 2 known speakers",
        "  test: 2 utterances, 0.00 h, 2 known speakers",
        "  rejected: 1 (listed in rejected.csv)",
        "    1 missing audio file",
        "  excluded from train by the protocol: 4 other",
        "  warning: Take care.",
    ]


def test_second_preparation_does_nothing(data, tmp_path, reader, sets_of):
    corpus = reader(sets_of())
    first = prepare_manifests(corpus, data, tmp_path / "out", fold=1)
    second = prepare_manifests(corpus, str(data) + "/", tmp_path / "out", fold=1)
    assert (corpus.calls, first.skipped, second.skipped) == (1, False, True)
    assert second.facts == first.facts


def change_label_file(data, out):
    (data / "labels.csv").write_text("labelz")


def change_label_file_keeping_its_time(data, out):
    status = (data / "labels.csv").stat()
    (data / "labels.csv").write_text("labelz")
    os.utime(data / "labels.csv", ns=(status.st_atime_ns, status.st_mtime_ns))


def change_audio(data, out):
    soundfile.write(data / "a.wav", np.zeros(9000), 16000)


def add_audio(data, out):
    soundfile.write(data / "z.wav", np.zeros(9000), 16000)


def remove_audio(data, out):
    (data / "a.wav").unlink()


def remove_manifest(data, out):
    (out / "valid.csv").unlink()


def edit_manifest(data, out):
    text = (out / "valid.csv").read_text()
    (out / "valid.csv").write_text(text.replace("4.0", "5.0"))


def damage_summary(data, out):
    (out / "summary.json").write_text('{"sets": ')


def empty_summary(data, out):
    (out / "summary.json").write_text("{}")


CHANGES = [
    change_label_file,
    change_label_file_keeping_its_time,
    change_audio,
    add_audio,
    remove_audio,
    remove_manifest,
    edit_manifest,
    damage_summary,
    empty_summary,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_every_change_triggers_a_new_preparation(data, tmp_path, change, reader, sets_of):
    corpus = reader(sets_of())
    prepare_manifests(corpus, data, tmp_path / "out")
    change(data, tmp_path / "out")
    again = prepare_manifests(corpus, data, tmp_path / "out")
    assert (corpus.calls, again.skipped) == (2, False)
    assert set(read_manifest(again.sets["valid"]).valence) == {4.0}
    assert prepare_manifests(corpus, data, tmp_path / "out").skipped


@pytest.mark.parametrize("options", [{"fold": 2}, {"min_duration": 0.1}, {"skip": False}])
def test_changed_options_trigger_a_new_preparation(data, tmp_path, options, reader, sets_of):
    corpus = reader(sets_of())
    prepare_manifests(corpus, data, tmp_path / "out", fold=1)
    assert not prepare_manifests(corpus, data, tmp_path / "out", **{"fold": 1, **options}).skipped


def test_added_input_triggers_a_new_preparation(data, tmp_path, reader, sets_of):
    corpus = reader(sets_of(), inputs=[data / "Partitions.txt"])
    prepare_manifests(corpus, data, tmp_path / "out")
    (data / "Partitions.txt").write_text("Test3; x.wav")
    assert not prepare_manifests(corpus, data, tmp_path / "out").skipped


def test_manifest_of_a_removed_set_is_deleted(data, tmp_path, reader, sets_of):
    prepare_manifests(reader(sets_of()), data, tmp_path / "out")
    sets = sets_of(train="abcdefij")
    del sets["test"]
    prepare_manifests(reader(sets), data, tmp_path / "out", fold=1)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "rejected.csv",
        "summary.json",
        "train.csv",
        "valid.csv",
    ]


def test_interrupted_preparation_is_not_reused(data, tmp_path, monkeypatch, reader, sets_of):
    corpus = reader(sets_of())
    prepare_manifests(corpus, data, tmp_path / "out")
    monkeypatch.setattr("data_prep.manifest.file_digest", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        prepare_manifests(reader(sets_of(), inputs=[]), data, tmp_path / "out", fold=1)
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError, match="--reuse_manifests=False"):
        load_summary(tmp_path / "out")


@pytest.mark.parametrize("content", ["no json", "[1]", "{}"])
def test_damaged_summary_raises(tmp_path, content):
    (tmp_path / "summary.json").write_text(content)
    with pytest.raises(ValueError, match="Delete it and re-run data preparation"):
        load_summary(tmp_path)


def test_summary_is_plain_json(data, tmp_path, reader, sets_of):
    prepare_manifests(reader(sets_of()), data, tmp_path / "out", drop={"x"}, folder=data)
    text = (tmp_path / "out" / "summary.json").read_text(encoding="ascii")
    assert json.loads(text)["fingerprint"]["request"]["options"]["drop"] == ["x"]

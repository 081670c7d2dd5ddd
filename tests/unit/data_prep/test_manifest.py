"""The complete preparation: accepted and rejected utterances, and errors."""

import numpy as np
import pytest
import soundfile

from data_prep.corpus import ExcludedRow, Rejection, Utterance
from data_prep.manifest import preparation_summary_lines, prepare_manifests, read_manifest


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"valence": 7.01}, "label outside the scale: valence is 7.01; must be from 1 to 7"),
        ({"arousal": 0.99}, "label outside the scale: arousal is 0.99; must be from 1 to 7"),
        ({"dominance": float("nan")}, "label not finite: dominance is nan"),
        ({"dominance": float("inf")}, "label not finite: dominance is inf"),
        (
            {"valence": None, "arousal": None, "dominance": None},
            "no label: valence, arousal and dominance are empty",
        ),
        (
            {"transcript": "costs $data_root"},
            "reserved word: a path or text contains '$data_root', which manifests replace",
        ),
        ({"transcript": "a\0b"}, "not text: a path or text contains a null byte"),
        ({"speaker": "\udce4"}, "not text: a path or text is not valid Unicode"),
    ],
)
def test_invalid_labels_and_texts_are_rejected(
    data, tmp_path, fields, reason, reader, sets_of, utterance, rejected_rows
):
    sets = sets_of()
    sets["train"][0] = utterance("a", **fields)
    summary = prepare_manifests(reader(sets), data, tmp_path / "out")
    assert rejected_rows(tmp_path / "out") == [["a.wav", "train", reason]]
    assert summary.counts == {"train": 5, "valid": 2, "test": 2}
    assert summary.rejected == {reason.partition(": ")[0]: 1}


def test_ends_of_the_scale_and_missing_values_are_accepted(
    data, tmp_path, reader, sets_of, utterance
):
    sets = sets_of()
    sets["train"][0] = utterance("a", valence=1.0, arousal=7.0, dominance=None)
    summary = prepare_manifests(reader(sets), data, tmp_path / "out")
    row = read_manifest(summary.sets["train"]).iloc[0]
    assert (row.valence, row.arousal) == (1.0, 7.0) and np.isnan(row.dominance)
    assert summary.facts["sets"]["train"]["missing"] == {"valence": 0, "arousal": 0, "dominance": 1}


def damage(path, kind):
    """Damage an audio file."""
    if kind == "missing":
        path.unlink()
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not audio at all, " * 10)
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        soundfile.write(path, np.zeros(int(kind)), 16000)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "missing audio file"),
        ("empty", "empty audio file"),
        ("text", "not a recognised audio file: "),
        (
            "truncated",
            "truncated audio: the header declares 16000 bytes; found 15900 (0.00 s of 0.50 s lost)",
        ),
        ("399", "shorter than 0.025 s: 0.0249375 s"),
        ("960001", "longer than 60 s: 60.0001 s"),
    ],
)
def test_unusable_audio_is_rejected(data, tmp_path, kind, reason, reader, sets_of, rejected_rows):
    damage(data / "b.wav", kind)
    summary = prepare_manifests(reader(sets_of()), data, tmp_path / "out")
    ((path, name, found),) = rejected_rows(tmp_path / "out")
    assert (path, name) == ("b.wav", "train")
    # The libsndfile message for other files depends on its version.
    assert found.startswith(reason) if kind == "text" else found == reason
    assert list(read_manifest(summary.sets["train"]).ID) == list("acdef")


@pytest.mark.parametrize("frames", [400, 960000])
def test_shortest_and_longest_allowed_audio(data, tmp_path, frames, reader, sets_of):
    damage(data / "b.wav", frames)
    summary = prepare_manifests(reader(sets_of()), data, tmp_path / "out")
    assert summary.rejected == {}


def test_stereo_and_other_rates_are_accepted_and_counted(data, tmp_path, wav, reader, sets_of):
    wav(data / "a.wav", rate=44100, channels=2)
    summary = prepare_manifests(reader(sets_of()), data, tmp_path / "out")
    facts = summary.facts["sets"]["train"]
    assert facts["sample_rates"] == {"16000": 5, "44100": 1}
    assert facts["channels"] == {"1": 5, "2": 1}
    assert "1 not mono, 5 at 16000 Hz and 1 at 44100 Hz" in "\n".join(
        preparation_summary_lines(summary)
    )


def test_audio_without_a_label_is_listed(
    data, tmp_path, wav, reader, sets_of, utterance, rejected_rows
):
    wav(data / "sub" / "extra.wav")
    wav(data / "dropped.wav")
    excluded = [ExcludedRow("train", utterance("dropped"), "--drop_train")]
    summary = prepare_manifests(reader(sets_of(), excluded=excluded), data, tmp_path / "out")
    assert rejected_rows(tmp_path / "out") == [["sub/extra.wav", "", "audio without a label"]]
    assert summary.rejected == {"audio without a label": 1}


def test_rejections_of_the_reader_come_first(data, tmp_path, reader, sets_of, rejected_rows):
    damage(data / "a.wav", "missing")
    rejection = Rejection("z.wav", "malformed row: line 7", "train")
    prepare_manifests(reader(sets_of(), rejected=[rejection]), data, tmp_path / "out")
    assert rejected_rows(tmp_path / "out") == [
        ["z.wav", "train", "malformed row: line 7"],
        ["a.wav", "train", "missing audio file"],
    ]


def test_first_of_identical_rows_is_used(data, tmp_path, reader, sets_of, rejected_rows):
    summary = prepare_manifests(reader(sets_of(train="abcdefa")), data, tmp_path / "out")
    assert list(read_manifest(summary.sets["train"]).ID) == list("abcdef")
    assert rejected_rows(tmp_path / "out") == [
        ["a.wav", "train", "duplicate id: 'a' occurs in an earlier identical row"]
    ]


def test_different_rows_with_one_id_are_all_rejected(
    data, tmp_path, reader, sets_of, utterance, rejected_rows
):
    sets = sets_of()
    sets["train"].append(utterance("a", valence=1.0))
    summary = prepare_manifests(reader(sets), data, tmp_path / "out")
    assert list(read_manifest(summary.sets["train"]).ID) == list("bcdef")
    reason = "duplicate id: 'a' occurs in 2 different rows"
    assert rejected_rows(tmp_path / "out") == [["a.wav", "train", reason]] * 2


def test_id_in_two_sets_is_rejected_in_both(data, tmp_path, reader, sets_of):
    summary = prepare_manifests(reader(sets_of(test="ija")), data, tmp_path / "out")
    assert summary.counts == {"train": 5, "valid": 2, "test": 2}
    assert summary.rejected == {"duplicate id": 2}


def test_file_with_two_ids_is_rejected_for_both(data, tmp_path, reader, sets_of):
    sets = sets_of()
    sets["test"].append(Utterance("other", "a.wav", 1.0, 1.0, 1.0))
    summary = prepare_manifests(reader(sets), data, tmp_path / "out")
    assert summary.counts == {"train": 5, "valid": 2, "test": 2}
    assert summary.rejected == {"duplicate file": 2}


@pytest.mark.parametrize("name", ["train", "valid"])
def test_empty_set_raises_with_the_reason(data, tmp_path, name, reader, sets_of):
    for letter in {"train": "abcdef", "valid": "gh"}[name]:
        (data / f"{letter}.wav").unlink()
    with pytest.raises(
        ValueError, match=f"'{name}' set of Tiny must contain .* x missing audio file"
    ) as e:
        prepare_manifests(reader(sets_of()), data, tmp_path / "out")
    assert "first: " in str(e.value)


def test_corpus_without_a_validation_set(data, tmp_path, reader, sets_of):
    sets = sets_of()
    del sets["valid"]
    with pytest.raises(
        ValueError, match=r"'valid' set of Tiny must contain.*found 0 rows for this set"
    ):
        prepare_manifests(reader(sets), data, tmp_path / "out")


def test_empty_test_set_is_skipped_with_a_warning(data, tmp_path, reader, sets_of):
    (data / "i.wav").unlink()
    (data / "j.wav").unlink()
    summary = prepare_manifests(reader(sets_of()), data, tmp_path / "out")
    assert list(summary.sets) == ["train", "valid"]
    assert "'test' set is empty and was skipped" in summary.warnings[0]


def test_shared_speakers_raise(data, tmp_path, reader, sets_of, utterance):
    sets = sets_of()
    sets["valid"][0] = utterance("g", speaker="a")
    with pytest.raises(ValueError, match=r"train and valid share 1 speaker \(a\)"):
        prepare_manifests(reader(sets), data, tmp_path / "out")
    assert not (tmp_path / "out" / "summary.json").exists()


def test_shared_speakers_of_an_official_split_give_a_warning(
    data, tmp_path, reader, sets_of, utterance
):
    sets = sets_of()
    sets["valid"][0] = utterance("g", speaker="a")
    summary = prepare_manifests(reader(sets, official_split=True), data, tmp_path / "out")
    assert summary.warnings == [
        "The official sets of this corpus share speakers: train and valid share 1 speaker (a)."
    ]


@pytest.mark.parametrize("speaker", ["Unknown", "unknown", ""])
def test_unknown_speakers_are_not_shared(data, tmp_path, speaker, reader, sets_of, utterance):
    sets = sets_of()
    sets["train"][0] = utterance("a", speaker=speaker)
    sets["valid"][0] = utterance("g", speaker=speaker)
    summary = prepare_manifests(reader(sets), data, tmp_path / "out")
    assert summary.warnings == []
    assert read_manifest(summary.sets["valid"]).speaker[0] == speaker


def test_predict_only_sets_need_no_labels(data, tmp_path, reader, sets_of):
    sets = {**sets_of(test=""), "test3": [Utterance("i", "i.wav"), Utterance("j", "j.wav")]}
    del sets["test"]
    summary = prepare_manifests(reader(sets, predict_only=("test3",)), data, tmp_path / "out")
    assert summary.labelled == ("train", "valid")
    assert summary.counts["test3"] == 2


@pytest.mark.parametrize("limits", [(-1, 60), (2, 1), (1, 1), (float("nan"), 60)])
def test_invalid_duration_limits_raise(data, tmp_path, limits, reader, sets_of):
    low, high = limits
    with pytest.raises(
        ValueError, match="min_duration must be at least 0 and less than max_duration"
    ):
        prepare_manifests(reader(sets_of()), data, tmp_path, min_duration=low, max_duration=high)


def test_data_folder_that_is_a_file_raises(data, tmp_path, reader, sets_of):
    with pytest.raises(FileNotFoundError, match=r"must be a folder; .*labels.csv is a file"):
        prepare_manifests(reader(sets_of()), data / "labels.csv", tmp_path)

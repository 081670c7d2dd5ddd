"""Speaker names: known and unknown speakers, and different spellings of a name."""

import pytest

from data_prep.corpus import is_known_speaker, speaker_key
from data_prep.manifest import prepare_manifests, read_manifest
from data_prep.own_data import reader as own_data

SCALE = {"label_low": 1, "label_high": 5}
HEADER = "file,valence,arousal,dominance,speaker"
UNKNOWN_NAMES = ["", "Unknown", "NA", "n/a", "N/A", "NaN", "nan", "None", "NULL", "-", "?", " na "]


@pytest.mark.parametrize("name", UNKNOWN_NAMES)
def test_unknown_speaker_names_are_not_shared(data, tmp_path, name, reader, sets_of, utterance):
    assert not is_known_speaker(name)
    sets = sets_of()
    sets["train"][0] = utterance("a", speaker=name)
    sets["valid"][0] = utterance("g", speaker=name)
    summary = prepare_manifests(reader(sets), data, tmp_path / "out")
    assert summary.warnings == []
    assert summary.facts["sets"]["train"]["speakers"] == 5
    assert read_manifest(summary.sets["valid"]).speaker[0] == name  # as in the labels


@pytest.mark.parametrize("name", ["0", "30", "Nan Li", "N", "unknown1", "--", "Ann"])
def test_known_speaker_names(name):
    assert is_known_speaker(name)


def test_speaker_keys():
    assert len({speaker_key(name) for name in ("s 1", "S1", " s1 ", "s\u00a01")}) == 1
    assert speaker_key("e\u0301va") == speaker_key("\u00c9va")
    assert len({speaker_key(name) for name in ("s1", "s2", "s01", "s-1")}) == 4


@pytest.mark.parametrize(("one", "other"), [("s0", "S0"), ("s 1", "s1"), ("Ann", "ANN ")])
def test_one_person_with_two_spellings_in_two_sets_raises(
    data, tmp_path, one, other, reader, sets_of, utterance
):
    sets = sets_of()
    sets["train"][0] = utterance("a", speaker=one)
    sets["test"][0] = utterance("i", speaker=other)
    text = " = ".join(sorted((one, other)))
    with pytest.raises(ValueError, match=rf"train and test share 1 speaker \({text}\)"):
        prepare_manifests(reader(sets), data, tmp_path / "out")
    summary = prepare_manifests(reader(sets, official_split=True), data, tmp_path / "out")
    names = " and ".join(map(repr, sorted((one, other))))
    assert summary.warnings == [
        "Speaker names that differ only in case or whitespace are treated as one speaker: "
        f"{names}.",
        "The official sets of this corpus share speakers: "
        f"train and test share 1 speaker ({text}).",
    ]


def test_one_person_with_two_spellings_in_one_set_gives_a_warning(
    data, tmp_path, reader, sets_of, utterance
):
    sets = sets_of()
    sets["train"][:3] = [
        utterance(letter, speaker=name)
        for letter, name in zip("abc", ("s0", "S0", "S 0"), strict=True)
    ]
    summary = prepare_manifests(reader(sets), data, tmp_path / "out")
    assert summary.warnings == [
        "Speaker names that differ only in case or whitespace are treated as one speaker: "
        "'S 0' and 'S0' and 's0'."
    ]
    assert summary.facts["sets"]["train"]["speakers"] == 4
    assert set(read_manifest(summary.sets["train"]).speaker) == {*"def", "s0", "S0", "S 0"}


@pytest.mark.parametrize("options", [{}, {"partition": "folds", "folds": 3}])
@pytest.mark.parametrize("seed", range(1, 6))
def test_split_keeps_all_spellings_of_a_person_together(folder, tmp_path, seed, options):
    lines = [
        f"{s}{k}.wav,1,2,3,{name}" for s in range(6) for k, name in enumerate((f"s{s}", f"S {s}"))
    ]
    root = folder([*lines, "x.wav,1,2,3,n/a", "y.wav,1,2,3,?"], header=HEADER)
    summary = prepare_manifests(
        own_data, root, tmp_path / "out", **SCALE, partition_seed=seed, **options
    )
    assert sum(facts["speakers"] for facts in summary.facts["sets"].values()) == 6
    assert {"x", "y"} <= set(read_manifest(summary.sets["train"]).ID)
    assert "All 2 files without a speaker are used for training." in summary.warnings


def test_split_of_regular_names_never_changes(folder):
    """Results of earlier runs must stay comparable."""
    lines = [f"{s}.wav,1,2,3,Speaker {s}" for s in range(10)]
    found = own_data.read(folder(lines, header=HEADER, audio=False), **SCALE, partition_seed=3)
    assert {name: sorted(row.id for row in rows) for name, rows in found.sets.items()} == {
        "train": ["0", "1", "4", "5", "6", "9"],
        "valid": ["3", "8"],
        "test": ["2", "7"],
    }

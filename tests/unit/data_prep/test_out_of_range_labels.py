"""Labels outside the corpus's scale are rejected, or clipped on request."""

import pytest

from data_prep.manifest import prepare_manifests, read_manifest


@pytest.fixture
def sets(sets_of, utterance):
    """Create two rows with three labels outside the scale from 1 to 7, and with both ends."""
    made = sets_of()
    made["train"][0] = utterance("a", valence=7.01, arousal=0.5, dominance=None)
    made["train"][1] = utterance("b", valence=1.0, arousal=7.0)
    made["test"][0] = utterance("i", dominance=-3.0)
    return made


def test_rejecting_is_the_default(data, tmp_path, reader, sets):
    summary = prepare_manifests(reader(sets), data, tmp_path / "out")
    assert summary.rejected == {"label outside the scale": 2}
    assert summary.warnings == []


def test_clipped_labels_are_at_the_nearest_end(data, tmp_path, reader, sets):
    summary = prepare_manifests(reader(sets), data, tmp_path / "out", out_of_range_labels="clip")
    assert summary.rejected == {}
    train = read_manifest(summary.sets["train"]).set_index("ID")
    assert train.loc["a", ["valence", "arousal"]].tolist() == [7.0, 1.0]
    assert str(train.loc["a", "dominance"]) == "nan"
    assert train.loc["b", ["valence", "arousal"]].tolist() == [1.0, 7.0]
    test = read_manifest(summary.sets["test"]).set_index("ID")
    assert test.loc["i", ["valence", "arousal", "dominance"]].tolist() == [4.0, 2.5, 1.0]
    assert summary.warnings == [
        "3 labels outside the scale were clipped "
        "(valence of a was 7.01, arousal of a was 0.5, dominance of i was -3.0)."
    ]


def test_many_clipped_labels_are_counted(data, tmp_path, reader, sets_of, utterance):
    made = sets_of()
    made["train"] = [utterance(k, valence=9.0, arousal=9.0, dominance=9.0) for k in "abcdef"]
    (data / "f.wav").unlink()  # labels of rejected rows are not counted
    summary = prepare_manifests(reader(made), data, tmp_path / "out", out_of_range_labels="clip")
    (warning,) = summary.warnings
    assert warning.startswith("15 labels outside the scale were clipped (valence")
    assert warning.count(" was ") == 10 and warning.endswith("valence of d was 9.0, ...).")


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_infinite_labels_are_not_clipped(data, tmp_path, value, reader, sets_of, utterance):
    made = sets_of()
    made["train"][0] = utterance("a", valence=value)
    summary = prepare_manifests(reader(made), data, tmp_path / "out", out_of_range_labels="clip")
    assert summary.rejected == {"label not finite": 1}


def test_contradictions_are_found_before_labels_are_clipped(
    data, tmp_path, reader, sets_of, utterance
):
    made = sets_of()
    made["train"] = [utterance("a", valence=8.0), utterance("a", valence=9.0), utterance("b")]
    summary = prepare_manifests(reader(made), data, tmp_path / "out", out_of_range_labels="clip")
    assert summary.counts["train"] == 1 and summary.rejected["duplicate id"] == 2


def test_unknown_action_raises(data, tmp_path, reader, sets_of):
    with pytest.raises(
        ValueError, match="--out_of_range_labels must be reject or clip; found 'keep'"
    ):
        prepare_manifests(reader(sets_of()), data, tmp_path / "out", out_of_range_labels="keep")


def test_changed_action_triggers_a_new_preparation(data, tmp_path, reader, sets):
    prepare_manifests(reader(sets), data, tmp_path / "out")
    assert not prepare_manifests(
        reader(sets), data, tmp_path / "out", out_of_range_labels="clip"
    ).skipped
    assert prepare_manifests(
        reader(sets), data, tmp_path / "out", out_of_range_labels="clip"
    ).skipped

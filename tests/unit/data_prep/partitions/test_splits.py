"""Random splits: sizes, seeds, and independence of the row order."""

import pytest

from data_prep.corpus import Utterance
from data_prep.partitions.splits import sample_per_class, split_speakers


def utterances(**counts):
    return [
        Utterance(f"{word}{k:02}", f"{word}{k}.wav", emotion=word)
        for word, count in counts.items()
        for k in range(count)
    ]


def test_sample_has_the_same_number_of_each_class():
    chosen = sample_per_class(
        utterances(sad=9, happy=5, other=9), ["sad", "happy"], seed=1, per_class=4
    )
    assert sorted(name[:3] for name in chosen) == ["hap"] * 4 + ["sad"] * 4


def test_sample_does_not_depend_on_order_or_other_classes():
    rows = utterances(sad=20, happy=20)
    chosen = sample_per_class(rows, ["sad", "happy"], seed=1, per_class=5)
    assert sample_per_class(rows[::-1], ["happy", "sad"], seed=1, per_class=5) == chosen
    more = sample_per_class(utterances(sad=20, happy=40), ["sad", "happy"], seed=1, per_class=5)
    assert {name for name in more if "sad" in name} == {name for name in chosen if "sad" in name}


def test_sample_depends_on_the_seed():
    rows = utterances(sad=20)
    draws = {
        frozenset(sample_per_class(rows, ["sad"], seed=seed, per_class=5)) for seed in range(5)
    }
    assert len(draws) == 5


def test_sample_of_a_seed_never_changes():
    # Splits must not change, because published results depend on them.
    chosen = sample_per_class(utterances(sad=9), ["sad"], seed=1, per_class=3)
    assert sorted(chosen) == ["sad04", "sad05", "sad08"]


def test_error_lists_classes_that_are_too_small():
    with pytest.raises(ValueError, match="to sample from; found happy 2, fear 0"):
        sample_per_class(utterances(sad=3, happy=2), ["sad", "happy", "fear"], seed=1, per_class=3)


def test_sample_of_size_zero_raises():
    with pytest.raises(ValueError, match="must be at least 1; found 0"):
        sample_per_class(utterances(sad=3), ["sad"], seed=1, per_class=0)


def test_speakers_are_split_by_share():
    place = split_speakers(map(str, range(20)), seed=3, shares={"valid": 0.15, "test": 0.1})
    assert [list(place.values()).count(name) for name in ("train", "valid", "test")] == [15, 3, 2]


def test_speaker_split_does_not_depend_on_the_order():
    shares = {"valid": 0.15, "test": 0.1}
    names = [str(k) for k in range(20)]
    place = split_speakers(names, seed=3, shares=shares)
    assert split_speakers(names[::-1] * 2, seed=3, shares=shares) == place


def test_every_set_gets_a_speaker():
    place = split_speakers("abc", seed=1, shares={"valid": 0.01, "test": 0.01})
    assert sorted(place.values()) == ["test", "train", "valid"]


def test_share_of_zero_creates_no_set():
    place = split_speakers("abcd", seed=1, shares={"valid": 0.25, "test": 0})
    assert sorted(place.values()) == ["train", "train", "train", "valid"]


def test_too_few_speakers_raise():
    with pytest.raises(ValueError, match="requires at least 3 speakers; found 2: a, b"):
        split_speakers("aabb", seed=1, shares={"valid": 0.15, "test": 0.15})


@pytest.mark.parametrize("shares", [{"valid": -0.1}, {"valid": 1.0}, {"valid": 0.5, "test": 0.5}])
def test_invalid_shares_raise(shares):
    with pytest.raises(ValueError, match="sum to less than 1"):
        split_speakers("abcdef", seed=1, shares=shares)

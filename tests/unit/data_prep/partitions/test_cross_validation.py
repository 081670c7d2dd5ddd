"""Cross-validation folds: the groups of each set, and no group in two sets."""

import itertools

import pytest

from data_prep.iemocap import reader as iemocap
from data_prep.msp_improv import reader as msp_improv
from data_prep.partitions.cross_validation import (
    Partition,
    leave_one_group_out,
    leave_one_speaker_out,
    select_partition,
    speaker_k_fold,
)

SESSION_FOLDS = {  # test, valid, train, written by hand
    1: ("1", "2", "345"),
    2: ("2", "3", "145"),
    3: ("3", "4", "125"),
    4: ("4", "5", "123"),
    5: ("5", "1", "234"),
}


@pytest.mark.parametrize("fold", SESSION_FOLDS)
def test_iemocap_leaves_one_session_out(fold):
    test, valid, train = SESSION_FOLDS[fold]
    expected = {"train": tuple(train), "valid": (valid,), "test": (test,)}
    assert iemocap.PARTITIONS["session"].fold(fold) == expected


def test_iemocap_leaves_one_speaker_out():
    partition = iemocap.PARTITIONS["speaker"]
    assert len(partition.folds) == 10
    # The fourth speaker is the man of session 2; the woman of that session is used for validation.
    fold = partition.fold(4)
    assert (fold["test"], fold["valid"]) == (("Ses02M",), ("Ses02F",))
    others = "Ses01F Ses01M Ses03F Ses03M Ses04F Ses04M Ses05F Ses05M"
    assert fold["train"] == tuple(others.split())


def test_iemocap_fixed_partition():
    assert iemocap.PARTITIONS["fixed"].folds == (
        {"train": ("1", "2", "3"), "valid": ("4",), "test": ("5",)},
    )


def test_msp_improv_leaves_one_session_out():
    partition = msp_improv.PARTITIONS["session"]
    assert len(partition.folds) == 6
    assert partition.fold(2) == {
        "train": ("1", "4", "5", "6"),
        "valid": ("3",),
        "test": ("2",),
    }
    assert partition.fold(6)["valid"] == ("1",)


ALL = [
    *iemocap.PARTITIONS.items(),
    *msp_improv.PARTITIONS.items(),
    ("own", speaker_k_fold("abcdefghijk", folds=4, seed=3)),
]


@pytest.mark.parametrize(("name", "partition"), ALL)
def test_each_group_is_in_exactly_one_set(name, partition):
    everybody = {group for groups in partition.folds[0].values() for group in groups}
    for fold in partition.folds:
        assert list(fold) == ["train", "valid", "test"]
        for one, other in itertools.combinations(fold.values(), 2):
            assert not set(one) & set(other)
        assert {group for groups in fold.values() for group in groups} == everybody


@pytest.mark.parametrize(("name", "partition"), [item for item in ALL if item[0] != "fixed"])
def test_every_group_is_tested_exactly_once(name, partition):
    tested = [group for fold in partition.folds for group in fold["test"]]
    everybody = {group for groups in partition.folds[0].values() for group in groups}
    assert sorted(tested) == sorted(everybody)


def test_set_by_group_is_the_inverse_of_fold():
    place = iemocap.PARTITIONS["session"].set_by_group(3)
    assert place == {"1": "train", "2": "train", "5": "train", "4": "valid", "3": "test"}


@pytest.mark.parametrize("fold", [0, 6, -1, "x", "", 1.5, None, True, " 1", "01"])
def test_nonexistent_fold_raises(fold):
    with pytest.raises(ValueError, match=r"--fold must be an integer from 1 to 5; found "):
        iemocap.PARTITIONS["session"].fold(fold)


def test_second_fold_of_a_fixed_partition_raises():
    with pytest.raises(ValueError, match=r"--fold must be 1 \(there is only one fold\); found 2"):
        iemocap.PARTITIONS["fixed"].fold(2)


def test_fold_number_may_be_text():
    partition = iemocap.PARTITIONS["session"]
    assert partition.fold("2") == partition.fold(2)


def test_unknown_partition_raises():
    with pytest.raises(ValueError, match="must be session or speaker or fixed; found 'paper'"):
        select_partition(iemocap.PARTITIONS, "paper")


def test_metadata_describes_the_fold():
    assert iemocap.PARTITIONS["fixed"].metadata("fixed", "1") == {
        "partition": "fixed",
        "fold": 1,
        "folds": 1,
        "divided_by": "session",
        "groups": {"train": ["1", "2", "3"], "valid": ["4"], "test": ["5"]},
    }


def test_dialogue_partner_is_the_validation_set():
    folds = leave_one_speaker_out([("a", "b"), ("c", "d")])
    assert [(fold["test"][0], fold["valid"][0]) for fold in folds] == [
        ("a", "b"),
        ("b", "a"),
        ("c", "d"),
        ("d", "c"),
    ]


def test_two_parts_raise():
    with pytest.raises(ValueError, match="require at least 3 folds; found 2"):
        leave_one_group_out([("a",), ("b",)])


def test_speakers_are_distributed_evenly():
    partition = speaker_k_fold(map(str, range(11)), folds=4, seed=1)
    assert sorted(len(fold["test"]) for fold in partition.folds) == [2, 3, 3, 3]


def test_speaker_folds_depend_only_on_names_and_seed():
    one = speaker_k_fold("abcdefgh", folds=4, seed=1)
    assert speaker_k_fold("hgfedcbaa", folds=4, seed=1) == one
    assert speaker_k_fold("abcdefgh", folds=4, seed=2) != one


def test_more_folds_than_speakers_raise():
    with pytest.raises(ValueError, match="5 folds require at least 5 speakers; found 2: a, b"):
        speaker_k_fold("ab", folds=5, seed=1)


def test_fold_is_returned_unchanged():
    fold = {"train": ("1",), "valid": ("2",), "test": ("3",)}
    assert Partition("session", (fold,)).fold(1) is fold

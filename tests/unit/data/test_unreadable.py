"""Audio that vanishes: said once, counted over all, too much of it refused."""

import pytest

from emosphere_sb.data.unreadable import UnreadableAudio, check_all_readable


def test_missing_audio_is_said_once(caplog):
    missing = UnreadableAudio()
    for _ in range(2):
        missing.note("train", {"a": "a.wav is gone"}, size=100)
    assert caplog.text.count("Utterance a of train is left out: a.wav is gone") == 1
    assert missing.reasons == {"train": {"a": "a.wav is gone"}}


def test_nothing_missing_leaves_nothing():
    missing = UnreadableAudio()
    missing.note("train", {}, size=1)
    assert missing.reasons == {}


def test_fault_more_than_one_in_a_hundred_is_refused_naming_them():
    missing = UnreadableAudio()
    missing.note("train", {"a": "gone", "b": "cut"}, size=200)
    with pytest.raises(ValueError, match=r"3 of 200 utterances of train .* more than 1%: a: gone"):
        missing.note("train", {"c": "gone"}, size=200)


def test_sets_are_counted_by_themselves():
    missing = UnreadableAudio()
    missing.note("train", {"a": "gone"}, size=100)
    missing.note("valid", {"b": "gone"}, size=100)
    with pytest.raises(ValueError, match="of valid"):
        missing.note("valid", {"c": "gone"}, size=100)


def test_files_that_were_mended_before_a_restart_do_not_count_against_it():
    missing = UnreadableAudio()
    missing.reasons = {"train": {"a": "gone"}}  # from a checkpoint
    missing.note("train", {"b": "cut"}, size=100)
    assert missing.reasons == {"train": {"a": "gone", "b": "cut"}}


def test_fault_unreadable_audio_in_a_test_set_is_refused_with_reasons():
    check_all_readable({})
    with pytest.raises(ValueError, match=r"audio of 2 utterances .*: a is gone; b is cut\."):
        check_all_readable({"a": "a is gone", "b": "b is cut"})

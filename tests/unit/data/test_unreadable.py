"""Unreadable audio is logged once, counted across all processes, and limited to 1%."""

import pytest

from emosphere_sb.data.unreadable import UnreadableAudio, check_all_readable


def test_unreadable_utterance_is_logged_once(caplog):
    missing = UnreadableAudio()
    for _ in range(2):
        missing.note("train", {"a": "a.wav is gone"}, size=100)
    assert caplog.text.count("Skipping utterance a of set train: a.wav is gone") == 1
    assert missing.reasons == {"train": {"a": "a.wav is gone"}}


def test_no_unreadable_utterances_leave_no_record():
    missing = UnreadableAudio()
    missing.note("train", {}, size=1)
    assert missing.reasons == {}


def test_fault_more_than_one_percent_unreadable_raises():
    missing = UnreadableAudio()
    missing.note("train", {"a": "gone", "b": "cut"}, size=200)
    with pytest.raises(ValueError, match=r"3 of 200 .* set train .*limit: 1%\): a: gone"):
        missing.note("train", {"c": "gone"}, size=200)


def test_sets_are_counted_separately():
    missing = UnreadableAudio()
    missing.note("train", {"a": "gone"}, size=100)
    missing.note("valid", {"b": "gone"}, size=100)
    with pytest.raises(ValueError, match="of set valid"):
        missing.note("valid", {"c": "gone"}, size=100)


def test_files_fixed_before_a_restart_do_not_count():
    missing = UnreadableAudio()
    missing.reasons = {"train": {"a": "gone"}}  # from a checkpoint
    missing.note("train", {"b": "cut"}, size=100)
    assert missing.reasons == {"train": {"a": "gone", "b": "cut"}}


def test_fault_unreadable_audio_in_a_test_set_raises_with_reasons():
    check_all_readable({})
    with pytest.raises(ValueError, match=r"2 utterances of the test set .*: a is gone; b is cut\."):
        check_all_readable({"a": "a is gone", "b": "b is cut"})

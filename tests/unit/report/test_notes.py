"""Notes on several sets are shown once."""

from emosphere_sb.report.notes import grouped_notes


def test_equal_notes_name_all_their_sets():
    assert grouped_notes([("valid", "a"), ("test1", "b"), ("test2", "a")]) == [
        "valid, test2: a", "test1: b",
    ]  # fmt: skip


def test_numbers_that_differ_are_listed_in_the_order_of_the_sets():
    notes = [
        ("valid", "3 of 1,000 utterances, level .95."),
        ("test1", "20 of 1,000 utterances, level .95."),
        ("test2", "3 of 1,250 utterances, level .95."),
    ]
    assert grouped_notes(notes) == [
        "valid, test1, test2: 3, 20 and 3 of 1,000, 1,000 and 1,250 utterances, level .95."
    ]


def test_notes_with_other_words_are_separate():
    notes = [("valid", "only 1 speaker is known"), ("test1", "only 4 speakers are known")]
    assert grouped_notes(notes) == [f"{name}: {text}" for name, text in notes]


def test_several_notes_on_one_set_are_separate():
    notes = [
        ("valid", "run 1: 5 values"), ("valid", "run 2: 6 values"), ("test", "run 1: 7 values"),
        ("test", "run 2: 8 values"), ("valid", "run 1: 5 values"),
    ]  # fmt: skip
    assert grouped_notes(notes) == [
        "valid, test: run 1: 5 and 7 values", "valid, test: run 2: 6 and 8 values",
    ]  # fmt: skip
    assert grouped_notes(notes[:2]) == ["valid: run 1: 5 values", "valid: run 2: 6 values"]


def test_no_notes():
    assert grouped_notes([]) == []

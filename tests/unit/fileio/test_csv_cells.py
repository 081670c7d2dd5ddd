"""Cells that spreadsheets would execute are neutralised, and every text can be restored."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosphere_sb.fileio.csv_cells import list_text, neutral_cell, restore_cell, visible_text


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"), ("+a", "'+a"), ("-a", "'-a"), ("@a", "'@a"), ("'=a", "''=a"),
        ("-0.5", "-0.5"), ("+1e-5", "+1e-5"), ("-.5", "-.5"), ("-1-1", "'-1-1"), ("-nan", "-nan"),
        ("a=b", "a=b"), ("'a", "'a"), ("\x1b[2J", r"\x1b[2J"), ("a\x00b", r"a\x00b"),
        ("\t=a", r"'\x09=a"), ("\r=a", r"'\x0d=a"), (r"C:\a", r"C:\a"), (r"\x41", r"\x5cx41"),
        ("a\nb", "a\nb"), ("", ""),
    ],
)  # fmt: skip
def test_cell(text, cell):
    assert neutral_cell(text) == cell
    assert restore_cell(cell) == text


@given(st.text(st.sampled_from("=+-@'\\x0149abf\t\r\n\x1b\x7f\x9f\xe9,\"")))
def test_every_text_survives_a_csv_file(text):
    stream = io.StringIO(newline="")
    csv.writer(stream).writerow([neutral_cell(text), "x"])
    ((cell, _),) = csv.reader(io.StringIO(stream.getvalue(), newline=""))
    assert restore_cell(cell) == text
    assert not any((ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 for c in cell)


def test_other_values_are_not_changed():
    assert [neutral_cell(value) for value in (None, -1, -0.5, True)] == [None, -1, -0.5, True]


def test_control_characters_are_visible():
    assert visible_text("a\x1b[2J\x9b\n\tb") == "a\\x1b[2J\\x9b\n\tb"


def test_lists_become_text():
    assert list_text(["silent", "clipped"]) == "silent; clipped"
    assert list_text([["sad", 0.25], ("calm", 1.5)]) == "sad 0.25; calm 1.5"
    assert list_text([]) == ""

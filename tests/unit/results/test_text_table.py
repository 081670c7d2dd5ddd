"""Tests of text tables: separators, byte order marks, errors."""

import math

import pytest

from emosphere_sb.results.text_table import parse_table_number, read_text_table


def written(folder, text, encoding="utf-8"):
    (folder / "x.csv").write_bytes(text.encode(encoding))
    return folder / "x.csv"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_separators_with_and_without_byte_order_mark(tmp_path, separator, start, end):
    text = start + end.join(separator.join(row) for row in (["ID", " b "], ["x", "1.5 "], [""]))
    table = read_text_table(written(tmp_path, text))
    assert list(table.columns) == ["ID", "b"]
    assert table.values.tolist() == [["x", "1.5"]]


def test_quoted_entries_may_contain_separators_and_newlines(tmp_path):
    table = read_text_table(written(tmp_path, 'a,b\n"x, y","1\n2"\n'))
    assert table.values.tolist() == [["x, y", "1\n2"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "found an empty file"),
        ("a,b\n", "found only a header"),
        ("a,a\n1,2\n", "must be unique; found a, a"),
        ("a,b\n1,2\n3\n", "must have 2 entries, like the header; found 1 in '3'"),
        ("a,b\n1,2,3\n", "found 3 in '1,2,3'"),
    ],
)
def test_malformed_table_raises(tmp_path, text, said):
    with pytest.raises(ValueError, match=said):
        read_text_table(written(tmp_path, text))


def test_other_encoding_is_assumed_with_a_note(tmp_path):
    table = read_text_table(written(tmp_path, "a,b\nfür,1\n", encoding="cp1252"))
    assert table.values.tolist() == [["für", "1"]]
    (note,) = table.attrs["notes"]
    assert note.startswith("x.csv is not UTF-8 and was read as Windows-1252.")


def test_unknown_encoding_raises(tmp_path):
    with pytest.raises(ValueError, match=r"x.csv must be UTF-8 text; found 'àííà'"):
        read_text_table(written(tmp_path, "a,b\nанна,1\n", encoding="cp1251"))


def test_numbers():
    assert [parse_table_number(text, "v", "f") for text in ("2", "-1e-3", "2,25", "-0,5")] == [
        2.0, -0.001, 2.25, -0.5,
    ]  # fmt: skip
    assert all(
        math.isnan(parse_table_number(text, "v", "f")) for text in ("", "NaN", "N/A", "null")
    )


@pytest.mark.parametrize("text", ["high", "1,2,3", "1.000,5", "1_0"])
def test_invalid_number_raises(text):
    with pytest.raises(ValueError, match=f"valence of a in f must be a number; found '{text}'"):
        parse_table_number(text, "valence of a", "f")


def test_parse_error_raises_with_line(tmp_path):
    """The csv module takes fields of up to 131,072 letters."""
    with pytest.raises(ValueError, match=r"Could not parse .*x.csv, line 2: invalid CSV: field"):
        read_text_table(written(tmp_path, "a,b\n" + "x" * 131_073 + ",1\n"))


def test_cells_are_only_restored_in_escaped_tables(tmp_path):
    path = written(tmp_path, "a,b\nclips\\x41.wav,'=1\n")
    assert read_text_table(path).values.tolist() == [["clips\\x41.wav", "'=1"]]
    table = read_text_table(path, is_escaped=lambda names: names == ["a", "b"])
    assert table.values.tolist() == [["clipsA.wav", "=1"]]

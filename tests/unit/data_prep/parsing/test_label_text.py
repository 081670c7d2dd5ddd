"""Label tables: accepted variants and rejected files."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.parsing.label_text import parse_number, read_label_table, read_lines


def table(path, content, required=("file", "valence"), **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    header, rows = read_label_table(path, required, **options)
    return header, list(rows)


@pytest.mark.parametrize(
    "content",
    [
        "file,valence\na.wav,1\n",
        "file,valence\r\na.wav,1\r\n",
        "file,valence\ra.wav,1\r",
        "\ufefffile,valence\na.wav,1",
        "\n\n File , VALENCE \n\n a.wav , 1 \n,\n\n",
        '"file","valence"\n"a.wav","1"\n',
    ],
)
def test_equivalent_tables_are_read_identically(tmp_path, content):
    header, rows = table(tmp_path / "t.csv", content)
    assert header == ["file", "valence"]
    assert [values for _, values in rows] == [["a.wav", "1"]]


def test_line_numbers_count_blank_lines(tmp_path):
    _, rows = table(tmp_path / "t.csv", "file,valence\n\na.wav,1\nb.wav,2\n")
    assert [line for line, _ in rows] == [3, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it is empty"),
        ("\n\n", "it is empty"),
        ("file;valence\na;1\n", "missing: file, valence; found: file;valence"),
        ("file,arousal\na,1\n", "missing: valence; found: file, arousal"),
        ("file,valence,Valence\na,1,2\n", "twice: valence"),
        ("file,valence\n\xe4,1\n".encode("latin-1"), "must be UTF-8 text"),
        ("file,valence\na,1\n".encode("utf-16"), "must be UTF-8 text"),
        ('file,valence\n"a,1\nb,2\n', "invalid CSV|unclosed quote"),
        ('file,valence\n"a\nb",2\n', "line 3: unclosed quote"),
        ("file,valence\n" + "x" * 200_000 + ",1\n", "line 2: invalid CSV"),
    ],
)
def test_invalid_tables_raise(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as error:
        table(tmp_path / "t.csv", content)
    assert str(tmp_path / "t.csv") in str(error.value)


def test_multiline_values_are_read_if_allowed(tmp_path):
    _, rows = table(tmp_path / "t.csv", 'file,valence\n"a\nb",2\n', multiline=True)
    assert rows == [(3, ["a\nb", "2"])]


@given(st.floats())
def test_numbers_are_read_exactly(value):
    read = parse_number(f" {value!r} ", "valence")
    assert read == value or (math.isnan(read) and math.isnan(value))


@pytest.mark.parametrize("text", ["1_0", "3,5", "0x3", "\u0663", "one", "1 2", "1.2.3", "-", "."])
def test_invalid_numbers_raise(text):
    with pytest.raises(ValueError, match=r"^not a number: EmoVal is "):
        parse_number(text, "EmoVal")


def test_empty_text_is_unknown():
    assert parse_number("  ", "EmoVal") is None


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nb", ["a", "b"]),
        (b"a\rb\r", ["a", "b"]),
        (b"\xef\xbb\xbfcaf\xc3\xa9\n", ["café"]),
        (b"caf\xe9\n", ["café"]),
        (b"caf\xc3", ["cafÃ"]),  # truncated character, so invalid UTF-8
        ("a\x85b\x0bc\u2028d\n".encode(), ["a\x85b\x0bc\u2028d"]),
        (b"", []),
    ],
)
def test_lines_of_8_bit_text_are_decoded(tmp_path, content, lines):
    (tmp_path / "a.txt").write_bytes(content)
    assert [line for _, line in read_lines(tmp_path / "a.txt")] == lines


def test_late_line_determines_the_encoding(tmp_path):
    long = "é" * (1 << 20)  # one character spans two blocks
    (tmp_path / "a.txt").write_bytes(f"x{long}\n".encode())
    assert list(read_lines(tmp_path / "a.txt")) == [(1, f"x{long}")]
    (tmp_path / "a.txt").write_bytes(f"{long}\n".encode() + b"\xe9\n")
    assert [number for number, _ in read_lines(tmp_path / "a.txt")] == [1, 2]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_text_with_null_bytes_raises(tmp_path, encoding):
    (tmp_path / "a.txt").write_text("Ses01F", encoding=encoding)
    with pytest.raises(ValueError, match=r"a.txt must be text in UTF-8 or an 8-bit encoding"):
        list(read_lines(tmp_path / "a.txt"))

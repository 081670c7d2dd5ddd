"""Matrix of table dialects: each is read with exact values or rejected with a clear reason.

The tables are written by hand-written functions that do not use the library, as spreadsheets and
statistics packages write them in different locales.
"""

import re

import pytest

from emosphere_sb.fileio.user_tables.table import open_user_table

NUMBERS = ("valence", "arousal", "dominance")
COLUMNS = ("file", *NUMBERS, "speaker", "transcript")
ROWS = [
    ("wav/a 1.wav", "3.25", "2", "-0.5", "007", "Hello, world; yes"),
    ("wav/b.wav", "1.234", "4.5", "6", "NA", 'She said "no"'),
    ("wav/c.wav", "0.1", "5.123456789012345", "1e-05", "s'3", ""),
]
WESTERN = [("wav/Zoë.wav", "3.25", "2", "1", "Müller", "für | über\t!"), *ROWS]
PLAIN = [(f"wav/{k}.wav", v, a, d, f"s{k}", f"w{k}") for k, (_, v, a, d, *_) in enumerate(ROWS)]


def quoted(text, quote='"', escape=None):
    return quote + text.replace(quote, (escape or quote) + quote) + quote


def table(
    rows=ROWS, *, delimiter=",", comma=False, quote='"', always=(), end="\n", head=COLUMNS,
    escape=None, index=None, before="", trailing="", last_end=True,
):  # fmt: skip
    """Write a table. ``always`` has the positions of values that are quoted in any case."""

    def cell(position, text, is_number):
        if is_number and comma:
            text = text.replace(".", ",")
        special = (delimiter, quote, "\n", "\r", ",") if delimiter != ";" else (";", quote, "\n")
        if position in always or any(sign in text for sign in special):
            return quoted(text, quote, escape)
        return text

    lines = [delimiter.join(cell(k, name, False) for k, name in enumerate(head)) + trailing]
    for number, row in enumerate(rows, start=1):
        cells = [cell(k, text, head[k] in NUMBERS) for k, text in enumerate(row)]
        cells = ([cell(0, index(number), False)] if index else []) + cells
        lines.append(delimiter.join(cells) + trailing)
    return before + end.join(lines) + (end if last_end else "")


ALL = range(10)
TEXT = (0, 4, 5)
SEMI = {"delimiter": ";", "comma": True}
TAB = {"delimiter": "\t"}

READ = {
    "pandas": table(),
    "pandas, quote all": table(always=ALL),
    "pandas, quote nonnumeric": table(always=TEXT),
    "pandas, index": table(index=lambda k: str(k - 1), head=COLUMNS).replace("file", ",file", 1),
    "pandas, tab": table(**TAB),
    "pandas, pipe": table(delimiter="|"),
    "pandas, semicolon, point": table(delimiter=";"),
    "pandas, semicolon, comma": table(**SEMI),
    "pandas, utf-8-sig": table().encode("utf-8-sig"),
    "pandas, utf-16": table().encode("utf-16"),
    "pandas, utf-16, tab, comma": table(**TAB, comma=True).encode("utf-16"),
    "no final line end": table(last_end=False),
    "excel, English": table(end="\r\n"),
    "excel, English, utf-8": table(end="\r\n").encode("utf-8-sig"),
    "excel, German": table(**SEMI, end="\r\n"),
    "excel, German, utf-8": table(**SEMI, end="\r\n").encode("utf-8-sig"),
    "excel, French, utf-8": table(WESTERN, **SEMI, end="\r\n").encode("utf-8-sig"),
    "excel, Windows-1252, comma": table(WESTERN, end="\r\n").encode("cp1252"),
    "excel, Windows-1252, semicolon": table(WESTERN, **SEMI, end="\r\n").encode("cp1252"),
    "excel, Unicode text": table(WESTERN, **TAB, end="\r\n").encode("utf-16"),
    "excel, Unicode text, German": table(WESTERN, **TAB, comma=True, end="\r\n").encode("utf-16"),
    "excel, text": table(**TAB, end="\r\n"),
    "excel, text, German": table(**TAB, comma=True, end="\r\n"),
    "excel, Mac line ends": table(end="\r"),
    "excel, Mac line ends, German": table(**SEMI, end="\r"),
    "excel, sep=;": table(**SEMI, end="\r\n", before="sep=;\r\n"),
    "excel, sep=, with BOM": table(end="\r\n", before="sep=,\r\n").encode("utf-8-sig"),
    "excel, sep=tab": table(**TAB, end="\r\n", before="sep=\t\r\n"),
    "excel, sep=^": table(delimiter="^", before="sep=^\n"),
    "excel, formula text": table().replace("007", '="007"'),
    "excel, empty columns": table(end="\r\n", trailing=",,,"),
    "excel, empty rows": table(trailing="") + ",,,,,\n,,,,,\n",
    "excel, title": table(before="Ratings 2024,,,,,\n,,,,,\n"),
    "numbers": table(end="\r\n").encode("utf-8"),
    "numbers, German": table(**SEMI, end="\r\n").encode("utf-8"),
    "numbers, table name": table(before="Table 1\n"),
    "numbers, minus sign": table().replace("-0.5", "\u22120.5"),
    "libreoffice": table(always=()),
    "libreoffice, quote all text": table(always=TEXT, **SEMI),
    "libreoffice, comma-separated, decimal comma": table(comma=True),
    "libreoffice, utf-16 BE": b"\xfe\xff" + table(**SEMI).encode("utf-16-be"),
    "libreoffice, single quotes": table(quote="'", always=TEXT),
    "libreoffice, all in single quotes": table(quote="'", always=ALL, **SEMI),
    "google sheets, German": table(comma=True, end="\r\n"),
    "R, write.csv": table(always=(0, 4, 5), index=lambda k: f'"{k}"'.strip('"')).replace(
        "file,", '"",file,', 1
    ),
    "R, write.csv, no row names": table(always=TEXT),
    "R, write.csv2": table(**SEMI, always=TEXT),
    "R, write.csv2, row names": table(**SEMI, always=TEXT, index=str).replace(
        '"file"', '"";"file"', 1
    ),
    "R, write.table": table(delimiter=" ", always=TEXT, index=str),
    "R, write.table, backslashes": table(delimiter=" ", always=TEXT, escape="\\", index=str),
    "R, write.table, sep=,": table(always=TEXT, escape="\\", index=lambda k: f"row {k}"),
    "R, write.table, tab, dec=,": table(**TAB, comma=True, always=TEXT, index=str),
    "R, write.table, semicolon, no row names": table(**SEMI, always=TEXT, escape="\\"),
    "readr, write_tsv": table(**TAB),
    "SPSS, tab": table(**TAB, end="\r\n").encode("utf-8-sig"),
    "SPSS, German": table(**SEMI, end="\r\n").encode("utf-8-sig").replace(b";0,1", b";,1"),
    "SPSS, leading zero": table(end="\r\n").replace(",0.1", ",.1"),
    "comments": table(before="# created by a tool, version 2\n% another comment\n\n"),
    "blank lines": "\n\r\n" + table(end="\n\n"),
    "trailing delimiters": table(trailing=","),
    "trailing delimiters, semicolon": table(**SEMI, trailing=";"),
    "trailing delimiters in the rows only": table(trailing=",").replace(",\n", "\n", 1),
    "spaces after delimiters": table(PLAIN, delimiter=", "),
    "spaces around names": table().replace("file,valence", " File , VALENCE ", 1),
    "aligned with spaces": table(PLAIN, delimiter="   "),
    "aligned, with index": table(PLAIN, delimiter="  ", index=str).replace("file", "    file", 1),
    "line ends in quotes": table([(*ROWS[0][:5], "two\nlines"), *ROWS[1:]]),
    "utf-8 names": table([("wav/Ж語é.wav", *ROWS[0][1:]), *ROWS[1:]]).encode(),
    "utf-32": table().encode("utf-32"),
    "free text in another encoding": table([(*ROWS[0][:5], "привет"), *ROWS[1:]]).encode("cp1251"),
    "scientific, decimal comma": table(**SEMI).replace("3,25", "3,25E+00"),
    "whole numbers": table([("a", "1", "2", "3", "s", "t"), ("b", "7", "1", "4", "s", "t")]),
}

REJECTED = {
    "thousands and decimal comma": (table(**SEMI).replace("5,12", "1.005,12"), "thousands sep"),
    "thousands and decimal point": (
        table(always=ALL).replace('"6"', '"1,006.5"'), "thousands separators; found '1,006.5'",
    ),
    "thousands only": (
        table([("a", "1.234", "2.345", "3", "s", "t")], **SEMI), "may be a decimal mark or a thou",
    ),
    "thousands with spaces": (table(**SEMI).replace(";6;", ";1\u202f006;"), "thousands separators"),
    "both decimal marks": (table(**SEMI).replace("4,5", "4.5"), "must use the same decimal mark"),
    "decimal commas without quotes": (
        "file,valence,arousal,dominance\na,3,5,2,0,1,0\nb,1,5,2,0,1,5\n", "decimal commas, export",
    ),
    "utf-16 without a mark": (table().encode("utf-16-le"), "UTF-16 with a byte order mark"),
    "Mac Roman": (table(WESTERN).encode("mac_roman"), "encoding that cannot be recognised"),
    "DOS code page": (table(WESTERN).encode("cp850"), "encoding that cannot be recognised"),
    "Polish": (
        table([("Łukasz.wav", *ROWS[0][1:])]).encode("cp1250"), "encoding that cannot be recogn",
    ),
    "Cyrillic": (table([("Анна", *ROWS[0][1:])]).encode("cp1251"), "cannot be recognised"),
    "Japanese": (table([("音声.wav", *ROWS[0][1:])]).encode("shift_jis"), "cannot be recognised"),
    "Chinese": (table([("语音.wav", *ROWS[0][1:])]).encode("gb18030"), "cannot be recognised"),
    "damaged utf-8": (b"\xef\xbb\xbf" + table(WESTERN).encode("cp1252"), "UTF-8 with BOM"),
    "aligned, with empty values": (
        table(PLAIN, delimiter="  ").replace("  6  ", "  "), "must be separated by commas",
    ),
    "aligned, with spaces in file names": (
        "file valence arousal dominance\ns1 a.wav 1 2 3\ns2 a.wav 2 3 4\n", "unique row name",
    ),
    "old Excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), r"97-2003 workbook \(.xls\)"),
    "HTML named .xls": ("<html><table><tr><td>file</td></tr></table></html>", "found an HTML"),
    "unclosed quote": (table().replace('"Hello', '"Hello"x', 1), "line 2: invalid CSV"),
    "more values than names": (
        "file,valence,arousal,dominance\na,1,2,3,x\nb,1,2,3,y\n", "unique row name in addition",
    ),
}  # fmt: skip


def open_written(folder, content):
    path = folder / "labels.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return open_user_table(
        path,
        is_header={"file", *NUMBERS}.issubset,
        is_number=NUMBERS.__contains__,
        is_name=("file", "speaker").__contains__,
    )


def values_of(opened):
    """Rows as dictionaries: numbers as floats, everything else as text."""
    names = [name.casefold() for name in opened.header]
    rows = []
    for _, row in opened.rows():
        assert len(row) == len(names)
        cells = {name: text for name, text in zip(names, row, strict=True) if name}
        rows.append({k: float(v) if k in NUMBERS else v for k, v in cells.items()})
    return rows


def truth_of(name):
    rows = {
        "line ends in quotes": [(*ROWS[0][:5], "two\nlines"), *ROWS[1:]],
        "utf-8 names": [("wav/Ж語é.wav", *ROWS[0][1:]), *ROWS[1:]],
        "whole numbers": [("a", "1", "2", "3", "s", "t"), ("b", "7", "1", "4", "s", "t")],
    }.get(name, ROWS)
    if name in ("spaces after delimiters", "aligned with spaces", "aligned, with index"):
        rows = PLAIN
    content = READ[name]
    if isinstance(content, bytes) and any(w in name for w in ("1252", "French", "Unicode text")):
        rows = WESTERN
    return [
        {k: float(v) if k in NUMBERS else v for k, v in zip(COLUMNS, row, strict=True)}
        for row in rows
    ]


@pytest.mark.parametrize("name", READ)
def test_dialects_are_read_exactly(tmp_path, name):
    found, expected = values_of(open_written(tmp_path, READ[name])), truth_of(name)
    if name == "free text in another encoding":  # not a column whose text matters
        found[0]["transcript"] = expected[0]["transcript"]
    assert found == expected


@pytest.mark.parametrize("name", REJECTED)
def test_ambiguous_dialects_are_rejected_with_a_reason(tmp_path, name):
    content, reason = REJECTED[name]
    with pytest.raises(ValueError, match=reason) as error:
        open_written(tmp_path, content)
    message = str(error.value)
    assert str(tmp_path / "labels.csv") in message
    assert len(message) < 600
    assert re.search(r"(?i)\b(export|save|write|remove|check|name|delete|put)\b", message)


def test_number_of_dialects():
    assert len(READ) >= 50
    assert len(READ) + len(REJECTED) >= 60


@pytest.mark.parametrize(
    ("content", "description"),
    [
        (table(), "comma-separated, decimal point, UTF-8"),
        (table(**SEMI).encode("utf-8-sig"), "semicolon-separated, decimal comma, UTF-8 with BOM"),
        (table(**TAB).encode("utf-16"), "tab-separated, decimal point, UTF-16 LE with BOM"),
        (
            table(delimiter=" ", always=TEXT, index=str),
            "space-separated, decimal point, UTF-8, row names without a header",
        ),
    ],
)
def test_detected_dialect_is_logged(tmp_path, caplog, content, description):
    caplog.set_level("INFO")
    open_written(tmp_path, content)
    assert caplog.messages == [f"Read labels.csv: {description}"]


def test_assumed_encoding_is_a_note(tmp_path):
    (note,) = open_written(tmp_path, table(WESTERN).encode("cp1252")).notes
    assert "read as Windows-1252" in note and "'wav/Zoë.wav' on line 2" in note
    assert open_written(tmp_path, table(WESTERN)).notes == []


def test_damaged_rows_are_preserved_as_they_are(tmp_path):
    opened = open_written(tmp_path, "file,valence,arousal,dominance\na,1,2,3\nb,1,2\nc,1,2,3,4\n")
    assert [len(row) for _, row in opened.rows()] == [4, 3, 5]
    assert [line for line, _ in opened.rows()] == [2, 3, 4]

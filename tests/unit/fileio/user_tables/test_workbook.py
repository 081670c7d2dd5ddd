"""Excel workbooks, and the messages for formats that are not read."""

import builtins
import zipfile

import pytest

from emosphere_sb.fileio.user_tables.table import open_user_table

HEADER = ["file", "valence", "arousal"]


def read(path):
    table = open_user_table(
        path,
        is_header=set(HEADER).issubset,
        is_number=HEADER[1:].__contains__,
        is_name="file".__eq__,
    )
    return table, list(table.rows())


@pytest.fixture
def workbook(tmp_path):
    """Write a workbook: ``workbook({sheet: rows})``."""
    openpyxl = pytest.importorskip("openpyxl", reason="the extra 'xlsx' is not installed")

    def write(sheets, formats=()):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for name, rows in sheets.items():
            sheet = book.create_sheet(name)
            for row in rows:
                sheet.append(row)
            for cell, number_format in formats:
                sheet[cell].number_format = number_format
        book.save(tmp_path / "labels.xlsx")
        return tmp_path / "labels.xlsx"

    return write


def test_values_are_exact_text(workbook):
    rows = [
        [*HEADER, "speaker", "note"],
        ["a.wav", 3.1, 2, 7, None],
        ["b.wav", 1 / 3, 4.5, 30.0, True],
        ["c.wav", None, 1, "NA", "007"],
    ]
    _, found = read(workbook({"Labels": rows}, [("D2", "000")]))
    assert found == [
        (2, ["a.wav", "3.1", "2", "007", ""]),
        (3, ["b.wav", "0.3333333333333333", "4.5", "30", "TRUE"]),
        (4, ["c.wav", "", "1", "NA", "007"]),
    ]


def test_worksheet_with_the_table_is_found(workbook):
    sheets = {"About": [["Ratings"]], "Data": [["Ratings"], [], HEADER, ["a.wav", 1, 2]]}
    table, found = read(workbook(sheets))
    assert found == [(4, ["a.wav", "1", "2"])]
    assert table.description == "Excel workbook, worksheet 'Data', decimal point"


def test_several_tables_raise(workbook):
    path = workbook({"A": [HEADER, ["a.wav", 1, 2]], "B": [HEADER, ["a.wav", 3, 4]]})
    with pytest.raises(ValueError, match="must have one worksheet with a table; found 'A', 'B'"):
        read(path)


def test_formula_without_a_value_raises(workbook):
    with pytest.raises(ValueError, match=r"row 2: formulas must have stored values\. Open"):
        read(workbook({"A": [HEADER, ["a.wav", "=1+1", 2]]}))


def test_date_is_not_a_number(workbook):
    import datetime

    _, found = read(workbook({"A": [HEADER, ["a.wav", datetime.date(2024, 3, 5), 2]]}))
    assert found[0][1][1].startswith("date 2024-03-05")


def test_workbook_without_openpyxl_raises(workbook, monkeypatch):
    path, real = workbook({"A": [HEADER]}), builtins.__import__

    def without(name, *rest):
        if name == "openpyxl":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        ValueError, match=r"requires openpyxl\. Run pip install 'emosphere-sb\[xlsx"
    ):
        read(path)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["Index/Document.iwa"], "a Numbers document"),
        (["xl/workbook.bin"], "a binary Excel workbook"),
        (["mimetype"], "an OpenDocument file"),
        (["a.csv"], "a zip archive"),
    ],
)
def test_other_archives_raise(tmp_path, names, said):
    path = tmp_path / "labels.csv"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "application/vnd.oasis.opendocument.spreadsheet")
    with pytest.raises(
        ValueError, match=f"must be a text table .*found {said}.*Export it as a CSV"
    ):
        read(path)


@pytest.mark.parametrize("content", [b"PK\x03\x04" + bytes(50), b"PK\x03\x04xl/workbook.xml"])
def test_damaged_workbook_raises(tmp_path, content):
    (tmp_path / "labels.xlsx").write_bytes(content)
    with pytest.raises(ValueError, match="a damaged zip archive or workbook"):
        read(tmp_path / "labels.xlsx")

"""Detect the character encoding of a text file, and formats that are not text."""

from __future__ import annotations

import codecs
import os
import zipfile
from collections.abc import Iterator
from typing import NamedTuple

BLOCK = 1 << 20

BOMS = (
    # The mark of UTF-32 starts with that of UTF-16, so it is tested first.
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32 with BOM"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32 with BOM"),
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8 with BOM"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16 LE with BOM"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16 BE with BOM"),
)

EXPORT_HINT = "Export it as a CSV file in UTF-8 and specify that file."

FORMATS = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel 97-2003 workbook (.xls)"),
    (b"{\\rtf", "a rich text document"),
    (b"%PDF", "a PDF document"),
    (b"PAR1", "a Parquet file"),
    (b"$FL2", "an SPSS data file (.sav)"),
    (b"$FL3", "an SPSS data file (.sav)"),
    (b"<stata_dta>", "a Stata data file (.dta)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x89HDF", "an HDF5 file"),
)
"""First bytes of file formats that are mistaken for tables, and their names."""


class Encoding(NamedTuple):
    """Encoding of a text file.

    Arguments
    ---------
    codec : str
        Name of the codec in Python.
    label : str
        Name for messages.
    is_assumed : bool
        Whether the encoding is an 8-bit encoding, which cannot be distinguished from others.
    """

    codec: str
    label: str
    is_assumed: bool = False


def detect_format(path: str | os.PathLike) -> str:
    """Return ``text`` or ``xlsx``.

    Raises
    ------
    ValueError
        If the file has another format, which is named in the message.
    """
    with open(path, "rb") as file:
        start = file.read(512)
    name = next((name for magic, name in FORMATS if start.startswith(magic)), "")
    if start.startswith(b"PK\x03\x04"):
        name = _zip_format(path)
    elif (
        start.removeprefix(codecs.BOM_UTF8)
        .lstrip()
        .lower()
        .startswith((b"<!doctype html", b"<html", b"<table", b"<?xml"))
    ):
        name = "an HTML or XML document"
    if name == "xlsx":
        return name
    if name:
        raise ValueError(
            f"{path} must be a text table (CSV) or an .xlsx workbook; found {name}. {EXPORT_HINT}"
        )
    return "text"


def _zip_format(path: str | os.PathLike) -> str:
    """Return ``xlsx``, or the name of another format that is stored as a zip archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "xl/workbook.xml" in names:
                return "xlsx"
            if "xl/workbook.bin" in names:
                return "a binary Excel workbook (.xlsb)"
            if any(name.startswith("Index/") or name == "Index.zip" for name in names):
                return "a Numbers document"
            if "mimetype" in names and b"opendocument" in archive.read("mimetype")[:200]:
                return "an OpenDocument file (.ods)"
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
        return "a damaged zip archive or workbook"
    return "a zip archive"


def detect_encoding(path: str | os.PathLike) -> Encoding:
    """Detect the encoding of a text file. The complete file is read, in blocks.

    A byte order mark (BOM) determines the encoding. Other files are UTF-8 if they are valid UTF-8.
    Otherwise they are assumed to be in Windows-1252 or, if a byte has no meaning in it, in Latin-1.

    Raises
    ------
    ValueError
        If the file does not have the encoding of its byte order mark, or contains null bytes.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.csv"
    >>> _ = path.write_bytes("café".encode("utf-16"))
    >>> detect_encoding(path).label
    'UTF-16 LE with BOM'
    >>> _ = path.write_bytes("café".encode("cp1252"))
    >>> detect_encoding(path)
    Encoding(codec='cp1252', label='Windows-1252 (assumed)', is_assumed=True)
    """
    with open(path, "rb") as file:
        start = file.read(4)
    for mark, codec, label in BOMS:
        if start.startswith(mark):
            if problem := _decoding_problem(path, codec):
                raise ValueError(
                    f"{path} must be {label}, according to its first bytes; found {problem}. "
                    "Save it as UTF-8."
                )
            return Encoding(codec, label)
    if problem := _null_byte(path):
        raise ValueError(
            f"{path} must be UTF-8 text, or UTF-16 with a byte order mark; found {problem}. Save "
            "it as UTF-8."
        )
    if not _decoding_problem(path, "utf-8"):
        return Encoding("utf-8", "UTF-8")
    if not _decoding_problem(path, "cp1252"):
        return Encoding("cp1252", "Windows-1252 (assumed)", True)
    return Encoding("latin-1", "Latin-1 (assumed)", True)


def _blocks(path: str | os.PathLike) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            yield block


def _decoding_problem(path: str | os.PathLike, codec: str) -> str:
    """Return why a file cannot be decoded; empty if it can."""
    decoder, place = codecs.getincrementaldecoder(codec)(), 0
    try:
        for block in _blocks(path):
            if codec.startswith("utf-16") and "\0" in decoder.decode(block):
                return "a null character"
            if not codec.startswith("utf-16"):
                decoder.decode(block)
            place += len(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return f"invalid bytes near offset {place + error.start:,}"
    return ""


def _null_byte(path: str | os.PathLike) -> str:
    """Return the place of the first null byte; empty otherwise."""
    place = 0
    for block in _blocks(path):
        if (found := block.find(b"\0")) >= 0:
            return f"a null byte at offset {place + found:,}"
        place += len(block)
    return ""


def is_plausible_western(text: str) -> bool:
    """Whether text that was decoded as Windows-1252 looks like a Western European language.

    Text in other 8-bit encodings usually contains symbols within words, capital letters after
    small ones, or hardly any ASCII letters.

    Arguments
    ---------
    text : str
        Decoded text.

    Example
    -------
    >>> is_plausible_western("Zoë Müller.wav"), is_plausible_western("Straße")
    (True, True)
    >>> is_plausible_western("Müller".encode("mac_roman").decode("cp1252"))
    False
    >>> is_plausible_western("Анна".encode("cp1251").decode("cp1252"))
    False
    """
    letters = [letter for letter in text if letter.isalpha()]
    foreign = [letter for letter in letters if not letter.isascii()]
    if 2 * len(foreign) > len(letters):
        return False
    for before, letter, after in zip(f" {text}", text, f"{text[1:]} ", strict=False):
        if letter.isascii():
            continue
        # Letters outside this range are rare, but their bytes are common letters in DOS and Mac OS.
        if not "\u00c0" <= letter <= "\u00ff" or letter in "\u00d7\u00f7":
            return False
        if letter.isupper() and before.isalpha() and (before.islower() or after.islower()):
            return False
    return True

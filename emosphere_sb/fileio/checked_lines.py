"""Append-only files of JSON lines with checksums: a line is complete and intact, or ignored.

Requires only the standard library.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable
from typing import Any


def checked_lines(records: Iterable[Any]) -> bytes:
    """Return records as lines, each with the checksum of its content.

    Arguments
    ---------
    records : iterable
        JSON-serialisable values.

    Example
    -------
    >>> checked_lines([{"a": 1}])
    b'561bacaf {"a":1}\\n'
    """
    texts = (json.dumps(record, separators=(",", ":")).encode() for record in records)
    return b"".join(b"%08x %s\n" % (zlib.crc32(text), text) for text in texts)


def read_checked_lines(path: str | os.PathLike) -> list[Any]:
    """Return the records of a file. Incomplete and malformed lines are skipped.

    Arguments
    ---------
    path : path
        The file.

    Returns
    -------
    list
        Records in the order of the file.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.index"
    >>> _ = path.write_bytes(checked_lines([1, 2]) + checked_lines([3])[:-2])
    >>> read_checked_lines(path)
    [1, 2]
    """
    with open(path, "rb") as file:
        content = file.read()
    # What follows the last line break is an incomplete line, or empty.
    lines = content.split(b"\n")[:-1]
    return [json.loads(line[9:]) for line in lines if _is_intact(line)]


def _is_intact(line: bytes) -> bool:
    return line[8:9] == b" " and line[:8] == b"%08x" % zlib.crc32(line[9:])


def append_checked_lines(path: str | os.PathLike, records: Iterable[Any]) -> None:
    """Append records with a single write, so that lines of several processes do not mix.

    Arguments
    ---------
    path : path
        The file; it is created if it does not exist.
    records : iterable
        JSON-serialisable values.
    """
    # The line break ends a line that a killed process may have left incomplete.
    content = b"\n" + checked_lines(records)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        while content:
            content = content[os.write(handle, content) :]
    finally:
        os.close(handle)

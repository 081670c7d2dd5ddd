"""Lines with checksums: only complete, intact lines are read."""

import pytest

from emosphere_sb.fileio.checked_lines import append_checked_lines, read_checked_lines

RECORDS = [["a", 1], ["b", 2], ["ü", 3]]


@pytest.fixture
def path(tmp_path):
    append_checked_lines(tmp_path / "x.index", RECORDS)
    return tmp_path / "x.index"


def test_records_are_read_in_order(path):
    append_checked_lines(path, [None])
    assert read_checked_lines(path) == [*RECORDS, None]


def test_incomplete_line_is_skipped_and_does_not_affect_later_lines(path):
    path.write_bytes(path.read_bytes()[:-3])
    assert read_checked_lines(path) == RECORDS[:2]
    append_checked_lines(path, [4])
    assert read_checked_lines(path) == [*RECORDS[:2], 4]


def test_every_change_of_a_byte_invalidates_the_line(path):
    content = path.read_bytes()
    start = content.index(b"\n", 1) + 1
    for position in range(start, content.index(b"\n", start)):  # the second line
        changed = bytearray(content)
        changed[position] ^= 1
        path.write_bytes(changed)
        assert read_checked_lines(path) == [RECORDS[0], RECORDS[2]]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"text\n", b"00000000 {\n", b"\xff\xfe\n"])
def test_other_content_has_no_records(content, tmp_path):
    (tmp_path / "x").write_bytes(content)
    assert read_checked_lines(tmp_path / "x") == []

"""Files are complete or absent."""

import errno
import os
import stat
import subprocess
import sys

import pytest

from emosphere_sb.fileio import atomic
from emosphere_sb.fileio.atomic import atomic_file, atomic_write, digest_of


def test_text_is_written_unchanged(tmp_path):
    atomic_write(tmp_path / "a.csv", "ü\r\nb\n")
    assert (tmp_path / "a.csv").read_bytes() == "ü\r\nb\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_old_file_remains_until_the_new_one_is_complete(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    atomic_write(path, "old")
    replace, seen = os.replace, []

    def look(*names):
        seen.append((path.read_text(), (tmp_path / "a.json.partial").read_text()))
        replace(*names)

    monkeypatch.setattr(atomic.os, "replace", look)
    atomic_write(path, "new")
    assert seen == [("old", "new")]
    assert path.read_text() == "new"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_fault_full_disk_preserves_the_old_file_and_names_it(tmp_path):
    path = tmp_path / "a.json"
    atomic_write(path, "old")
    (tmp_path / "a.json.partial").symlink_to("/dev/full")  # every write fails
    with pytest.raises(OSError, match=r"a\.json cannot be written: No space left") as error:
        atomic_write(path, "new")
    assert error.value.errno == errno.ENOSPC
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert path.read_text() == "old"


def test_digest_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest_of(tmp_path / "a") == expected


def test_files_that_differ_in_suffix_have_different_partial_files(tmp_path, monkeypatch):
    """Another process writes the Markdown file of the same table in the meantime."""
    whole = atomic.os.replace

    def replace(source, target):
        monkeypatch.setattr(atomic.os, "replace", whole)
        atomic_write(tmp_path / "a.md", "theirs")
        whole(source, target)

    monkeypatch.setattr(atomic.os, "replace", replace)
    atomic_write(tmp_path / "a.csv", "ours")
    assert (tmp_path / "a.csv").read_text() == "ours"
    assert (tmp_path / "a.md").read_text() == "theirs"
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "a.md"}


def test_bytes_are_written_unchanged(tmp_path):
    atomic_write(tmp_path / "a.png", b"\x89PNG\r\n")
    assert (tmp_path / "a.png").read_bytes() == b"\x89PNG\r\n"


def test_invalid_unicode_is_rejected_or_escaped(tmp_path):
    path = tmp_path / "a.csv"
    with pytest.raises(UnicodeEncodeError):
        atomic_write(path, "\udcff")
    assert list(tmp_path.iterdir()) == []
    atomic_write(path, "\udcff", errors="backslashreplace")
    assert path.read_bytes() == b"\\udcff"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_error_preserves_the_old_file(tmp_path, error):
    path = tmp_path / "a.npz"
    atomic_write(path, "old")
    with pytest.raises(error), atomic_file(path) as file:
        file.write(b"half")
        raise error
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_partial_file_of_a_killed_writer_is_overwritten(tmp_path):
    (tmp_path / "a.json.partial").write_text("longer than what follows")
    atomic_write(tmp_path / "a.json", "new")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.json": "new"}


def test_custom_partial_file(tmp_path):
    partial = tmp_path / ".a.7.tmp"
    with atomic_file(tmp_path / "a", partial=partial) as file:
        file.write(b"one ")
        file.write(b"two")
        assert [path.name for path in tmp_path.iterdir()] == [partial.name]
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a": b"one two"}


def test_content_is_flushed_before_the_name(tmp_path, monkeypatch):
    fsync, seen = os.fsync, []

    def look(handle):
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        seen.append((kind, sorted(path.name for path in tmp_path.iterdir())))
        fsync(handle)

    monkeypatch.setattr(atomic.os, "fsync", look)
    atomic_write(tmp_path / "a", "text")
    assert seen == [("file", ["a.partial"]), ("folder", ["a"])]


def test_folders_are_flushed_after_their_content(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    for name in ("a", "sub/b"):
        (tmp_path / name).write_text(name)
    seen = []
    monkeypatch.setattr(atomic, "fsync_path", seen.append)
    atomic.fsync_tree(tmp_path)
    assert sorted(seen) == sorted(tmp_path / name for name in ("", "a", "sub", "sub/b"))
    assert seen.index(tmp_path / "sub") > seen.index(tmp_path / "sub" / "b")
    assert seen[-1] == tmp_path


@pytest.mark.parametrize("package", ["torch", "numpy", "filelock"])
def test_import_requires_only_the_standard_library(package, root):
    code = f"import sys, emosphere_sb.fileio.atomic; print({package!r} in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert run.stdout.strip() == "False"

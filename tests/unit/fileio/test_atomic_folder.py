"""Atomic folders are complete or absent after errors and kills."""

import os
import signal
import subprocess
import sys
import time

import pytest

from emosphere_sb.fileio import atomic_folder as folders
from emosphere_sb.fileio.atomic_folder import LOCK, atomic_folder

SCRIPT = """
import sys, time
from pathlib import Path
from emosphere_sb.fileio.atomic_folder import atomic_folder
with atomic_folder(sys.argv[1]) as folder:
    (folder / "half").write_text("half")
    Path(sys.argv[2]).touch()
    time.sleep(600)
"""


def write(out, text="whole"):
    with atomic_folder(out) as folder:
        (folder / "file").write_text(text)


@pytest.fixture
def writer(tmp_path):
    """Start a process that is writing to ``out``."""
    sign = tmp_path / "sign"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path / "out"), str(sign)])
    while not sign.exists():
        assert process.poll() is None
        time.sleep(0.02)
    sign.unlink()
    yield process
    process.kill()
    process.wait()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("before", ["nothing", "an empty folder", "no parent"])
def test_folder_appears_with_all_files(tmp_path, before):
    out = tmp_path / "a" / "b" if before == "no parent" else tmp_path / "out"
    if before == "an empty folder":
        out.mkdir()
    write(out)
    assert names(out) == ["file"] and (out / "file").read_text() == "whole"
    assert names(out.parent) == [out.name]


def test_folder_does_not_exist_before_the_end(tmp_path):
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "file").write_text("whole")
        assert not (tmp_path / "out").exists()
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_error_leaves_no_files(tmp_path, error):
    with pytest.raises(error), atomic_folder(tmp_path / "out") as folder:
        (folder / "file").write_text("half")
        raise error
    assert names(tmp_path) == []


def test_next_writer_removes_the_files_of_a_killed_writer(tmp_path, writer):
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert not (tmp_path / "out").exists()
    assert names(tmp_path) == [".out.partial"]
    write(tmp_path / "out")
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["file"]


def test_two_writers_do_not_mix(tmp_path, writer):
    with pytest.raises(TimeoutError, match="Another process is writing to"):
        write(tmp_path / "out")
    assert (tmp_path / ".out.partial" / "content" / "half").exists()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_existing_file_or_folder_is_rejected(tmp_path, kind):
    out = tmp_path / "out"
    if kind == "folder":
        out.mkdir()
    (out / "mine" if kind == "folder" else out).write_text("mine")
    with pytest.raises(FileExistsError, match="must be a new or empty folder"):
        write(out)
    assert (out / "mine" if kind == "folder" else out).read_text() == "mine"


def test_unrelated_partial_folder_is_not_deleted(tmp_path):
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "mine").write_text("mine")
    with pytest.raises(FileExistsError, match=r"contains other files\. Move or delete them"):
        write(tmp_path / "out")
    assert names(tmp_path / ".out.partial") == ["mine"]


def test_link_to_an_empty_folder_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(tmp_path / "link")
    assert names(tmp_path / "real") == ["file"] and (tmp_path / "link").is_symlink()


def test_private_files_get_default_permissions(tmp_path):
    before = os.umask(0o022)
    try:
        with atomic_folder(tmp_path / "out") as folder:
            (folder / "file").touch(mode=0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "out" / "file").stat().st_mode & 0o777 == 0o644
    assert not (tmp_path / "out" / LOCK).exists()


def test_old_content_stays_until_the_new_one_is_complete(tmp_path):
    out = tmp_path / "out"
    write(out, "old")
    (out / "only old").touch()
    with atomic_folder(out, overwrite=True) as folder:
        (folder / "file").write_text("new")
        assert names(out) == ["file", "only old"] and (out / "file").read_text() == "old"
    assert names(out) == ["file"] and (out / "file").read_text() == "new"
    assert names(tmp_path) == ["out"]


def test_error_preserves_the_old_content(tmp_path):
    write(tmp_path / "out", "old")
    with pytest.raises(ValueError), atomic_folder(tmp_path / "out", overwrite=True) as folder:
        (folder / "file").write_text("half")
        raise ValueError
    assert names(tmp_path) == ["out"] and (tmp_path / "out" / "file").read_text() == "old"


def test_folders_in_a_folder_stay_accessible(tmp_path):
    before = os.umask(0o022)
    try:
        with atomic_folder(tmp_path / "out") as folder:
            (folder / "sub").mkdir()
            (folder / "sub" / "file").touch(mode=0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "out" / "sub").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out" / "sub" / "file").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(("fsync", "flushed"), [(True, 1), (False, 0)])
def test_content_is_flushed_to_the_disk_on_request(tmp_path, monkeypatch, fsync, flushed):
    seen = []
    monkeypatch.setattr(folders, "fsync_tree", seen.append)
    with atomic_folder(tmp_path / "out", fsync=fsync):
        pass
    assert len(seen) == flushed

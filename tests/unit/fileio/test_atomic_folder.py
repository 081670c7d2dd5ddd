"""A folder that is whole or not there, whatever happens while it is written."""

import os
import signal
import subprocess
import sys
import time

import pytest

from emosphere_sb.fileio.atomic_folder import LOCK, whole_folder

SCRIPT = """
import sys, time
from pathlib import Path
from emosphere_sb.fileio.atomic_folder import whole_folder
with whole_folder(sys.argv[1]) as folder:
    (folder / "half").write_text("half")
    Path(sys.argv[2]).touch()
    time.sleep(600)
"""


def write(out, text="whole"):
    with whole_folder(out) as folder:
        (folder / "file").write_text(text)


@pytest.fixture
def writer(tmp_path):
    """Another process in the middle of writing ``out``."""
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
def test_appears_with_all_its_files(tmp_path, before):
    out = tmp_path / "a" / "b" if before == "no parent" else tmp_path / "out"
    if before == "an empty folder":
        out.mkdir()
    write(out)
    assert names(out) == ["file"] and (out / "file").read_text() == "whole"
    assert names(out.parent) == [out.name]


def test_is_not_there_before_the_end(tmp_path):
    with whole_folder(tmp_path / "out") as folder:
        (folder / "file").write_text("whole")
        assert not (tmp_path / "out").exists()
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_error_leaves_nothing(tmp_path, error):
    with pytest.raises(error), whole_folder(tmp_path / "out") as folder:
        (folder / "file").write_text("half")
        raise error
    assert names(tmp_path) == []


def test_killed_writer_leaves_no_folder_and_the_next_one_tidies(tmp_path, writer):
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert not (tmp_path / "out").exists()
    assert names(tmp_path) == [".out.partial"]
    write(tmp_path / "out")
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["file"]


def test_two_writers_do_not_mix(tmp_path, writer):
    with pytest.raises(TimeoutError, match="written by another process"):
        write(tmp_path / "out")
    assert (tmp_path / ".out.partial" / "content" / "half").exists()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_place_that_is_taken(tmp_path, kind):
    out = tmp_path / "out"
    if kind == "folder":
        out.mkdir()
    (out / "mine" if kind == "folder" else out).write_text("mine")
    with pytest.raises(FileExistsError, match="new or an empty folder"):
        write(out)
    assert (out / "mine" if kind == "folder" else out).read_text() == "mine"


def test_folder_of_somebody_elses_is_left_alone(tmp_path):
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "mine").write_text("mine")
    with pytest.raises(FileExistsError, match="move it elsewhere"):
        write(tmp_path / "out")
    assert names(tmp_path / ".out.partial") == ["mine"]


def test_link_to_an_empty_folder_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(tmp_path / "link")
    assert names(tmp_path / "real") == ["file"] and (tmp_path / "link").is_symlink()


def test_private_files_get_the_rights_of_new_ones(tmp_path):
    before = os.umask(0o022)
    try:
        with whole_folder(tmp_path / "out") as folder:
            (folder / "file").touch(mode=0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "out" / "file").stat().st_mode & 0o777 == 0o644
    assert not (tmp_path / "out" / LOCK).exists()

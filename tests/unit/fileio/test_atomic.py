"""Files are whole or not there; locks end with their process."""

import errno
import os
import subprocess
import sys

import pytest

from emosphere_sb.fileio import atomic
from emosphere_sb.fileio.atomic import digest_of, held, write_whole

HOLDER = """
import sys, time
from emosphere_sb.fileio.atomic import held
with held(sys.argv[1], seconds=0):
    print("held", flush=True)
    time.sleep(600)
"""


def test_text_arrives_as_it_is(tmp_path):
    write_whole(tmp_path / "a.csv", "ü\r\nb\n")
    assert (tmp_path / "a.csv").read_bytes() == "ü\r\nb\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_whole(path, "old")
    replace, seen = os.replace, []

    def look(*names):
        seen.append((path.read_text(), (tmp_path / "a.json.partial").read_text()))
        replace(*names)

    monkeypatch.setattr(atomic.os, "replace", look)
    write_whole(path, "new")
    assert seen == [("old", "new")]
    assert path.read_text() == "new"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_fault_full_disk_keeps_the_old_file_and_names_it(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, "old")
    (tmp_path / "a.json.partial").symlink_to("/dev/full")  # where every write finds no room
    with pytest.raises(OSError, match=r"a\.json cannot be written: No space left") as error:
        write_whole(path, "new")
    assert error.value.errno == errno.ENOSPC
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert path.read_text() == "old"


def test_digest_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest_of(tmp_path / "a") == expected


def test_lock_of_another_process_is_respected_until_it_is_killed(tmp_path, root):
    lock = tmp_path / "a.lock"
    environment = {**os.environ, "PYTHONPATH": str(root)}
    words = [sys.executable, "-c", HOLDER, str(lock)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(TimeoutError), held(lock, seconds=0.05):
            pass
        other.kill()
        other.wait()
    assert lock.exists()
    with held(lock, seconds=0):
        pass


def test_lock_is_given_back_after_an_error(tmp_path):
    with pytest.raises(KeyError), held(tmp_path / "a.lock", seconds=0):
        raise KeyError
    with held(tmp_path / "a.lock", seconds=0):
        pass


def test_disk_without_locks_is_said_and_used(tmp_path, monkeypatch, caplog):
    def fail(*_, **__):
        raise NotImplementedError

    monkeypatch.setattr(atomic.FileLock, "acquire", fail)
    with held(tmp_path / "a.lock", seconds=0):
        pass
    assert "has no locks" in caplog.text


def test_files_that_differ_in_their_endings_do_not_meet_while_they_are_written(
    tmp_path, monkeypatch
):
    """Another process writes the same table's Markdown in the middle."""
    whole = atomic.os.replace

    def replace(source, target):
        monkeypatch.setattr(atomic.os, "replace", whole)
        write_whole(tmp_path / "a.md", "theirs")
        whole(source, target)

    monkeypatch.setattr(atomic.os, "replace", replace)
    write_whole(tmp_path / "a.csv", "ours")
    assert (tmp_path / "a.csv").read_text() == "ours"
    assert (tmp_path / "a.md").read_text() == "theirs"
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "a.md"}

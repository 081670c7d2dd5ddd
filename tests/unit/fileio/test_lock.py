"""File locks are released when their process ends."""

import os
import subprocess
import sys

import pytest

from emosphere_sb.fileio import lock
from emosphere_sb.fileio.lock import file_lock

HOLDER = """
import sys, time
from emosphere_sb.fileio.lock import file_lock
with file_lock(sys.argv[1], timeout=0):
    print("locked", flush=True)
    time.sleep(600)
"""


def test_lock_of_another_process_is_respected_until_it_is_killed(tmp_path, root):
    path = tmp_path / "a.lock"
    environment = {**os.environ, "PYTHONPATH": str(root)}
    words = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(TimeoutError), file_lock(path, timeout=0.05):
            pass
        other.kill()
        other.wait()
    assert path.exists()
    with file_lock(path, timeout=0):
        pass


def test_lock_is_released_after_an_error(tmp_path):
    with pytest.raises(KeyError), file_lock(tmp_path / "a.lock", timeout=0):
        raise KeyError
    with file_lock(tmp_path / "a.lock", timeout=0):
        pass


def test_missing_filelock_package_is_stated(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(lock, "FileLock", None)
    with caplog.at_level("INFO"), file_lock(tmp_path / "a.lock", timeout=0):
        assert "Install filelock to lock" in caplog.text


def test_file_system_without_locking_gives_a_warning(tmp_path, monkeypatch, caplog):
    def fail(*_, **__):
        raise NotImplementedError

    monkeypatch.setattr(lock.FileLock, "acquire", fail)
    with file_lock(tmp_path / "a.lock", timeout=0):
        pass
    assert "does not support locking" in caplog.text

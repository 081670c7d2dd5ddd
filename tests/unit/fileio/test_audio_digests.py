"""Digests of audio files: by content, and read only once."""

import hashlib
import os
import shutil

import pytest

from emosphere_sb.fileio import audio_digests as module
from emosphere_sb.fileio.audio_digests import UNREADABLE, audio_digests


@pytest.fixture
def paths(tmp_path):
    paths = [tmp_path / f"{name}.wav" for name in "abc"]
    for path, content in zip(paths, (b"1", b"2", b"1"), strict=True):
        path.write_bytes(content * 5)
    return list(map(str, paths))


@pytest.fixture
def read(monkeypatch):
    """Paths of the files that are read."""
    read, digest = [], module.file_digest
    monkeypatch.setattr(module, "file_digest", lambda path: read.append(path) or digest(path))
    return read


def test_digest_depends_on_content_only(tmp_path, paths):
    digests = audio_digests(tmp_path, paths)
    assert digests[paths[0]] == hashlib.blake2b(b"11111", digest_size=16).hexdigest()
    assert digests[paths[0]] == digests[paths[2]] != digests[paths[1]]


def test_unchanged_files_are_read_once(tmp_path, paths, read):
    first = audio_digests(tmp_path, [*paths, *paths])
    assert sorted(read) == paths
    assert audio_digests(tmp_path, paths) == first
    assert sorted(read) == paths


@pytest.mark.parametrize("change", ["size", "time", "path", "content"])
def test_changed_file_is_read_again(change, tmp_path, paths, read):
    before = audio_digests(tmp_path, paths)
    del read[:]
    if change == "size":
        with open(paths[0], "ab") as file:
            file.write(b"1")
    elif change == "time":
        os.utime(paths[0], ns=(1, 1))
    elif change == "content":  # same size and modification time
        stat = os.stat(paths[0])
        with open(paths[0], "wb") as file:
            file.write(b"31111")
        os.utime(paths[0], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    else:
        paths[0] = shutil.copy2(paths[0], str(tmp_path / "elsewhere.wav"))
    after = audio_digests(tmp_path, paths)
    assert read == [paths[0]]
    assert (after[paths[0]] == before[paths[2]]) == (change in ("time", "path"))


def test_damaged_list_is_read_as_far_as_it_is_intact(tmp_path, paths, read):
    first = audio_digests(tmp_path, paths)
    os.truncate(tmp_path / module.FILE_NAME, os.path.getsize(tmp_path / module.FILE_NAME) - 1)
    del read[:]
    assert audio_digests(tmp_path, paths) == first
    assert read == [paths[2]]


def test_missing_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        audio_digests(tmp_path, [tmp_path / "missing.wav"])


def test_unreadable_file_is_not_stored(tmp_path):
    path = tmp_path / "late.wav"
    found = audio_digests(tmp_path, [path], allow_unreadable=True)
    assert found == {str(path): UNREADABLE}
    path.write_bytes(b"1")
    found = audio_digests(tmp_path, [path], allow_unreadable=True)
    assert found == audio_digests(tmp_path, [path]) != {str(path): UNREADABLE}

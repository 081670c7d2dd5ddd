"""Digests of audio files: cached by state, independent of path and time."""

import hashlib
import json
import os

from data_prep import audio_fingerprint
from data_prep.audio_fingerprint import UNREADABLE, file_digests


def sha(content):
    return hashlib.sha256(content).hexdigest()


def test_digest_is_the_sha256_of_the_content(tmp_path):
    paths = {str(tmp_path / name) for name in ("a.wav", "b.wav")}
    for path in paths:
        with open(path, "wb") as file:
            file.write(path[-5:].encode())
    found = file_digests(paths, tmp_path / "audio.json")
    assert found == {path: sha(path[-5:].encode()) for path in paths}


def test_only_changed_files_are_read_again(tmp_path, monkeypatch):
    paths = [tmp_path / f"{n}.wav" for n in range(3)]
    for path in paths:
        path.write_bytes(b"one")
    names = {str(path) for path in paths}
    file_digests(names, tmp_path / "audio.json")
    read = []
    whole = audio_fingerprint.digest_of
    monkeypatch.setattr(audio_fingerprint, "digest_of", lambda p: read.append(p) or whole(p))
    status = paths[1].stat()
    paths[1].write_bytes(b"two")
    os.utime(paths[1], ns=(status.st_atime_ns, status.st_mtime_ns))  # same size and time
    found = file_digests(names, tmp_path / "audio.json")
    assert read == [str(paths[1])]
    assert found[str(paths[1])] == sha(b"two")
    assert found[str(paths[0])] == sha(b"one")


def test_missing_file_is_not_cached(tmp_path):
    path = tmp_path / "a.wav"
    assert file_digests({str(path)}, tmp_path / "audio.json") == {str(path): UNREADABLE}
    assert json.loads((tmp_path / "audio.json").read_text()) == {}
    path.write_bytes(b"one")
    assert file_digests({str(path)}, tmp_path / "audio.json") == {str(path): sha(b"one")}

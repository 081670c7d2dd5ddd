"""Digests of the audio of sets, by an independent formula."""

import hashlib

import pytest

from data_prep.manifest import prepare_manifests
from data_prep.set_digests import set_digests


@pytest.fixture
def summary(data, tmp_path, reader, sets_of):
    return prepare_manifests(reader(sets_of()), data, tmp_path / "out")


def digest_of_set(pairs):
    text = "".join(f"{name}\0{digest}\n" for name, digest in sorted(pairs.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def blake(path):
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def test_digest_is_that_of_the_ids_and_the_contents(summary, data, tmp_path):
    found = set_digests(summary.sets, summary.data_root, tmp_path)
    assert found["train"] == digest_of_set({n: blake(data / f"{n}.wav") for n in "abcdef"})
    assert found == summary.audio_digests


def test_missing_file_changes_the_digest_until_it_is_back(summary, data, tmp_path):
    before = set_digests(summary.sets, summary.data_root, tmp_path)
    content = (data / "a.wav").read_bytes()
    (data / "a.wav").unlink()
    without = set_digests(summary.sets, summary.data_root, tmp_path)
    left = {name: blake(data / f"{name}.wav") for name in "bcdef"}
    assert without == {**before, "train": digest_of_set({**left, "a": "unreadable"})}
    (data / "a.wav").write_bytes(content)
    assert set_digests(summary.sets, summary.data_root, tmp_path) == before

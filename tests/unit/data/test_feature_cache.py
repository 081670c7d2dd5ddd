"""Feature cache: exact round trip, and rejection of incomplete and outdated caches."""

import json
import os
import pickle
import platform
import shutil

import numpy as np
import pytest
import torch

from emosphere_sb.data import feature_cache
from emosphere_sb.data.feature_cache import FeatureCache


@pytest.fixture
def audio(tmp_path):
    files = {name: tmp_path / f"{name}.wav" for name in "abc"}
    for name, path in files.items():
        path.write_bytes(name.encode() * 10)
    return {name: str(path) for name, path in files.items()}


@pytest.fixture
def states():
    chance = torch.Generator().manual_seed(0)
    return {
        n: torch.randn(k, 2, 3, generator=chance) for n, k in zip("abc", (4, 1, 7), strict=True)
    }


def make(tmp_path, audio, precision="fp32"):
    return FeatureCache(tmp_path / "cache", "train", audio, precision)


def filled(tmp_path, audio, states, precision="fp32"):
    cache = make(tmp_path, audio, precision)
    cache.reserve(1000)
    with cache.writer() as writer:
        for name in "cab":
            writer.add(name, states[name])
    return cache


def test_cached_states_equal_written_states(tmp_path, audio, states):
    assert not make(tmp_path, audio).open()
    filled(tmp_path, audio, states)
    cache = make(tmp_path, audio)
    assert cache.open()
    for reader in (cache, pickle.loads(pickle.dumps(cache))):  # loader workers get a copy
        for name, value in states.items():
            assert torch.equal(reader[name], value)
    assert cache.data.stat().st_size == cache.bytes_for(12, 2, 3) == 12 * 2 * 3 * 4


def test_half_precision_cache_has_half_the_size(tmp_path, audio, states):
    cache = filled(tmp_path, audio, states, "fp16")
    assert cache.open() and cache["a"].dtype == torch.float16
    torch.testing.assert_close(cache["a"].float(), states["a"], rtol=1e-3, atol=1e-3)
    assert cache.data.stat().st_size == 12 * 2 * 3 * 2
    assert not make(tmp_path, audio).open()  # another precision is another cache


@pytest.mark.parametrize("change", ["content", "time", "path", "more", "fewer"])
def test_cache_is_not_used_for_changed_audio(change, tmp_path, audio, states):
    filled(tmp_path, audio, states)
    if change == "content":
        with open(audio["a"], "ab") as file:
            file.write(b"x")
    elif change == "time":
        os.utime(audio["a"], ns=(1, 1))
    elif change == "path":
        audio["a"] = shutil.copy2(audio["a"], tmp_path / "elsewhere.wav")
    elif change == "more":
        audio["d"] = audio["a"]
    else:
        del audio["a"]
    assert not make(tmp_path, audio).open()


def test_outdated_caches_are_deleted(tmp_path, audio, states):
    old = filled(tmp_path, audio, states)
    os.utime(audio["a"], ns=(1, 1))
    new = filled(tmp_path, audio, states)
    assert not old.data.exists() and not old.index.exists()
    assert new.open()


@pytest.mark.parametrize(
    "fault",
    ["cut", "longer", "no index", "no data", "layout", "empty index", "half index", "other index"],
)
def test_damaged_cache_is_not_opened(fault, tmp_path, audio, states):
    cache = filled(tmp_path, audio, states)
    if fault == "cut":
        os.truncate(cache.data, 100)
    elif fault == "longer":
        with cache.data.open("ab") as file:
            file.write(b"\0")
    elif fault == "layout":
        facts = json.loads(cache.index.read_text())
        cache.index.write_text(json.dumps({**facts, "version": -1}))
    elif fault.endswith(" index") and fault != "no index":
        text = cache.index.read_text()
        texts = {"empty index": "", "half index": text[: len(text) // 2], "other index": "[1]"}
        cache.index.write_text(texts[fault])
    else:
        (cache.index if fault == "no index" else cache.data).unlink()
    assert not make(tmp_path, audio).open()
    filled(tmp_path, audio, states)
    assert make(tmp_path, audio).open()


def test_killed_writer_leaves_no_usable_cache(tmp_path, audio, states):
    cache = make(tmp_path, audio)
    cache.reserve(1)
    child = os.fork()
    if child == 0:  # exits as by SIGKILL: no context manager cleans up
        writer = cache.writer().__enter__()
        writer.add("a", states["a"])
        writer.file.flush()
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert [path.suffix for path in cache.folder.iterdir()] == [".partial"]
    assert not make(tmp_path, audio).open()
    filled(tmp_path, audio, states)
    assert sorted(path.suffix for path in cache.folder.iterdir()) == [".bin", ".json"]


def test_partial_file_of_a_running_writer_remains(tmp_path, audio, states):
    """Two runs of the same backbone with different seeds fill the same cache."""
    cache = make(tmp_path, audio)
    cache.reserve(1)
    other = cache.data.with_suffix(f".{platform.node()}.{os.getppid()}.partial")
    elsewhere = cache.data.with_suffix(".another-machine.999999999.partial")
    for path in (other, elsewhere):
        path.write_bytes(b"1")
    filled(tmp_path, audio, states)
    assert other.exists() and elsewhere.exists() and make(tmp_path, audio).open()


def test_abandoned_partial_files_are_deleted_before_the_space_check(tmp_path, audio, monkeypatch):
    cache = make(tmp_path, audio)
    cache.folder.mkdir()
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    left = cache.data.with_suffix(f".{platform.node()}.{dead}.partial")
    left.write_bytes(b"1")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        feature_cache.shutil,
        "disk_usage",
        lambda folder: usage._replace(free=0 if left.exists() else 9),
    )
    cache.reserve(9)


@pytest.mark.parametrize("value", [65505.0, -1e5])
def test_values_beyond_half_precision_raise(value, tmp_path, audio, states):
    states["b"][0, 1, 2] = value
    with pytest.raises(ValueError, match=r"The features of b reach .*feature_cache_precision=fp32"):
        filled(tmp_path, audio, states, "fp16")
    assert list((tmp_path / "cache").iterdir()) == []
    assert filled(tmp_path, audio, states).open()


def test_cache_without_index_is_not_opened(tmp_path, audio, states, monkeypatch):
    cache, real = make(tmp_path, audio), os.replace
    cache.reserve(1)

    def dies(source, target):
        if str(target).endswith(".json"):
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(feature_cache.os, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        filled(tmp_path, audio, states)
    assert not make(tmp_path, audio).open()


@pytest.mark.parametrize("when", ["write", "end"])
def test_full_disk_leaves_no_files(when, tmp_path, audio, states):
    """Every write to /dev/full fails with the error for a full disk."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    cache = make(tmp_path, audio)
    cache.reserve(1)
    size = 0 if when == "write" else 10_000  # of the buffer
    with pytest.raises(OSError, match="No space left"), cache.writer() as writer:
        writer.file.close()
        writer.file = open("/dev/full", "wb", buffering=size)  # noqa: SIM115
        for name, value in states.items():
            writer.add(name, value)
    assert list(cache.folder.iterdir()) == []


def test_insufficient_disk_space_raises_before_writing(tmp_path, audio, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=999)
    monkeypatch.setattr(feature_cache.shutil, "disk_usage", lambda folder: usage)
    cache = make(tmp_path, audio)
    cache.reserve(999)
    with pytest.raises(OSError, match=r"needs 0.00 GB .* only 0.00 GB is free.*--feature_cache_p"):
        cache.reserve(1000)


def test_missing_utterances_raise(tmp_path, audio, states):
    cache = make(tmp_path, audio)
    cache.reserve(1)
    with pytest.raises(ValueError, match="features of 2 utterances"), cache.writer() as writer:
        writer.add("a", states["a"])
    assert list(cache.folder.iterdir()) == []


def test_unknown_precision_raises():
    with pytest.raises(ValueError, match="must be one of fp32, fp16; found 'bf16'"):
        FeatureCache("x", "train", {}, "bf16")


def test_nan_and_inf_are_preserved(tmp_path, audio, states):
    states["b"][0, 0, 0] = float("nan")
    cache = filled(tmp_path, audio, states)
    cache.open()
    assert np.isnan(cache["b"][0, 0, 0])

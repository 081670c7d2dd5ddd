"""Feature store: exact round trip, killed writers, several processes, damage, full disk."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from emosphere_sb.data import feature_store
from emosphere_sb.data.feature_layout import Layout
from emosphere_sb.data.feature_store import DamagedFeaturesError, FeatureStore, find_stores

LAYOUT = Layout("frames", "fp32", states=2, size=3)


def states(key):
    generator = np.random.default_rng(list(key.encode()))
    return generator.normal(size=(1 + ord(key[0]) % 7, 2, 3)).astype(np.float32)


@pytest.fixture
def store(tmp_path):
    store = FeatureStore(tmp_path / "store", LAYOUT)
    store.create({"backbone": "x"})
    return store


def fill(store, keys):
    with store.writer() as writer:
        for key in keys:
            writer.add(key, states(key))
    store.refresh()


def files(store, suffix):
    return sorted(store.folder.glob(f"*.{suffix}"))


def assert_intact(store, keys):
    store.refresh()
    assert set(store.records) == set(keys)
    assert store.damaged() == []
    for key in keys:
        assert np.array_equal(store.frames(key), states(key))


def test_features_are_read_as_written(store):
    fill(store, "cab")
    assert_intact(store, "abc")
    copy = pickle.loads(pickle.dumps(store))  # data loader processes get a copy
    for key in "abc":
        assert np.array_equal(copy.frames(key), states(key))
        assert copy.frame_count(key) == len(states(key))


def test_pickled_store_contains_no_features(store):
    fill(store, "abc")
    store.frames("a")
    assert states("a").tobytes() not in pickle.dumps(store)


def test_features_of_several_writers_are_combined(store):
    fill(store, "ab")
    fill(store, "cd")
    fill(store, "")  # leaves no files
    assert len(files(store, "bin")) == len(files(store, "index")) == 2
    assert_intact(store, "abcd")


def test_index_is_valid_only_after_the_record(store):
    with store.writer() as writer:
        writer.add("a", states("a"))
        store.refresh()
        assert "a" not in store
        writer.commit()
        assert_intact(store, "a")


WRITER = """
import sys, time
from tests.unit.data.test_feature_store import *
store = FeatureStore(sys.argv[1], LAYOUT)
store.create({})
with store.locked():
    store.refresh()
    missing = [key for key in sys.argv[2] if key not in store]
    with store.writer() as writer:
        for key in missing:
            print(key, flush=True)
            writer.add(key, states(key))
            if key == sys.argv[3]:  # before it is committed
                writer.data.write(b"incomplete")
                writer.data.flush()
                time.sleep(60)
            writer.commit()
"""


def start_writer(store, keys, stop_at, root):
    command = [sys.executable, "-c", WRITER, str(store.folder), keys, stop_at]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def wait_until_at(process, key):
    assert any(line.strip() == key for line in process.stdout)


def test_finished_utterances_of_a_killed_writer_are_used(store, root):
    process = start_writer(store, "abcd", "c", root)
    wait_until_at(process, "c")
    time.sleep(0.2)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    assert_intact(store, "ab")
    fill(store, "cd")
    assert_intact(store, "abcd")


def test_second_process_continues_after_the_first_is_killed(store, root):
    """No utterance is computed twice, except that which was not complete."""
    first = start_writer(store, "abcd", "c", root)
    wait_until_at(first, "c")
    second = start_writer(store, "abcde", "", root)
    time.sleep(0.5)
    assert second.poll() is None  # waits for the lock
    first.kill()
    computed, _ = second.communicate(timeout=60)
    assert second.returncode == 0
    first.wait()
    first.stdout.close()
    assert computed.split() == ["c", "d", "e"]
    assert_intact(store, "abcde")


def test_writers_on_a_file_system_without_locks_do_not_interfere(store, monkeypatch):
    """Each process writes its own files, so the worst case is that features are computed twice."""
    with store.writer() as one, store.writer() as two:
        for key in "abc":
            one.add(key, states(key))
            two.add(key, states(key))
            one.commit()
        two.commit()
    assert_intact(store, "abc")


def test_waiting_is_reported(store):
    calls = []

    def waiting():
        calls.append(1)
        raise InterruptedError

    other = FeatureStore(store.folder, LAYOUT)
    with store.locked(), pytest.raises(InterruptedError), other.locked(waiting):
        pass
    assert calls == [1]
    with store.locked(waiting):
        pass


@pytest.mark.parametrize("fault", ["record", "cut data", "no data", "line", "cut index"])
def test_damaged_features_are_found_and_can_be_replaced(fault, store):
    fill(store, "a")
    fill(store, "bc")
    data = next(path for path in files(store, "bin") if store.records["b"].shard in path.name)
    index = data.with_suffix(".index")
    if fault == "record":
        content = bytearray(data.read_bytes())
        content[-1] ^= 1  # in the last record
        data.write_bytes(content)
    elif fault == "cut data":
        os.truncate(data, data.stat().st_size - 1)
    elif fault == "no data":
        data.unlink()
    elif fault == "line":
        index.write_bytes(index.read_bytes().replace(b'["c"', b'["d"'))
    else:
        os.truncate(index, index.stat().st_size - 1)
    fresh = FeatureStore(store.folder, LAYOUT)
    fresh.refresh()
    if fault == "record":
        assert fresh.damaged() == ["c"]
        with pytest.raises(DamagedFeaturesError, match=r"are damaged. Run emosphere cache verify"):
            fresh.frames("c")
        fresh.forget(["c"])
    intact = "a" if fault == "no data" else "ab"
    assert_intact(fresh, intact)
    fill(fresh, set("abc") - set(intact))
    assert_intact(fresh, "abc")


def test_forgotten_utterances_are_removed_from_all_shards(store):
    fill(store, "ab")
    fill(store, "bc")
    store.forget(["b"])
    assert_intact(store, "ac")


@pytest.mark.parametrize("when", ["write", "commit"])
def test_full_disk_keeps_the_utterances_committed_before(when, store):
    """Every write to /dev/full fails with the error for a full disk."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    size = 0 if when == "write" else 10_000  # of the buffer
    with pytest.raises(OSError, match="No space left"), store.writer() as writer:
        writer.add("a", states("a"))
        writer.commit()
        writer.data.close()
        writer.data = open("/dev/full", "wb", buffering=size)  # noqa: SIM115
        writer.add("b", states("b"))
        writer.commit()
    assert_intact(store, "a")
    (data,) = files(store, "bin")
    assert data.stat().st_size == LAYOUT.record_bytes(len(states("a")))


def test_full_disk_before_the_first_utterance_leaves_no_files(store):
    with pytest.raises(OSError, match="full"), store.writer() as writer:
        writer.add("a", states("a"))
        raise OSError("full")
    assert files(store, "bin") == files(store, "index") == []


def test_index_that_does_not_fit_on_the_disk_is_not_valid(store):
    class Full:
        def write(self, content):
            return 3

        def close(self):
            pass

    with pytest.raises(OSError, match="cannot be written"), store.writer() as writer:
        writer.index.close()
        writer.index = Full()
        writer.add("a", states("a"))
    assert_intact(store, "")
    assert files(store, "bin") == []


def test_insufficient_disk_space_raises(store, monkeypatch):
    usage = shutil.disk_usage(store.folder)._replace(free=999)
    monkeypatch.setattr(feature_store.shutil, "disk_usage", lambda folder: usage)
    assert "needs 0.00 GB" in store.check_space(999)
    with pytest.raises(OSError, match=r"needs 0.00 GB .* only 0.00 GB is free.*--feature_cache_f"):
        store.check_space(1000)


def test_only_stores_of_this_version_are_found(store):
    store.create({"backbone": "another"})  # does not change an existing description
    (found,) = find_stores(store.folder.parent).values()
    assert found["backbone"] == "x" and Layout(**found["layout"]) == LAYOUT
    path = store.folder / feature_store.DESCRIPTION
    for content in ("{", "[]", json.dumps({**found, "version": -1}), '{"version": 2}'):
        path.write_text(content)
        assert find_stores(store.folder.parent) == {}
    store.create({"backbone": "another"})
    (found,) = find_stores(store.folder.parent).values()
    assert found["backbone"] == "another"

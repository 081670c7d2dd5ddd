"""Datasets and loaders: labels, crops, padding, micro-batches, unusual paths."""

import csv
import math
import os
import re
import signal

import numpy as np
import pytest
import soundfile
import torch

from data_prep.manifest import MANIFEST_COLUMNS, read_manifest_rows
from emosphere_sb.data.dataset import (
    Batch,
    CollateStep,
    SpeechDataset,
    collate,
    eval_loader,
    longest_batch,
    normalised_vad,
    train_loader,
)
from emosphere_sb.data.sampler import PooledBatchSampler
from emosphere_sb.lobes import NoTask, RegionTask
from emosphere_sb.scale import DIMENSIONS, Scale

RATE = 16000
SCALE = Scale(1, 7)
LABELS = {"valence": "5.5", "arousal": "4.0", "dominance": "1.0", "emotion": "happy"}


def write_ramp(path, samples, offset=0.0):
    """Write a file in which the value of each sample encodes its position."""
    values = offset + np.arange(samples, dtype=np.float32) / 2**17
    soundfile.write(path, values, RATE, subtype="FLOAT")
    return values


def make_rows(folder, seconds, **labels):
    rows = {}
    for number, length in enumerate(seconds):
        path = folder / f"u{number}.wav"
        write_ramp(path, round(length * RATE))
        rows[f"u{number}"] = {"wav": str(path), "duration": length, **LABELS, **labels}
    return rows


def make_set(rows, **options):
    return SpeechDataset(rows, **{"scale": SCALE, "task": RegionTask(90), **options})


def write_manifest(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, MANIFEST_COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)


# ---- manifests and labels --------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["two words", "C: a,b", "$data_root", "${HOME} $x", 'q"uo\te', "Ü声"]
)
def test_audio_with_unusual_paths_is_read(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    values = write_ramp(folder / f"{name}.wav", 800)
    row = {"ID": name, "wav": f"$data_root/{name}.wav", "duration": "0.05", **LABELS}
    write_manifest(tmp_path / "m.csv", [row])
    item = make_set(read_manifest_rows(tmp_path / "m.csv", data_root=folder))[0]
    assert item["id"] == name
    assert np.array_equal(item["signal"], values)


def test_labels_are_normalised_to_minus_one_to_one():
    found = normalised_vad({**LABELS, "valence": "2.2"}, SCALE)
    assert found.dtype == torch.float64  # without an intermediate float32
    assert found.tolist() == [(2.2 - 4) / 3, 0.0, -1.0]


def test_reversed_dimension_is_mirrored():
    found = normalised_vad({**LABELS, "arousal": "2.5"}, Scale(1, 7, reversed=("arousal",)))
    assert found.tolist() == [0.5, 0.5, -1.0]


@pytest.mark.parametrize("empty", DIMENSIONS)
def test_empty_label_is_nan(empty):
    found = normalised_vad({**LABELS, empty: ""}, SCALE)
    place = DIMENSIONS.index(empty)
    assert found.isnan().tolist() == [index == place for index in range(3)]


@pytest.mark.parametrize(
    "scale, dimension, raw, region",
    [
        (Scale(1, 7), "valence", "4.0", 0),  # I
        (Scale(1, 7), "valence", "4.0000002", 0),
        (Scale(1, 7), "valence", "3.9999999", 3),  # IV (+A -V +D); 4.0 in float32
        (Scale(1, 7), "arousal", "3.9999999", 1),  # II (-A +V +D)
        (Scale(1, 7, ("arousal",)), "arousal", "4.0", 0),
        (Scale(1, 7, ("arousal",)), "arousal", "4.0000002", 1),  # 4.0 in float32
        (Scale(1, 7, ("arousal",)), "arousal", "3.9999999", 0),
    ],
)
def test_region_is_assigned_in_float64(scale, dimension, raw, region):
    others = {name: "2.0" if name in scale.reversed else "6.0" for name in DIMENSIONS}
    row = {"wav": "absent.wav", "duration": 1.0, "emotion": "", **others, dimension: raw}
    assert make_set({"a": row}, scale=scale).targets().tolist() == [region]


def test_region_of_borderline_label_needs_float64():
    assert np.float32("3.9999999") == 4.0 == np.float32("4.0000002")


def test_unknown_dimension_has_no_region(tmp_path):
    item = make_set(make_rows(tmp_path, [0.1], dominance=""))[0]
    assert item["target"] == -1
    assert item["vad"].dtype == torch.float64


# ---- crops -----------------------------------------------------------------------------------


def test_start_crop_is_the_beginning(tmp_path):
    dataset = make_set(make_rows(tmp_path, [1.0, 0.2]), max_seconds=0.5)
    items = [dataset[0]["signal"], dataset[1]["signal"]]
    assert [len(signal) for signal in items] == [8000, 3200]
    assert items[0][0] == items[1][0] == 0.0


def test_complete_file_is_read_without_limit(tmp_path):
    dataset = make_set(make_rows(tmp_path, [1.0]), crop="random")
    assert len(dataset[0]["signal"]) == RATE
    assert dataset.durations == [1.0]


def test_durations_are_those_after_cropping(tmp_path):
    assert make_set(make_rows(tmp_path, [1.0, 0.2]), max_seconds=0.5).durations == [0.5, 0.2]


def starts(dataset, epoch):
    """Return the first sample of each item, decoded from its value."""
    dataset.epoch.fill_(epoch)
    return [round(float(dataset[i]["signal"][0]) * 2**17) for i in range(len(dataset))]


def test_random_crops_depend_only_on_seed_epoch_and_utterance(tmp_path):
    rows = make_rows(tmp_path, [1.0] * 4)
    dataset = make_set(rows, max_seconds=0.5, crop="random", seed=7)
    first = starts(dataset, 1)
    assert len(set(first)) == 4  # the utterance
    assert not set(first) & set(starts(dataset, 2))  # the epoch
    assert starts(dataset, 1) == first  # nothing else
    assert starts(make_set(rows, max_seconds=0.5, crop="random", seed=7), 1) == first
    assert starts(make_set(rows, max_seconds=0.5, crop="random", seed=8), 1) != first
    # not the position in the set
    reversed_rows = dict(reversed(rows.items()))
    dataset = make_set(reversed_rows, max_seconds=0.5, crop="random", seed=7)
    assert starts(dataset, 1) == first[::-1]


def test_random_crops_cover_the_utterance(tmp_path):
    dataset = make_set(make_rows(tmp_path, [1.0]), max_seconds=0.25, crop="random")
    found = np.array([starts(dataset, epoch)[0] for epoch in range(150)])
    assert found.min() < 1500 and found.max() > 10500 and found.max() <= 12000
    assert abs(found.mean() - 6000) < 1000
    assert len(dataset[0]["signal"]) == 4000


def test_short_utterances_are_not_cropped(tmp_path):
    dataset = make_set(make_rows(tmp_path, [0.5]), max_seconds=0.5, crop="random")
    assert starts(dataset, 1) == starts(dataset, 2) == [0]


def test_crops_do_not_depend_on_workers(tmp_path):
    dataset = make_set(make_rows(tmp_path, [0.3] * 6), max_seconds=0.1, crop="random", seed=3)
    sampler = PooledBatchSampler(dataset.durations, 4, seed=3)
    found = []
    for workers in (0, 2):
        loader = train_loader(dataset, sampler, micro_batch=2, num_workers=workers)
        for epoch in (1, 2):
            sampler.set_epoch(epoch)
            dataset.epoch.fill_(epoch)
            found.append({name: b.signals[row] for step in loader for b in step
                          for row, name in enumerate(b.ids)})  # fmt: skip
    alone, alone_later, shared, shared_later = found
    assert alone.keys() == shared.keys() == {f"u{i}" for i in range(6)}
    assert all(torch.equal(alone[name], shared[name]) for name in alone)
    assert all(torch.equal(alone_later[name], shared_later[name]) for name in alone)
    assert not any(torch.equal(alone[name], alone_later[name]) for name in alone)


def test_unknown_crop_raises():
    with pytest.raises(ValueError, match="crop must be one of start, random; found 'middle'"):
        make_set({}, crop="middle")


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan])
def test_max_seconds_not_greater_than_zero_raises(seconds):
    with pytest.raises(ValueError, match="max_seconds must be greater than 0"):
        make_set({}, max_seconds=seconds)


# ---- unreadable audio ------------------------------------------------------------------------


def delete(path):
    path.unlink()


def shorten(path):
    write_ramp(path, 4000)


def overwrite(path):
    path.write_bytes(b"not audio")


def spoil(path):
    soundfile.write(path, np.full(8000, np.nan, dtype=np.float32), RATE, subtype="FLOAT")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (delete, r"u1\.wav: missing audio file"),
        (
            shorten,
            r"u1\.wav: audio file has changed: it ends after 0\.25 s; the manifest lists 0\.50 s",
        ),
        (overwrite, r"u1\.wav: not a recognised audio file"),
        (spoil, r"u1\.wav: non-finite samples"),
    ],
)
def test_fault_of_an_audio_file_is_reported_and_others_are_read(tmp_path, damage, message):
    dataset = make_set(make_rows(tmp_path, [0.5, 0.5, 0.4]))
    damage(tmp_path / "u1.wav")
    for workers in (0, 1):
        (batch,) = eval_loader(dataset, batch_size=3, num_workers=workers)
        assert batch.ids == ["u0", "u2"]
        assert list(batch.missing) == ["u1"]
        assert re.search(message, batch.missing["u1"])
        assert batch.signals.shape == (2, 8000)


def test_batch_without_readable_audio_is_empty(tmp_path):
    dataset = make_set(make_rows(tmp_path, [0.1]))
    delete(tmp_path / "u0.wav")
    (batch,) = eval_loader(dataset, batch_size=3)
    assert (batch.ids, list(batch.missing), len(batch.vad)) == ([], ["u0"], 0)
    assert batch.to("cpu").missing == batch.missing


def test_slightly_shorter_file_is_accepted(tmp_path):
    """Some decoders return fewer samples than stated in the header."""
    dataset = make_set(make_rows(tmp_path, [0.5]))
    write_ramp(tmp_path / "u0.wav", 6500)
    assert len(dataset[0]["signal"]) == 6500


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_worker_ignores_signals(tmp_path, number):
    dataset = make_set(make_rows(tmp_path, [0.1] * 40))
    loader = eval_loader(dataset, batch_size=1, num_workers=1)
    batches = iter(loader)
    next(batches)
    (worker,) = batches._workers
    os.kill(worker.pid, number)
    assert len(list(batches)) == 39


# ---- batches ---------------------------------------------------------------------------------


def make_item(name, samples, vad=(0.1, 0.2, 0.3), target=2):
    vad = torch.tensor(vad, dtype=torch.float64)
    return {"id": name, "signal": torch.ones(samples), "vad": vad, "target": target}


def test_collate_pads_with_zeros():
    batch = collate([make_item("a", 2), make_item("b", 4, (math.nan, 1.0, -1.0), -1)])
    assert batch.ids == ["a", "b"]
    assert batch.signals.tolist() == [[1.0, 1.0, 0.0, 0.0], [1.0] * 4]
    assert batch.lengths.tolist() == [2, 4]
    assert batch.target.tolist() == [2, -1]
    assert batch.vad.dtype == torch.float32
    assert batch.vad.isnan().tolist() == [[False] * 3, [True, False, False]]


def test_step_is_split_into_separately_padded_micro_batches():
    step = CollateStep(2)([make_item(str(n), n) for n in (5, 4, 3, 2, 1)])
    assert [batch.ids for batch in step] == [["5", "4"], ["3", "2"], ["1"]]
    assert [batch.signals.shape[1] for batch in step] == [5, 3, 1]


def test_empty_share_has_no_micro_batches():
    assert CollateStep(2)([]) == []


@pytest.mark.parametrize("size", [0, -1])
def test_invalid_micro_batch_raises(size):
    with pytest.raises(ValueError, match=f"micro_batch must be at least 1 utterance; found {size}"):
        CollateStep(size)


def test_moving_a_batch_moves_every_tensor():
    batch = collate([make_item("a", 2)]).to("meta")
    assert isinstance(batch, Batch) and batch.ids == ["a"]
    assert {getattr(batch, n).device.type for n in ("signals", "lengths", "vad", "target")} == {
        "meta"
    }


def test_training_items_are_steps(tmp_path):
    dataset = make_set(make_rows(tmp_path, [0.1, 0.2, 0.3, 0.4, 0.5]))
    loader = train_loader(dataset, PooledBatchSampler(dataset.durations, 4), micro_batch=3)
    steps = list(loader)
    assert [[len(batch.ids) for batch in step] for step in steps] == [[3, 1], [1]]
    assert sorted(n for step in steps for b in step for n in b.ids) == [f"u{i}" for i in range(5)]


def test_evaluation_loader_returns_each_utterance_once_longest_first(tmp_path):
    dataset = make_set(make_rows(tmp_path, [0.2, 0.5, 0.1, 0.3]), max_seconds=0.4)
    batches = list(eval_loader(dataset, batch_size=3))
    assert [batch.ids for batch in batches] == [["u1", "u3", "u0"], ["u2"]]
    assert batches[0].lengths.tolist() == [6400, 4800, 3200]


def test_longest_batch_has_the_longest_utterances(tmp_path):
    dataset = make_set(make_rows(tmp_path, [0.1, 0.5, 0.3, 0.4]), max_seconds=0.45)
    batch = longest_batch(dataset, 2)
    assert batch.ids == ["u1", "u3"]
    assert batch.signals.shape == (2, 7200)


def test_longest_batch_of_a_small_set_is_the_complete_set(tmp_path):
    assert longest_batch(make_set(make_rows(tmp_path, [0.1, 0.2])), 5).ids == ["u1", "u0"]


def test_targets_do_not_read_audio():
    rows = {n: {"wav": "absent.wav", "duration": 1.0, **LABELS} for n in "ab"}
    rows["b"]["arousal"] = ""
    # V +.5, A 0 (+), D -1: V (+A +V -D)
    assert make_set(rows).targets().tolist() == [4, -1]
    assert make_set(rows, task=NoTask()).targets().tolist() == [-1, -1]


def test_labels_of_a_set_equal_those_of_its_utterances():
    rows = {f"{n}": {"wav": "absent.wav", "duration": 1.0, **LABELS} for n in range(3)}
    rows["1"]["arousal"] = ""
    rows["2"]["valence"] = "2.3333333"
    scale = Scale(1, 7, ("dominance",))
    expected = torch.stack([normalised_vad(row, scale) for row in rows.values()])
    found = make_set(rows, scale=scale).labels()
    assert found.dtype == torch.float64
    assert torch.equal(found.nan_to_num(9), expected.nan_to_num(9))
    assert found[1].isnan().tolist() == [False, True, False]

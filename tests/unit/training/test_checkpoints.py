"""Checkpoints: atomic saving, detection of damage, rejection of code, fallback, and pruning."""

import json
import logging
import os
import pickle
import shutil

import pytest
import torch
import yaml
from speechbrain.core import Stage
from torch import nn

from emosphere_sb.fileio.atomic import digest_of
from emosphere_sb.training import checkpoint_files, checkpoints
from emosphere_sb.training.checkpoint_files import integrity_error
from emosphere_sb.training.checkpoints import INTRA_EPOCH, Checkpointer
from emosphere_sb.training.epoch_counter import EpochCounter
from tests.helpers.brain import make_brain


@pytest.fixture
def saver(tmp_path):
    """A checkpointer of one weight and a counter."""
    saver = Checkpointer(tmp_path, {"model": nn.Linear(1, 1, bias=False)})
    saver.add_recoverable("counter", EpochCounter(9))
    return saver


def save(saver, value, **meta):
    """Save a checkpoint whose weight is the value."""
    with torch.no_grad():
        saver.recoverables["model"].weight.fill_(value)
    return saver.save_checkpoint({"score": value, **meta}, end_of_epoch=INTRA_EPOCH not in meta)


def value(saver) -> float:
    return saver.recoverables["model"].weight.item()


def names(folder, prefix="CKPT"):
    return sorted(path.name for path in folder.glob(f"{prefix}*"))


# --- saving ----------------------------------------------------------------------------------


def test_saved_folder_has_a_digest_of_each_file(saver):
    folder = save(saver, 1.0).path
    sums = json.loads((folder / "sha256.json").read_text())
    assert set(sums) == {"CKPT.yaml", "model.ckpt", "counter.ckpt"}
    assert all(digest_of(folder / name) == digest for name, digest in sums.items())


def test_folder_is_renamed_only_when_complete(saver, tmp_path, monkeypatch):
    seen = []
    write = Checkpointer._write

    def look(self, folder, *rest):
        write(self, folder, *rest)
        seen.append((names(tmp_path), folder.name))

    monkeypatch.setattr(Checkpointer, "_write", look)
    checkpoint = save(saver, 1.0)
    assert seen == [([], f"partial-{checkpoint.path.name}")]
    assert names(tmp_path, "") == [checkpoint.path.name]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("writer")])
def test_fault_while_saving_keeps_existing_checkpoints_only(saver, tmp_path, monkeypatch, error):
    remaining = save(saver, 1.0).path.name

    def fail(state, path):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(checkpoint_files.torch, "save", fail)
    with pytest.raises(
        OSError,
        match=r"Could not write a checkpoint.*Existing checkpoints: "
        rf".*{remaining[5:15]}.*Free some disk",
    ):
        save(saver, 2.0)
    assert names(tmp_path, "") == [remaining]
    assert saver.recover_if_possible().path.name == remaining


def test_names_sort_by_age(saver, tmp_path):
    made = [save(saver, float(number)).path.name for number in range(5)]
    assert names(tmp_path) == made


def test_newest_checkpoint_is_the_last_saved_despite_clock_changes(saver, monkeypatch):
    save(saver, 1.0)
    monkeypatch.setattr(checkpoints.time, "time", lambda: 1e9)
    save(saver, 2.0)
    save(saver, 3.0)
    saver.recover_if_possible()
    assert value(saver) == 3.0


# --- damage ----------------------------------------------------------------------------------


def cut(folder):
    (folder / "model.ckpt").write_bytes((folder / "model.ckpt").read_bytes()[:-1])


def emptied(folder):
    (folder / "model.ckpt").write_bytes(b"")


def changed(folder):
    content = bytearray((folder / "model.ckpt").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.ckpt").write_bytes(content)


def other_counter(folder):
    (folder / "counter.ckpt").write_text("{}")


def lost(name):
    def remove(folder):
        (folder / name).unlink()

    remove.__name__ = f"lost_{name.partition('.')[0]}"
    return remove


def added(folder):
    (folder / "more.ckpt").write_bytes(b"")


def edited(folder):
    path = folder / "CKPT.yaml"
    path.write_text(path.read_text().replace("score: 2.0", "score: 9.0"))


def nonsense(folder):
    (folder / "CKPT.yaml").write_text("{")


def bare(folder):
    for path in folder.iterdir():
        path.unlink()


def unsummed(folder):
    (folder / "sha256.json").write_text("[1]")


def a_file(folder):
    shutil.rmtree(folder)
    folder.write_text("")


DAMAGE = [
    cut, emptied, changed, other_counter, added, edited, nonsense, bare, unsummed, a_file,
    *map(lost, ("model.ckpt", "counter.ckpt", "CKPT.yaml", "sha256.json")),
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_fault_in_the_newest_checkpoint_falls_back_to_the_previous_one(
    saver, tmp_path, caplog, damage
):
    before, newest = save(saver, 1.0), save(saver, 2.0)
    damage(newest.path)
    with caplog.at_level(logging.ERROR):
        assert saver.recover_if_possible().path == before.path
    assert value(saver) == 1.0
    assert f"Checkpoint {newest.path} is corrupted" in caplog.text
    assert names(tmp_path, "") == [before.path.name, f"broken-{newest.path.name}"]


def test_fault_in_the_best_checkpoint_selects_the_next_best(saver):
    save(saver, 1.0)
    best = save(saver, 3.0)
    save(saver, 2.0)
    cut(best.path)
    (found,) = saver.find_intact(max_key="score")
    assert found.meta["score"] == 2.0


def test_fault_in_all_checkpoints_is_logged(saver, caplog):
    cut(save(saver, 1.0).path)
    assert saver.recover_if_possible() is None
    assert "No valid checkpoint left; starting training from scratch." in caplog.text


def test_nothing_is_logged_without_a_checkpoint(saver, caplog):
    assert saver.recover_if_possible() is None
    assert "valid" not in caplog.text


class Payload:
    """Object that creates a folder when it is unpickled."""

    def __init__(self, place):
        self.place = str(place)

    def __reduce__(self):
        return os.mkdir, (self.place,)


@pytest.mark.parametrize("archive", [True, False])
def test_fault_code_in_a_checkpoint_with_matching_digests_is_not_run(
    saver, tmp_path, caplog, archive
):
    """In a PyTorch file as well as in a plain pickle."""
    before, newest = save(saver, 1.0), save(saver, 2.0)
    path = newest.path / "model.ckpt"
    if archive:
        torch.save({"weight": Payload(tmp_path / "ran")}, path)
    else:
        path.write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    sums = json.loads((newest.path / "sha256.json").read_text())
    sums["model.ckpt"] = digest_of(path)
    (newest.path / "sha256.json").write_text(json.dumps(sums))
    assert not integrity_error(newest.path)
    assert saver.recover_if_possible().path == before.path
    assert "model.ckpt contains more than tensors and plain values" in caplog.text
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "unixtime: !!python/object/apply:os.mkdir [{place}]",
            "CKPT.yaml contains more than plain",
        ),
        ("", "CKPT.yaml does not contain end-of-epoch and unixtime"),
        ("end-of-epoch: true", "CKPT.yaml does not contain unixtime"),
    ],
)
def test_fault_invalid_metadata_with_matching_digest_is_rejected(
    saver, tmp_path, caplog, text, fault
):
    before, newest = save(saver, 1.0), save(saver, 2.0)
    path = newest.path / "CKPT.yaml"
    path.write_text(text.format(place=tmp_path / "ran"))
    sums = json.loads((newest.path / "sha256.json").read_text())
    (newest.path / "sha256.json").write_text(json.dumps(sums | {"CKPT.yaml": digest_of(path)}))
    assert not integrity_error(newest.path)
    assert saver.recover_if_possible().path == before.path
    assert fault in caplog.text
    assert not (tmp_path / "ran").exists()


# --- interruptions ---------------------------------------------------------------------------


def test_resume_removes_partial_and_deleted_folders(saver, tmp_path):
    remaining = save(saver, 1.0).path
    for prefix in ("partial-", "deleted-", "broken-"):
        shutil.copytree(remaining, tmp_path / f"{prefix}CKPT+x")
    assert [c.path for c in saver.list_checkpoints()] == [remaining]
    saver.remove_partial()
    assert names(tmp_path, "") == [
        remaining.name,
        "broken-CKPT+x",
    ]  # broken checkpoints stay for inspection


def test_deletion_renames_the_folder_first(saver, tmp_path, monkeypatch):
    checkpoint = save(saver, 1.0)

    def die(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoints.shutil, "rmtree", die)
        saver._delete_checkpoint(checkpoint)
    assert not saver.list_checkpoints()


# --- pruning ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "last", "remaining"),
    [
        ([5.0], 1, [5.0]),
        ([5.0, 1.0], 1, [5.0, 1.0]),
        ([5.0, 1.0, 2.0, 3.0], 1, [5.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0, 4.0], 1, [3.0, 4.0]),  # two, in case the newest is damaged
        ([5.0, 1.0, 2.0, 3.0, 4.0], 3, [5.0, 2.0, 3.0, 4.0]),
        ([4.0, 4.0, 1.0, 1.0], 1, [4.0, 1.0, 1.0]),
    ],
)
def test_prune_keeps_best_and_last(saver, scores, last, remaining):
    for score in scores:
        save(saver, score)
    saver.prune(best="score", last=last)
    found = sorted(saver.find_checkpoints(), key=lambda c: c.meta["unixtime"])
    assert [checkpoint.meta["score"] for checkpoint in found] == remaining


def test_prune_keeps_the_newest_two_and_the_last_end_of_an_epoch(saver):
    for score, within in [(1, 0), (2, 0), (3, 1), (4, 1), (5, 1)]:
        meta = {INTRA_EPOCH: True} if within else {"at_end": score}
        save(saver, float(score), **meta)
    saver.prune(best="at_end", last=1)
    assert sorted(c.meta["score"] for c in saver.find_checkpoints()) == [2.0, 4.0, 5.0]
    save(saver, 6.0, at_end=6)
    saver.prune(best="at_end", last=1)
    assert sorted(c.meta["score"] for c in saver.find_checkpoints()) == [5.0, 6.0]


def test_find_intact_returns_the_requested_number(saver):
    for score in (1.0, 2.0, 3.0, 4.0):
        save(saver, score)
    cut(saver.find_checkpoints()[1].path)
    assert [c.meta["score"] for c in saver.find_intact(2)] == [4.0, 2.0]
    assert [c.meta["score"] for c in saver.find_intact(9)] == [4.0, 2.0, 1.0]


# --- contents --------------------------------------------------------------------------------


def test_progress_within_an_epoch_is_saved(tmp_path):
    brain, again = make_brain(), make_brain()
    brain.optimizer_step, brain.step, brain.avg_train_loss = 7, 2, 1.5
    brain.statistics.epoch.update(
        {"steps": 2, "regression_loss": torch.tensor(3.0), "nonfinite": 1}
    )
    brain.missing.reasons = {"train": {"a": "gone"}}
    Checkpointer(tmp_path, {"brain": brain}).save_checkpoint(end_of_epoch=False)
    Checkpointer(tmp_path, {"brain": again}).recover_if_possible()
    assert (again.optimizer_step, again.step, again.avg_train_loss) == (7, 2, 1.5)
    assert again.statistics.epoch == {"steps": 2, "regression_loss": 3.0, "nonfinite": 1}
    assert again.missing.reasons == {"train": {"a": "gone"}}


def test_epoch_interrupted_before_evaluation_is_saved_as_trained(tmp_path):
    """SpeechBrain has already reset the step count and the loss at this point."""
    brain, again = make_brain(), make_brain()
    brain.step = 3
    brain.on_stage_end(Stage.TRAIN, 0.5, epoch=1)
    brain.step, brain.avg_train_loss = 0, 0.0
    Checkpointer(tmp_path, {"brain": brain}).save_checkpoint(end_of_epoch=False)
    Checkpointer(tmp_path, {"brain": again}).recover_if_possible()
    assert (again.step, again.avg_train_loss) == (3, 0.5)


def test_fp16_scaler_state_is_restored(tmp_path):
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(torch.ones(1))
    Checkpointer(tmp_path, {"scaler": scaler}).save_checkpoint()
    fresh = torch.amp.GradScaler("cpu")
    Checkpointer(tmp_path, {"scaler": fresh}).recover_if_possible()
    assert fresh.state_dict() == scaler.state_dict()
    assert fresh.get_scale() == 8.0


@pytest.mark.parametrize(("before", "now"), [(False, True), (True, False)])
def test_resume_on_a_machine_with_or_without_fp16(tmp_path, before, now):
    old = torch.amp.GradScaler("cpu", enabled=before, init_scale=8.0)
    Checkpointer(tmp_path, {"scaler": old}).save_checkpoint()
    fresh = torch.amp.GradScaler("cpu", enabled=now, init_scale=4.0)
    Checkpointer(tmp_path, {"scaler": fresh}).recover_if_possible()
    assert fresh.get_scale() == (4.0 if now else 1.0)


def test_checkpoint_within_an_epoch_resumes_that_epoch(saver):
    counter = saver.recoverables["counter"]
    counter.current = 3
    save(saver, 1.0, **{INTRA_EPOCH: True})
    counter.current = 0
    saver.recover_if_possible()
    assert counter.current == 2
    assert yaml.safe_load((saver.find_checkpoint().path / "CKPT.yaml").read_text())[INTRA_EPOCH]


def test_unsupported_recoverable_raises(tmp_path):
    with pytest.raises(TypeError, match="No checkpoint saver found for objects of type object"):
        Checkpointer(tmp_path, {"thing": object()}).save_checkpoint()


# --- weights without progress ----------------------------------------------------------------


def test_saved_weights_are_never_selected_as_a_checkpoint(saver, tmp_path):
    save(saver, 0.5, epoch=1)
    with torch.no_grad():
        saver.recoverables["model"].weight.fill_(9.0)
    saver.save_weights("kept", {"epoch": 2})
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {
        "CKPT.yaml", "model.ckpt", "sha256.json",
    }  # fmt: skip
    assert [c.meta["epoch"] for c in saver.find_checkpoints()] == [1]
    saver.prune(best="score", last=1)
    assert (tmp_path / "kept").is_dir()
    saver.recover_if_possible(max_key="score")
    assert value(saver) == 0.5


def test_weights_of_an_epoch_come_from_its_checkpoint_or_the_saved_weights(saver, tmp_path):
    for number in (1.0, 2.0):
        save(saver, number, epoch=int(number))
    with torch.no_grad():
        saver.recoverables["model"].weight.fill_(5.0)
    saver.save_weights("kept", {"epoch": 5})
    assert saver.load_weights_of_epoch(1, "kept") and value(saver) == 1.0
    assert saver.load_weights_of_epoch(5, "kept") and value(saver) == 5.0
    assert not saver.load_weights_of_epoch(4, "kept") and value(saver) == 5.0
    saver.remove_weights("kept")
    assert not saver.load_weights_of_epoch(5, "kept")
    assert names(tmp_path, "") == names(tmp_path)


def test_fault_in_the_saved_weights_is_detected(saver, tmp_path, caplog):
    saver.save_weights("kept", {"epoch": 5})
    with open(tmp_path / "kept" / "model.ckpt", "r+b") as file:
        file.write(b"x")
    assert not saver.load_weights_of_epoch(5, "kept")
    assert "kept are corrupted (SHA-256 of model.ckpt" in caplog.text


def test_saving_weights_again_replaces_them(saver):
    saver.save_weights("kept", {"epoch": 5})
    with torch.no_grad():
        saver.recoverables["model"].weight.fill_(6.0)
    saver.save_weights("kept", {"epoch": 6})
    assert saver.load_weights_of_epoch(6, "kept") and value(saver) == 6.0

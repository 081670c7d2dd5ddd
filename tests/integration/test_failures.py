"""Provoke each failure of docs/faults.md in a run: messages, remaining files, and recovery."""

import logging
import os
import shutil
import signal
import subprocess

import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from emosphere_sb.data import unreadable
from emosphere_sb.data.feature_store import open_store, read_description
from emosphere_sb.recipe import workspace
from emosphere_sb.recipe.main import main
from emosphere_sb.training.brain import EmoSphereBrain
from emosphere_sb.training.checkpoint_files import integrity_error
from emosphere_sb.training.preemption import EXIT_INTERRUPTED, EXIT_STOPPED
from tests.helpers.run import (
    Runs,
    assert_same_results,
    assert_same_weights,
    checkpoints,
    metrics_of,
    wait_for,
    weights,
)


@pytest.fixture(autouse=True)
def _at_the_root(root, monkeypatch):
    monkeypatch.chdir(root)
    monkeypatch.setattr(logging.root, "handlers", [])


@pytest.fixture(scope="module")
def runs(smoke_corpus, tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    return Runs(smoke_corpus, results, "--number_of_epochs=3", "--ckpt_interval_steps=2")


@pytest.fixture(scope="module")
def uninterrupted(runs, root):
    """The folder of an uninterrupted run: three epochs of three steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        runs.run_in_process(runs.results / "uninterrupted")
    return runs.results / "uninterrupted"


def command(runs, folder, *options) -> int:
    """Run the recipe's command line in this process and return its exit status."""
    return main([*runs.words, f"--output_folder={folder}", *options], corpus="MSP-Podcast")


def log_of(folder) -> str:
    """Read the log of a run."""
    return (folder / "log.txt").read_text(encoding="utf-8")


@pytest.fixture
def after(monkeypatch):
    """Call a function once, after the ``number``-th call of a method of the Brain."""

    def patch_method(name, number, do):
        call, count = getattr(EmoSphereBrain, name), [0]

        def patched(brain, *arguments, **options):
            result = call(brain, *arguments, **options)
            count[0] += 1
            if count[0] == number:
                do()
            return result

        monkeypatch.setattr(EmoSphereBrain, name, patched)

    return patch_method


# --- checkpoints -----------------------------------------------------------------------------


def truncate_file(folder):
    path = folder / "optimizer.ckpt"
    path.write_bytes(path.read_bytes()[:-100])


def delete_files(folder):
    (folder / "sha256.json").unlink()
    (folder / "model.ckpt").unlink()


@pytest.mark.parametrize("damage", [truncate_file, delete_files])
def test_fault_corrupted_checkpoint_is_renamed_and_previous_one_used(
    damage, runs, uninterrupted, tmp_path
):
    runs.run_in_process(tmp_path, "--number_of_epochs=2")
    newest = checkpoints(tmp_path)[-1]
    damage(newest)
    runs.run_in_process(tmp_path)
    assert f"Checkpoint {newest} is corrupted" in log_of(tmp_path)
    assert (tmp_path / "save" / f"broken-{newest.name}").is_dir()
    shutil.rmtree(tmp_path / "save" / f"broken-{newest.name}")
    assert_same_results(tmp_path, uninterrupted)


def test_fault_all_checkpoints_corrupted_restarts_training(runs, uninterrupted, tmp_path):
    runs.run_in_process(tmp_path, "--number_of_epochs=1")
    for folder in checkpoints(tmp_path):
        truncate_file(folder)
    runs.run_in_process(tmp_path)
    assert "No valid checkpoint left; starting training from scratch." in log_of(tmp_path)
    for folder in (tmp_path / "save").glob("broken-*"):
        shutil.rmtree(folder)
    assert_same_results(tmp_path, uninterrupted)


# --- a full disk -----------------------------------------------------------------------------


def assert_intact_checkpoints(folder) -> None:
    """Assert that there are checkpoints, that all are intact, and that no partial one is left."""
    assert checkpoints(folder)
    assert not any(integrity_error(checkpoint) for checkpoint in checkpoints(folder))
    assert not list((folder / "save").glob("partial-*"))


def test_fault_checkpoint_over_file_size_limit_stops_run_which_resumes(
    runs, uninterrupted, tmp_path
):
    """The limit is 20 kB, which is less than the weights need."""
    process, _ = runs.start_paused(tmp_path, "full", 3)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 2
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert f"Could not write a checkpoint to {tmp_path}/save" in line
    assert "Free some disk space and re-run the same command" in line
    assert_intact_checkpoints(tmp_path)
    runs.run_in_process(tmp_path)
    assert_same_results(tmp_path, uninterrupted)


@pytest.fixture
def small_disk(tmp_path):
    """A mounted file system with space for two checkpoints, and a function that resizes it."""

    def resize(size, *options):
        words = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *options])]
        return subprocess.run([*words, "tmpfs", tmp_path / "disk"], capture_output=True)

    (tmp_path / "disk").mkdir()
    if shutil.which("mount") is None or resize("700k").returncode:
        pytest.skip("mounting a file system is not possible")
    yield tmp_path / "disk", lambda size: resize(size, "remount").check_returncode()
    subprocess.run(["umount", "-l", tmp_path / "disk"], check=True)


def test_fault_full_disk_stops_run_which_resumes_when_space_is_available(
    runs, uninterrupted, small_disk, capsys
):
    disk, grow = small_disk
    assert command(runs, disk / "run") == 2
    error = capsys.readouterr().err
    assert "No space left on device" in error or "Could not write" in error
    assert "Free some disk space and re-run the same command" in error
    assert_intact_checkpoints(disk / "run")
    grow("20m")
    assert command(runs, disk / "run") == 0
    assert_same_results(disk / "run", uninterrupted)


def test_fault_full_disk_while_metrics_are_written_preserves_model(
    runs, uninterrupted, tmp_path, monkeypatch
):
    from emosphere_sb.results import metrics_json

    def full(*_):
        os.symlink("/dev/full", tmp_path / "metrics.json.partial")
        return write(*_)

    write = metrics_json.write_json
    with monkeypatch.context() as patch, pytest.raises(OSError, match=r"metrics\.json cannot be"):
        patch.setattr(metrics_json, "write_json", full)
        runs.run_in_process(tmp_path)
    assert not (tmp_path / "metrics.json").exists()
    runs.run_in_process(tmp_path)
    assert_same_results(tmp_path, uninterrupted)


# --- a loss that is not finite ---------------------------------------------------------------


def test_fault_nonfinite_loss_skips_step_and_stops_run_across_restart(runs, tmp_path, monkeypatch):
    """The loss is NaN in step 5 of each attempt; the run is interrupted after two skipped steps."""
    objective, seen = EmoSphereBrain.compute_objectives, []

    def broken(brain, *arguments, **options):
        seen.append(brain.optimizer_step)
        if len(seen) == 9:
            raise KeyboardInterrupt
        loss = objective(brain, *arguments, **options)
        return loss * float("nan") if brain.optimizer_step == 4 else loss

    monkeypatch.setattr(EmoSphereBrain, "compute_objectives", broken)
    options = ["--nonfinite_patience=2", "--ckpt_interval_steps=1"]
    with pytest.raises(KeyboardInterrupt):
        runs.run_in_process(tmp_path, *options)
    with pytest.raises(ValueError, match=r"not finite in 3 steps.*MSP-PODCAST_\d+") as error:
        runs.run_in_process(tmp_path, *options)
    assert "more than nonfinite_patience (2)" in str(error.value)
    assert seen == [0, 1, 2, 3, 4, 4, 4, 4, 4, 4]
    states = [
        weights(path) for path in checkpoints(tmp_path)[-2:]
    ]  # after the last two skipped steps
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


# --- audio -----------------------------------------------------------------------------------


@pytest.fixture
def own(smoke_corpus, tmp_path):
    """Runs on a copy of the corpus, whose files can be damaged."""
    shutil.copytree(smoke_corpus, tmp_path / "corpus")
    options = ["--number_of_epochs=3", "--ckpt_interval_steps=2"]
    return Runs(tmp_path / "corpus", tmp_path / "results", *options)


def last_of(own, name):
    """Return the ID of the last utterance of a prepared set, and its audio file."""
    (manifest,) = own.results.glob(f"MSP-Podcast/manifests/*/{name}.csv")
    utterance = manifest.read_text().splitlines()[-1].partition(",")[0]
    return utterance, own.results.parent / "corpus" / "Audios" / f"{utterance}.wav"


def delete(path):
    path.rename(path.with_suffix(".away"))


def shorten(path):
    shutil.copy2(path, path.with_suffix(".away"))
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples[: len(samples) // 2], rate)


def restore(path):
    path.with_suffix(".away").replace(path)


@pytest.mark.parametrize("damage", [delete, shorten])
def test_fault_audio_damaged_during_training_is_logged_and_skipped(
    damage, own, tmp_path, after, monkeypatch
):
    monkeypatch.setattr(unreadable, "MAX_UNREADABLE_SHARE", 0.05)  # of 48 utterances
    damaged = []

    def do():
        damaged.extend(last_of(own, "train"))
        damage(damaged[1])

    after("on_stage_start", 3, do)  # start of epoch 2
    metrics = own.run_in_process(tmp_path / "run")
    utterance, path = damaged
    assert list(metrics["protocol"]["left_out"]["train"]) == [utterance]
    said = f"Skipping utterance {utterance} of set train: {path}"
    assert log_of(tmp_path / "run").count(said) == 1
    assert len((tmp_path / "run" / "train_log.txt").read_text().splitlines()) == 3


def test_fault_too_many_missing_audio_files_stop_run_which_resumes_when_restored(
    own, tmp_path, after
):
    own.run_in_process(tmp_path / "uninterrupted")
    _, path = last_of(own, "train")
    after("on_stage_start", 3, lambda: delete(path))
    with pytest.raises(
        ValueError, match=r"1 of 48 utterances of set train could not be read \(limit: 1"
    ):
        own.run_in_process(tmp_path / "run")
    with pytest.raises(
        ValueError, match=r"on other data.*If audio files have since been removed.*restore them"
    ):
        own.run_in_process(tmp_path / "run")
    restore(path)
    own.run_in_process(tmp_path / "run")
    assert_same_results(tmp_path / "uninterrupted", tmp_path / "run")


def test_fault_missing_audio_in_development_set_stops_run(own, tmp_path, after):
    own.run_in_process(tmp_path / "other", "--number_of_epochs=1")
    _, path = last_of(own, "valid")
    after("on_stage_start", 2, lambda: delete(path))
    with pytest.raises(ValueError, match="1 of 16 utterances of set valid could not be read"):
        own.run_in_process(tmp_path / "run")


def test_fault_missing_audio_in_test_set_stops_test_and_preserves_model(own, tmp_path, after):
    own.run_in_process(tmp_path / "uninterrupted")
    _, path = last_of(own, "test1")
    after("on_stage_start", 4, lambda: delete(path))
    with pytest.raises(ValueError, match="1 utterances of the test set could not be read") as e:
        own.run_in_process(tmp_path / "run")
    assert str(path) in str(e.value)
    assert not (tmp_path / "run" / "metrics.json").exists()
    restore(path)
    own.run_in_process(tmp_path / "run")
    assert_same_results(tmp_path / "uninterrupted", tmp_path / "run")


# --- SIGTERM ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("check_memory", 1),
        ("fit_batch", 3),  # last step of an epoch
        ("on_stage_start", 4),  # start of an evaluation
        ("on_stage_start", 7),  # start of the first test
    ],
)
def test_fault_sigterm_saves_checkpoint_and_same_command_resumes(
    name, number, runs, uninterrupted, tmp_path, after, capsys
):
    after(name, number, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert command(runs, tmp_path) == EXIT_STOPPED == 75
    assert "Re-run the same command to resume" in capsys.readouterr().err
    assert not (tmp_path / "metrics.json").exists()
    assert command(runs, tmp_path) == 0
    assert_same_results(tmp_path, uninterrupted)


@pytest.mark.parametrize(
    ("name", "number", "progress"),
    [
        ("check_memory", 1, "checkpoint saved at epoch 1, step 1"),
        ("fit_batch", 2, "checkpoint saved at epoch 1, step 3"),  # received after step 2
        ("fit_batch", 4, "checkpoint saved at epoch 2, step 2"),
        ("on_stage_start", 4, "checkpoint saved at epoch 2, step 3"),  # start of an evaluation
        ("on_stage_start", 7, "training is complete, and the test will be repeated"),
    ],
)
def test_fault_ctrl_c_saves_checkpoint_and_same_command_resumes(
    name, number, progress, runs, uninterrupted, tmp_path, after, capsys
):
    after(name, number, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert command(runs, tmp_path) == EXIT_INTERRUPTED == 130
    said = capsys.readouterr().err
    assert f"Interrupted; {progress}. Re-run the same command to resume." in said
    assert "Traceback" not in said
    assert not (tmp_path / "metrics.json").exists()
    assert command(runs, tmp_path) == 0
    assert_same_results(tmp_path, uninterrupted)


@pytest.mark.parametrize("place", ["prepare_corpus", "training_statistics", "report"])
def test_fault_ctrl_c_outside_training_ends_without_traceback(
    place, runs, tmp_path, monkeypatch, capsys
):
    from emosphere_sb.recipe import run

    def interrupted(*arguments, **options):
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("not interrupted")

    with monkeypatch.context() as patch:
        patch.setattr(run, place, interrupted)
        assert command(runs, tmp_path) == EXIT_INTERRUPTED
    said = capsys.readouterr().err
    assert "Interrupted. Re-run the same command to resume." in said
    assert "Traceback" not in said


def test_fault_ctrl_c_in_a_terminal_reaches_all_processes(runs, uninterrupted, tmp_path):
    folder = runs.results / "interrupted"
    process, sign = runs.start_paused(folder, "stepping", 5, "--num_workers=2")
    wait_for(process, sign)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    sign.with_suffix(".go").write_text("")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == EXIT_INTERRUPTED, output
    assert "Interrupted; checkpoint saved at epoch 2, step" in output
    assert "Traceback" not in output
    runs.run_in_process(folder)
    assert_same_results(folder, uninterrupted)


# --- a folder in use by a run with loader processes --------------------------------------------


@pytest.fixture
def other_process(runs, tmp_path):
    """A run with two loader processes that waits during its second epoch."""
    folder = tmp_path / "used"
    process, sign = runs.start_paused(folder, "stepping", 5, "--num_workers=2")
    yield process, sign, folder
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_fault_second_run_in_locked_folder_exits_with_error(
    other_process, runs, monkeypatch, capsys
):
    process, sign, folder = other_process
    wait_for(process, sign)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.setattr(workspace, "LOCK_TIMEOUT", 0.2)
    assert command(runs, folder) == 2
    assert f"{folder} is locked by another run" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_fault_sigterm_to_all_processes_saves_checkpoint_and_resumes(
    other_process, runs, uninterrupted
):
    """A cluster sends SIGTERM to the loader processes as well."""
    process, sign, folder = other_process
    wait_for(process, sign)
    os.killpg(process.pid, signal.SIGTERM)
    sign.with_suffix(".go").write_text("")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == EXIT_STOPPED, output
    assert "Interrupted by SIGTERM; checkpoint saved" in output
    assert len((folder / "train_log.txt").read_text().splitlines()) == 1
    runs.run_in_process(folder)
    assert_same_results(folder, uninterrupted)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_fault_sigterm_while_features_are_computed_leaves_a_valid_cache(
    runs, tmp_path, monkeypatch, number
):
    from emosphere_sb.training import feature_extraction

    compute = feature_extraction.hidden_states

    def interrupted(*arguments):
        os.kill(os.getpid(), number)
        return compute(*arguments)

    options = ["--freeze=all", "--feature_cache=True", f"--results_folder={tmp_path}"]
    with monkeypatch.context() as patch:
        patch.setattr(feature_extraction, "hidden_states", interrupted)
        status = EXIT_STOPPED if number == signal.SIGTERM else EXIT_INTERRUPTED
        assert command(runs, tmp_path / "run", *options, "--eval_batch=8") == status
    (folder,) = (path.parent for path in tmp_path.glob("feature_cache/*/store.json"))
    store = open_store(folder, read_description(folder))
    assert len(store) == 8 and store.damaged() == []  # the batch that was in progress
    assert command(runs, tmp_path / "run", *options) == 0


# --- a backbone that is partly frozen ----------------------------------------------------------


def test_resume_on_different_frozen_weights_raises(runs, save_any, tmp_path):
    """The backbone folder has the same name but a different version of the weights."""
    backbone = tmp_path / "backbone"
    shutil.copytree(save_any("wavlm"), backbone)
    options = ["--freeze=all_but_top_1", f"--backbone={backbone}"]
    runs.run_in_process(tmp_path / "run", *options, "--number_of_epochs=1")
    written = torch.load(checkpoints(tmp_path / "run")[-1] / "model.ckpt", weights_only=True)
    assert written["foundation"]["backbone"] == str(backbone)
    inside = [name for name in written["weights"] if name.startswith("encoder.backbone.")]
    assert {name.split(".layers.")[1][0] for name in inside if ".layers." in name} == {"1"}
    path = backbone / "model.safetensors"
    state = load_file(path)
    frozen = next(name for name in state if "layers.0.feed_forward.output_dense.weight" in name)
    save_file({**state, frozen: state[frozen] + 1e-6}, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"was trained with frozen weights of .*/backbone"):
        runs.run_in_process(tmp_path / "run", *options)
    save_file(state, path, metadata={"format": "pt"})
    runs.run_in_process(tmp_path / "run", *options)


# --- averaging -------------------------------------------------------------------------------


def test_resume_with_averaged_checkpoints_matches_uninterrupted_run(runs, tmp_path, monkeypatch):
    """The expected mean is computed here; a restart in between does not change it."""
    from emosphere_sb.recipe import run

    tested, predict = [], run.predict

    def record(brain, *rest):
        tables = predict(brain, *rest)
        tested.append({n: v.clone() for n, v in brain.modules.state_dict().items()})
        return tables

    monkeypatch.setattr(run, "predict", record)
    options = ["--average_checkpoints=2", "--ckpt_interval_steps=-1"]
    runs.run_in_process(tmp_path / "resumed", *options, "--number_of_epochs=2")
    metrics = runs.run_in_process(tmp_path / "resumed", *options)
    assert metrics["protocol"]["averaged_epochs"] == [2, 3]
    assert "best_epoch" not in metrics["protocol"]
    one, two = (weights(path) for path in checkpoints(tmp_path / "resumed")[-2:])
    for name, value in tested[-1].items():
        if value.is_floating_point():
            mean = (one[name].double() + two[name].double()) / 2
            assert torch.equal(value, mean.to(value.dtype)), name
        else:
            assert torch.equal(value, two[name])
    runs.run_in_process(tmp_path / "uninterrupted", *options)
    assert_same_weights(tmp_path / "resumed", tmp_path / "uninterrupted")
    assert metrics_of(tmp_path / "resumed") == metrics_of(tmp_path / "uninterrupted")

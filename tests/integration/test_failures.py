"""Every fault is made to happen in a whole run: what it says, what it keeps, how it goes on."""

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
from emosphere_sb.recipe import workspace
from emosphere_sb.recipe.main import main
from emosphere_sb.training.brain import EmoSphereBrain
from emosphere_sb.training.checkpoints import integrity_error
from emosphere_sb.training.preemption import STOPPED
from tests.helpers.run import (
    Runs,
    assert_same_end,
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
def whole(runs, root):
    """The folder of a run that was left alone: three epochs of three steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        runs.here(runs.results / "whole")
    return runs.results / "whole"


def command(runs, folder, *options) -> int:
    """The exit status of the command line, in this process."""
    return main([*runs.words, f"--output_folder={folder}", *options], corpus="MSP-Podcast")


def log_of(folder) -> str:
    """What a run said."""
    return (folder / "log.txt").read_text(encoding="utf-8")


@pytest.fixture
def after(monkeypatch):
    """Do something once, after a method of the Brain was called so many times."""

    def arrange(name, number, do):
        call, count = getattr(EmoSphereBrain, name), [0]

        def then(brain, *arguments, **options):
            result = call(brain, *arguments, **options)
            count[0] += 1
            if count[0] == number:
                do()
            return result

        monkeypatch.setattr(EmoSphereBrain, name, then)

    return arrange


# --- checkpoints -----------------------------------------------------------------------------


def cut(folder):
    path = folder / "optimizer.ckpt"
    path.write_bytes(path.read_bytes()[:-100])


def half(folder):
    (folder / "sha256.json").unlink()
    (folder / "model.ckpt").unlink()


@pytest.mark.parametrize("damage", [cut, half])
def test_fault_damaged_checkpoint_is_named_and_the_one_before_it_used(
    damage, runs, whole, tmp_path
):
    runs.here(tmp_path, "--number_of_epochs=2")
    newest = checkpoints(tmp_path)[-1]
    damage(newest)
    runs.here(tmp_path)
    assert f"CHECKPOINT BROKEN: {newest}" in log_of(tmp_path)
    assert (tmp_path / "save" / f"broken-{newest.name}").is_dir()
    shutil.rmtree(tmp_path / "save" / f"broken-{newest.name}")
    assert_same_end(tmp_path, whole)


def test_fault_all_checkpoints_damaged_begins_at_the_beginning(runs, whole, tmp_path):
    runs.here(tmp_path, "--number_of_epochs=1")
    for folder in checkpoints(tmp_path):
        cut(folder)
    runs.here(tmp_path)
    assert "No whole checkpoint is left: training begins at the beginning." in log_of(tmp_path)
    for folder in (tmp_path / "save").glob("broken-*"):
        shutil.rmtree(folder)
    assert_same_end(tmp_path, whole)


# --- a full disk -----------------------------------------------------------------------------


def assert_stopped_well(folder) -> None:
    """There are checkpoints, each of them whole, and nothing half."""
    assert checkpoints(folder)
    assert not any(integrity_error(checkpoint) for checkpoint in checkpoints(folder))
    assert not list((folder / "save").glob("partial-*"))


def test_fault_no_room_for_a_checkpoint_stops_the_run_which_resumes(runs, whole, tmp_path):
    """Room for a file ends at 20 kB, which the weights need more than."""
    process, _ = runs.paused(tmp_path, "full", 3)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 2
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert f"A checkpoint could not be written to {tmp_path}/save" in line
    assert "Make room and start the same command again" in line
    assert_stopped_well(tmp_path)
    runs.here(tmp_path)
    assert_same_end(tmp_path, whole)


@pytest.fixture
def small_disk(tmp_path):
    """A folder that is a disk of its own, and a way to make it larger."""

    def resize(size, *options):
        words = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *options])]
        return subprocess.run([*words, "tmpfs", tmp_path / "disk"], capture_output=True)

    (tmp_path / "disk").mkdir()
    if shutil.which("mount") is None or resize("900k").returncode:
        pytest.skip("a disk cannot be mounted here")
    yield tmp_path / "disk", lambda size: resize(size, "remount").check_returncode()
    subprocess.run(["umount", "-l", tmp_path / "disk"], check=True)


def test_fault_full_disk_stops_the_run_which_resumes_once_there_is_room(
    runs, whole, small_disk, capsys
):
    disk, grow = small_disk
    assert command(runs, disk / "run") == 2
    error = capsys.readouterr().err
    assert "No space left on device" in error or "could not be written" in error
    assert "Make room and start the same command again" in error
    assert_stopped_well(disk / "run")
    grow("20m")
    assert command(runs, disk / "run") == 0
    assert_same_end(disk / "run", whole)


def test_fault_full_disk_for_the_figures_leaves_the_model(runs, whole, tmp_path, monkeypatch):
    from emosphere_sb.results import metrics_json

    def full(*_):
        os.symlink("/dev/full", tmp_path / "metrics.json.partial")
        return write(*_)

    write = metrics_json.write_json
    with monkeypatch.context() as patch, pytest.raises(OSError, match=r"metrics\.json cannot be"):
        patch.setattr(metrics_json, "write_json", full)
        runs.here(tmp_path)
    assert not (tmp_path / "metrics.json").exists()
    runs.here(tmp_path)
    assert_same_end(tmp_path, whole)


# --- a loss that is not finite ---------------------------------------------------------------


def test_fault_nonfinite_loss_is_not_stepped_and_stops_the_run_over_a_restart_too(
    runs, tmp_path, monkeypatch
):
    """From the fifth step on; the run is interrupted between the second and third of epoch 3."""
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
        runs.here(tmp_path, *options)
    with pytest.raises(ValueError, match=r"not finite 3 times.*MSP-PODCAST_\d+") as error:
        runs.here(tmp_path, *options)
    assert "more than nonfinite_patience (2)" in str(error.value)
    assert seen == [0, 1, 2, 3, 4, 4, 4, 4, 4, 4]
    states = [weights(path) for path in checkpoints(tmp_path)[-2:]]  # after the last two of them
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


# --- audio -----------------------------------------------------------------------------------


@pytest.fixture
def own(smoke_corpus, tmp_path):
    """Runs on a copy of the corpus, whose files may be broken."""
    shutil.copytree(smoke_corpus, tmp_path / "corpus")
    options = ["--number_of_epochs=3", "--ckpt_interval_steps=2"]
    return Runs(tmp_path / "corpus", tmp_path / "results", *options)


def last_of(own, name):
    """The id of the last utterance of a prepared set, and its audio file."""
    (manifest,) = own.results.glob(f"MSP-Podcast/manifests/*/{name}.csv")
    utterance = manifest.read_text().splitlines()[-1].partition(",")[0]
    return utterance, own.results.parent / "corpus" / "Audios" / f"{utterance}.wav"


def delete(path):
    path.rename(path.with_suffix(".away"))


def shorten(path):
    shutil.copy2(path, path.with_suffix(".away"))
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples[: len(samples) // 2], rate)


def mend(path):
    path.with_suffix(".away").replace(path)


@pytest.mark.parametrize("damage", [delete, shorten])
def test_fault_audio_that_breaks_while_training_is_named_and_left_out(
    damage, own, tmp_path, after, monkeypatch
):
    monkeypatch.setattr(unreadable, "LIMIT", 0.05)  # of 48
    broken = []

    def do():
        broken.extend(last_of(own, "train"))
        damage(broken[1])

    after("on_stage_start", 3, do)  # epoch 2 begins
    metrics = own.here(tmp_path / "run")
    utterance, path = broken
    assert list(metrics["protocol"]["left_out"]["train"]) == [utterance]
    said = f"Utterance {utterance} of train is left out: Audio file {path}"
    assert log_of(tmp_path / "run").count(said) == 1
    assert len((tmp_path / "run" / "train_log.txt").read_text().splitlines()) == 3


def test_fault_too_much_audio_gone_stops_the_run_which_resumes_once_it_is_mended(
    own, tmp_path, after
):
    own.here(tmp_path / "whole")
    _, path = last_of(own, "train")
    after("on_stage_start", 3, lambda: delete(path))
    with pytest.raises(
        ValueError, match=r"1 of 48 utterances of train cannot be read, more than 1"
    ):
        own.here(tmp_path / "run")
    with pytest.raises(ValueError, match=r"on other data.*If audio has gone since.*bring it back"):
        own.here(tmp_path / "run")
    mend(path)
    own.here(tmp_path / "run")
    assert_same_end(tmp_path / "whole", tmp_path / "run")


def test_fault_audio_of_the_development_set_that_vanishes_stops_the_run(own, tmp_path, after):
    own.here(tmp_path / "other", "--number_of_epochs=1")
    _, path = last_of(own, "valid")
    after("on_stage_start", 2, lambda: delete(path))
    with pytest.raises(ValueError, match="1 of 16 utterances of valid cannot be read"):
        own.here(tmp_path / "run")


def test_fault_audio_of_a_test_set_that_vanishes_is_refused_and_the_model_kept(
    own, tmp_path, after
):
    own.here(tmp_path / "whole")
    _, path = last_of(own, "test1")
    after("on_stage_start", 4, lambda: delete(path))
    with pytest.raises(ValueError, match="1 utterances that are to be tested cannot be read") as e:
        own.here(tmp_path / "run")
    assert str(path) in str(e.value)
    assert not (tmp_path / "run" / "metrics.json").exists()
    mend(path)
    own.here(tmp_path / "run")
    assert_same_end(tmp_path / "whole", tmp_path / "run")


# --- told to stop ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("check_memory", 1),
        ("fit_batch", 3),  # the last of an epoch
        ("on_stage_start", 4),  # an evaluation begins
        ("on_stage_start", 7),  # the first test begins
    ],
)
def test_fault_sigterm_saves_and_the_same_command_resumes(
    name, number, runs, whole, tmp_path, after, capsys
):
    after(name, number, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert command(runs, tmp_path) == STOPPED == 75
    assert "the same command goes on from there" in capsys.readouterr().err
    assert not (tmp_path / "metrics.json").exists()
    assert command(runs, tmp_path) == 0
    assert_same_end(tmp_path, whole)


# --- a folder in use, by a real run with loader processes --------------------------------------


@pytest.fixture(scope="module")
def other_process(runs, root):
    """A run that waits in the middle of its second epoch, with two loader processes."""
    folder = runs.results / "used"
    process, sign = runs.paused(folder, "stepping", 5, "--num_workers=2")
    yield process, sign, folder
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_fault_second_run_in_a_folder_in_use_is_refused(other_process, runs, monkeypatch, capsys):
    process, sign, folder = other_process
    wait_for(process, sign)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.setattr(workspace, "SECONDS", 0.2)
    assert command(runs, folder) == 2
    assert f"Another run uses {folder} at this moment" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_fault_sigterm_to_all_processes_of_a_run_saves_and_resumes(other_process, runs, whole):
    """As a cluster sends it: to the loader's processes as well."""
    process, sign, folder = other_process
    wait_for(process, sign)
    os.killpg(process.pid, signal.SIGTERM)
    sign.with_suffix(".go").write_text("")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == STOPPED, output
    assert "Told to stop (SIGTERM)" in output
    assert len((folder / "train_log.txt").read_text().splitlines()) == 1
    runs.here(folder)
    assert_same_end(folder, whole)


def test_fault_sigterm_while_features_are_computed_leaves_nothing_half(runs, tmp_path, monkeypatch):
    from emosphere_sb.training import feature_extraction

    compute = feature_extraction.hidden_states

    def warned(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return compute(*arguments)

    options = ["--freeze=all", "--feature_cache=True", f"--results_folder={tmp_path}"]
    with monkeypatch.context() as patch:
        patch.setattr(feature_extraction, "hidden_states", warned)
        assert command(runs, tmp_path / "run", *options, "--eval_batch=8") == STOPPED
    cached = tmp_path / "MSP-Podcast" / "features"
    assert {path.suffix for path in cached.glob("*/*")} == {".lock"}
    assert command(runs, tmp_path / "run", *options) == 0


# --- a backbone that is partly frozen ----------------------------------------------------------


def test_resume_on_other_frozen_weights_is_refused(runs, save_any, tmp_path):
    """The folder of the backbone keeps its name, and gets another version of it."""
    backbone = tmp_path / "backbone"
    shutil.copytree(save_any("wavlm"), backbone)
    options = ["--freeze=all_but_top_1", f"--backbone={backbone}"]
    runs.here(tmp_path / "run", *options, "--number_of_epochs=1")
    written = torch.load(checkpoints(tmp_path / "run")[-1] / "model.ckpt", weights_only=True)
    assert written["foundation"]["backbone"] == str(backbone)
    inside = [name for name in written["weights"] if name.startswith("encoder.backbone.")]
    assert {name.split(".layers.")[1][0] for name in inside if ".layers." in name} == {"1"}
    path = backbone / "model.safetensors"
    state = load_file(path)
    frozen = next(name for name in state if "layers.0.feed_forward.output_dense.weight" in name)
    save_file({**state, frozen: state[frozen] + 1e-6}, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"trained on top of the frozen weights of .*/backbone"):
        runs.here(tmp_path / "run", *options)
    save_file(state, path, metadata={"format": "pt"})
    runs.here(tmp_path / "run", *options)


# --- averaging -------------------------------------------------------------------------------


def test_resume_of_a_run_whose_last_epochs_are_averaged(runs, tmp_path, monkeypatch):
    """The mean is worked out here by hand; a restart in between changes nothing."""
    from emosphere_sb.recipe import run

    tested, report = [], run.report

    def keep(brain, *rest):
        tested.append({n: v.clone() for n, v in brain.modules.state_dict().items()})
        return report(brain, *rest)

    monkeypatch.setattr(run, "report", keep)
    options = ["--average_checkpoints=2", "--ckpt_interval_steps=-1"]
    runs.here(tmp_path / "parts", *options, "--number_of_epochs=2")
    metrics = runs.here(tmp_path / "parts", *options)
    assert metrics["protocol"]["averaged_epochs"] == [2, 3]
    assert "best_epoch" not in metrics["protocol"]
    one, two = (weights(path) for path in checkpoints(tmp_path / "parts")[-2:])
    for name, value in tested[-1].items():
        if value.is_floating_point():
            mean = (one[name].double() + two[name].double()) / 2
            assert torch.equal(value, mean.to(value.dtype)), name
        else:
            assert torch.equal(value, two[name])
    runs.here(tmp_path / "whole", *options)
    assert_same_weights(tmp_path / "parts", tmp_path / "whole")
    assert metrics_of(tmp_path / "parts") == metrics_of(tmp_path / "whole")

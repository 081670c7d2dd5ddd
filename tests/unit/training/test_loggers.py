"""Logs after a restart match the checkpoint, with TensorBoard and with Weights & Biases."""

import sys
from pathlib import Path

import pytest

from emosphere_sb.recipe.hparams import WORD_KEYS
from emosphere_sb.training.loggers import LOGGERS, LogState, make_loggers

SETTINGS = {"seed": 7, "layers": [0, 2], "max_grad_norm": float("inf"), "task": object()}


def line(logger, epoch):
    logger.log_stats({"epoch": epoch}, train_stats={"loss": 0.5}, verbose=False)


def test_key_of_the_recipe_accepts_all_loggers():
    assert WORD_KEYS["logger"] == LOGGERS


def test_resume_logs_each_epoch_once(tmp_path):
    loggers = make_loggers(tmp_path, None)
    line(loggers[0], 1)
    state = LogState(loggers).state_dict()
    line(loggers[0], 2)
    LogState(make_loggers(tmp_path, None)).load_state_dict(state)
    line(loggers[0], 2)
    text = (tmp_path / "train_log.txt").read_text()
    assert text == "epoch: 1 - train loss: 5.00e-01\nepoch: 2 - train loss: 5.00e-01\n"


def test_new_run_has_an_empty_log(tmp_path):
    loggers = make_loggers(tmp_path, None)
    LogState(loggers).clear()
    assert not (tmp_path / "train_log.txt").exists()
    line(loggers[0], 1)
    LogState(loggers).clear()
    assert (tmp_path / "train_log.txt").read_text() == ""


def test_missing_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # importing it raises ImportError
    monkeypatch.setattr("emosphere_sb.training.loggers.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"--logger=wandb requires .*'emosphere-sb\[wandb\]'"):
        make_loggers(tmp_path, "wandb")


# --- TensorBoard -----------------------------------------------------------------------------


@pytest.fixture
def tensorboard():
    return pytest.importorskip("tensorboard", reason="the 'tensorboard' extra is not installed")


def test_resume_continues_tensorboard_steps(tmp_path, tensorboard):
    loggers = make_loggers(tmp_path, "tensorboard")
    for epoch in (1, 2):
        line(loggers[1], epoch)
    state = LogState(loggers).state_dict()
    fresh = make_loggers(tmp_path, "tensorboard")
    LogState(fresh).load_state_dict(state)
    assert fresh[1].global_step == loggers[1].global_step


def test_tensorboard_file_has_all_values_after_the_end(tmp_path, tensorboard):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    state = LogState(make_loggers(tmp_path, "tensorboard"))
    with state.close_at_end():
        state.start()
        line(state.loggers[1], 1)
    found = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in found.Scalars("loss/train")] == [(1, 0.5)]


# --- Weights & Biases ------------------------------------------------------------------------


@pytest.fixture
def offline(monkeypatch):
    """Do not contact the service, and do not read the user's settings."""
    wandb = pytest.importorskip("wandb", reason="the 'wandb' extra is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return wandb


class FakeRun:
    """Run that records what is logged to it, and how it was created."""

    def __init__(self, **settings):
        self.settings, self.logged, self.status = settings, [], None

    def log(self, values, step=None):
        self.logged.append((step, values))

    def finish(self, exit_code):
        self.status = exit_code


@pytest.fixture
def runs(offline, monkeypatch):
    """List of the runs that are started in a test."""
    found = []

    def init(**settings):
        found.append(FakeRun(**settings))
        return found[-1]

    monkeypatch.setattr(offline, "init", init)
    return found


def test_run_has_a_name_a_project_and_the_plain_hyperparameters(tmp_path, runs):
    folder = tmp_path / "MSP-Podcast-1.11" / "demo" / "official" / "7"
    state = LogState(make_loggers(folder, "wandb", SETTINGS))
    assert not runs  # it starts with training
    state.start()
    (run,) = runs
    assert run.settings["name"] == "MSP-Podcast-1.11/demo/official/7"
    assert run.settings["project"] == "emosphere"
    assert run.settings["config"] == {k: v for k, v in SETTINGS.items() if k != "task"}
    assert Path(run.settings["dir"]) == folder


def test_project_can_be_set_in_the_environment(tmp_path, runs, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    LogState(make_loggers(tmp_path, "wandb")).start()
    assert runs[0].settings["project"] == "mine"


def test_epoch_is_the_step(tmp_path, runs):
    state = LogState(make_loggers(tmp_path, "wandb"))
    state.start()
    line(state.loggers[1], 3)
    assert runs[0].logged == [(3, {"epoch": 3, "train": {"loss": 0.5}})]


@pytest.mark.parametrize("between", ["wandb", None, "tensorboard"])
def test_restart_continues_the_same_run(tmp_path, runs, between):
    if between == "tensorboard":
        pytest.importorskip("tensorboard", reason="the 'tensorboard' extra is not installed")
    first = LogState(make_loggers(tmp_path, "wandb"))
    first.start()
    second = LogState(make_loggers(tmp_path, between))
    second.load_state_dict(first.state_dict())
    third = LogState(make_loggers(tmp_path, "wandb"))
    third.load_state_dict(second.state_dict())
    third.start()
    assert len(runs) == 2
    assert runs[0].settings["id"] == runs[1].settings["id"]
    assert runs[1].settings["resume"] == "allow"


def test_new_runs_have_different_ids(tmp_path, runs):
    for _ in range(2):
        LogState(make_loggers(tmp_path, "wandb")).start()
    assert runs[0].settings["id"] != runs[1].settings["id"]


@pytest.mark.parametrize(("error", "status"), [(None, 0), (KeyboardInterrupt, 1)])
def test_run_is_closed_with_its_status(tmp_path, runs, error, status):
    state = LogState(make_loggers(tmp_path, "wandb"))
    try:
        with state.close_at_end():
            state.start()
            if error:
                raise error
    except KeyboardInterrupt:
        pass
    assert runs[0].status == status


def test_failed_start_names_the_remedies(tmp_path, offline, monkeypatch):
    def fail(**_):
        raise offline.errors.UsageError("No API key configured.")

    monkeypatch.setattr(offline, "init", fail)
    message = r"No API key configured.*wandb login.*WANDB_MODE=offline.*--logger=wandb"
    with pytest.raises(ValueError, match=message):
        LogState(make_loggers(tmp_path, "wandb")).start()


@pytest.mark.parametrize(("before", "now"), [(None, "tensorboard"), ("tensorboard", None)])
def test_logger_may_change_at_a_restart(tmp_path, before, now, tensorboard):
    state = LogState(make_loggers(tmp_path, before)).state_dict()
    LogState(make_loggers(tmp_path, now)).load_state_dict(state)


def test_checkpoint_of_an_earlier_version_has_no_id(tmp_path, runs):
    state = LogState(make_loggers(tmp_path, "wandb", SETTINGS))
    state.load_state_dict({"text": "", "steps": []})
    state.start()
    assert len(runs[0].settings["id"]) == 8


def test_offline_run_is_written_to_the_folder(tmp_path, offline):
    state = LogState(make_loggers(tmp_path, "wandb", SETTINGS))
    with state.close_at_end():
        state.start()
        line(state.loggers[1], 1)
    (file,) = tmp_path.glob(f"wandb/offline-run-*-{state.loggers[1].id}/run-*.wandb")
    assert file.stat().st_size > 0

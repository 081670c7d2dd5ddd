"""Logs after a restart match the checkpoint."""

import pytest

from emosphere_sb.training.loggers import LogState, make_loggers


def line(logger, epoch):
    logger.log_stats({"epoch": epoch}, train_stats={"loss": 0.5})


def test_resume_logs_each_epoch_once(tmp_path):
    loggers = make_loggers(tmp_path, tensorboard=False)
    line(loggers[0], 1)
    state = LogState(loggers).state_dict()
    line(loggers[0], 2)
    LogState(make_loggers(tmp_path, tensorboard=False)).load_state_dict(state)
    line(loggers[0], 2)
    text = (tmp_path / "train_log.txt").read_text()
    assert text == "epoch: 1 - train loss: 5.00e-01\nepoch: 2 - train loss: 5.00e-01\n"


def test_new_run_has_an_empty_log(tmp_path):
    loggers = make_loggers(tmp_path, tensorboard=False)
    LogState(loggers).clear()
    assert not (tmp_path / "train_log.txt").exists()
    line(loggers[0], 1)
    LogState(loggers).clear()
    assert (tmp_path / "train_log.txt").read_text() == ""


def test_resume_continues_tensorboard_steps(tmp_path):
    pytest.importorskip("tensorboard", reason="the 'tensorboard' extra is not installed")
    loggers = make_loggers(tmp_path, tensorboard=True)
    for epoch in (1, 2):
        line(loggers[1], epoch)
    state = LogState(loggers).state_dict()
    fresh = make_loggers(tmp_path, tensorboard=True)
    LogState(fresh).load_state_dict(state)
    assert fresh[1].global_step == loggers[1].global_step


@pytest.mark.parametrize(("before", "now"), [(False, True), (True, False)])
def test_tensorboard_may_be_switched_at_a_restart(tmp_path, before, now):
    pytest.importorskip("tensorboard", reason="the 'tensorboard' extra is not installed")
    state = LogState(make_loggers(tmp_path, tensorboard=before)).state_dict()
    LogState(make_loggers(tmp_path, tensorboard=now)).load_state_dict(state)

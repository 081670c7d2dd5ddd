"""Runs as Slurm jobs, tested with submitit's local executor."""

import os
import signal
import sys

import pytest

from emosphere_sb.tables.launcher import LOG_FILE, Job, SlurmLauncher
from tests.helpers.processes import PATIENT, WATCHED, job, notes, pid_in, wait_until


@pytest.fixture(autouse=True)
def _python_for_a_recipe(monkeypatch):
    """Run Python scripts with arguments instead of recipes."""
    monkeypatch.setattr(
        Job, "processes", lambda job: [[sys.executable, "-c", *c] for c in job.commands]
    )


@pytest.fixture
def slurm(tmp_path):
    pytest.importorskip("submitit", reason="the 'slurm' extra is not installed")
    return SlurmLauncher(tmp_path / "slurm", {"timeout_min": 2}, cluster="local", seconds=0.05)


def test_slurm_jobs_end_with_their_status(slurm, tmp_path):
    good, bad = job(tmp_path / "good", (0, 0), (0, 0)), job(tmp_path / "bad", (0, 3), (0, 0))
    assert dict(slurm.run([good, bad])) == {good: 0, bad: 1}
    assert len(notes(good.folder)) == 2
    assert len(notes(bad.folder)) == 1  # the first command failed
    assert "ValueError: lr must be a number" in (bad.folder / LOG_FILE).read_text()


def test_closed_standard_input_does_not_stop_slurm_jobs(slurm, tmp_path, monkeypatch):
    """``srun`` closes the standard input of its tasks immediately."""
    read_end, write_end = os.pipe()
    os.close(write_end)
    before = os.dup(0)
    os.dup2(read_end, 0)
    try:
        script = WATCHED.replace("time.sleep(600)", "time.sleep(0.5)")
        one = Job(tmp_path / "a", "x", ((script, str(tmp_path / "a")),))
        assert list(slurm.run([one])) == [(one, 0)]
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(read_end)
    assert not (one.folder / "told").exists()


def test_leaving_cancels_slurm_jobs(slurm, tmp_path, monkeypatch):
    from submitit.local.local import LocalJob

    cancelled = []
    monkeypatch.setattr(LocalJob, "cancel", lambda self, check=True: cancelled.append(self))
    quick = job(tmp_path / "quick", (0, 0))
    slow = Job(tmp_path / "slow", "x", ((PATIENT, str(tmp_path / "slow")),))
    results = slurm.run([quick, slow])
    assert next(results) == (quick, 0)
    process = pid_in(slow.folder)
    results.close()
    assert len(cancelled) == 1 and not cancelled[0].done()
    os.kill(process, signal.SIGTERM)  # as Slurm does
    wait_until(cancelled[0].done, "the job is still running")


def test_parameter_that_submitit_rejects(tmp_path):
    pytest.importorskip("submitit", reason="the 'slurm' extra is not installed")
    with pytest.raises(ValueError, match=r"^--slurm: submitit rejected the parameters: .*minutes"):
        SlurmLauncher(tmp_path, {"minutes": 3}, cluster="local")


def test_missing_submitit_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ImportError, match=r"pip install 'emosphere-sb\[slurm\]'"):
        SlurmLauncher(tmp_path)

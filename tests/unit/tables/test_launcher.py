"""Launchers: parallel runs, GPUs, failed runs and interruption."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from emosphere_sb.tables import launcher
from emosphere_sb.tables.launcher import LOG_FILE, Job, LocalLauncher
from tests.helpers.processes import (
    PATIENT,
    WATCHED,
    alive,
    job,
    most_at_once,
    notes,
    pid_in,
    wait_until,
)  # fmt: skip

PARENT = """
import sys
from pathlib import Path
from pathlib import Path
from emosphere_sb.tables.launcher import Job, LocalLauncher
Job.processes = lambda job: [[sys.executable, "-c", *job.commands[0]]]
list(LocalLauncher().run([Job(Path(sys.argv[1]), "x", ((sys.argv[2], sys.argv[1]),))]))
"""


@pytest.fixture(autouse=True)
def _python_for_a_recipe(monkeypatch):
    """Run Python scripts with arguments instead of recipes."""
    monkeypatch.setattr(
        Job, "processes", lambda job: [[sys.executable, "-c", *c] for c in job.commands]
    )


def test_a_job_s_process_is_the_recipe_of_its_corpus(monkeypatch):
    monkeypatch.undo()
    made = Job(Path("x"), "IEMOCAP", (("a.yaml", "--seed=1"), ("a.yaml", "--seed=2")))
    start = [sys.executable, "-m", "emosphere_sb.tables.run", "IEMOCAP", "a.yaml"]
    assert made.processes() == [[*start, "--seed=1"], [*start, "--seed=2"]]


def test_each_job_ends_with_its_own_status(tmp_path):
    jobs = [job(tmp_path / name, (0, status)) for name, status in (("a", 0), ("b", 3), ("c", 0))]
    ended = dict(LocalLauncher().run(jobs))
    assert ended == {jobs[0]: 0, jobs[1]: 3, jobs[2]: 0}
    assert "ValueError: lr must be a number" in (tmp_path / "b" / LOG_FILE).read_text()
    begun, said = (tmp_path / "a" / LOG_FILE).read_text().strip().rsplit("\n", 1)
    assert begun.startswith(f"$ {sys.executable} -c ") and said == "here"


def test_no_jobs_start_no_process(tmp_path):
    assert list(LocalLauncher(2).run([])) == []


def test_jobs_are_sequential_by_default(tmp_path):
    jobs = [job(tmp_path / str(n), (0.05, 0)) for n in range(3)]
    assert [ended for ended, _ in LocalLauncher().run(jobs)] == jobs
    assert most_at_once(notes(*(j.folder for j in jobs))) == 1


def test_number_of_parallel_jobs(tmp_path):
    jobs = [job(tmp_path / str(n), (0.6, 0)) for n in range(5)]
    assert {ended for ended, _ in LocalLauncher(3).run(jobs)} == set(jobs)
    spans = notes(*(j.folder for j in jobs))
    assert len(spans) == 5
    assert most_at_once(spans) == 3


def test_commands_of_a_job_are_sequential(tmp_path):
    one = job(tmp_path / "a", (0.05, 0), (0.05, 0))
    assert list(LocalLauncher(2).run([one])) == [(one, 0)]
    first, second = sorted(notes(one.folder), key=lambda note: note["begin"])
    assert first["end"] <= second["begin"]


def test_a_job_ends_with_its_first_command_that_fails(tmp_path):
    one = job(tmp_path / "a", (0, 0), (0, 4), (0, 0))
    assert list(LocalLauncher().run([one])) == [(one, 4)]
    assert len(notes(one.folder)) == 2


def test_output_is_appended_to_the_log_file(tmp_path):
    one = job(tmp_path / "a", (0, 0))
    for _ in range(2):
        list(LocalLauncher().run([one]))
    lines = (one.folder / LOG_FILE).read_text().splitlines()
    assert lines.count("here") == 2
    assert len([line for line in lines if line.startswith("$ ")]) == 2


def test_every_slot_has_its_gpu(tmp_path):
    jobs = [job(tmp_path / str(n), (0.4, 0)) for n in range(4)]
    list(LocalLauncher(2, gpus=("0", "GPU-5f")).run(jobs))
    spans = notes(*(j.folder for j in jobs))
    assert {note["CUDA_VISIBLE_DEVICES"] for note in spans} == {"0", "GPU-5f"}
    for gpu in ("0", "GPU-5f"):
        assert most_at_once([n for n in spans if n["CUDA_VISIBLE_DEVICES"] == gpu]) == 1


def test_more_runs_than_gpus_share_them():
    found = [LocalLauncher(4, gpus=("0", "1")).environment(slot) for slot in range(4)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in found] == ["0", "1", "0", "1"]


def test_without_gpus_runs_share_the_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(launcher, "available_cores", lambda: 8)
    assert LocalLauncher(3).environment(0)["OMP_NUM_THREADS"] == "2"
    assert LocalLauncher(20).environment(0)["OMP_NUM_THREADS"] == "1"
    assert "OMP_NUM_THREADS" not in LocalLauncher(1).environment(0)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert LocalLauncher(3).environment(0)["OMP_NUM_THREADS"] == "5"


def test_number_of_parallel_jobs_must_be_positive():
    with pytest.raises(ValueError, match=r"^--jobs must be at least 1; found 0"):
        LocalLauncher(0)


def test_missing_program_is_an_error_of_the_launcher(tmp_path, monkeypatch):
    monkeypatch.setattr(Job, "processes", lambda job: [["/no/such/program"]])
    with pytest.raises(FileNotFoundError, match="/no/such/program"):
        list(LocalLauncher().run([Job(tmp_path / "a", "x", ((),))]))


def test_leaving_stops_running_jobs_and_starts_no_more(tmp_path):
    quick = job(tmp_path / "quick", (0, 0))
    slow = Job(tmp_path / "slow", "x", ((PATIENT, str(tmp_path / "slow")),))
    later = job(tmp_path / "later", (0, 0))
    begun = LocalLauncher(2).run([quick, slow, slow, later])
    assert next(begun) == (quick, 0)
    process = pid_in(slow.folder)
    begun.close()
    assert not alive(process)
    assert (slow.folder / "told").exists()  # it could save
    assert not notes(later.folder)


def test_process_that_does_not_exit_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(launcher, "GRACE_SECONDS", 0.2)
    deaf = PATIENT.replace(
        "signal.signal(signal.SIGTERM, leave)", "signal.signal(15, signal.SIG_IGN)"
    )
    stuck = Job(tmp_path / "stuck", "x", ((deaf, str(tmp_path / "stuck")),))
    quick = job(tmp_path / "quick", (0, 0))
    begun = LocalLauncher(2).run([quick, stuck])
    next(begun)
    process = pid_in(stuck.folder)
    begun.close()
    assert not alive(process)


def test_runs_stop_when_their_parent_is_killed(tmp_path, root):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), WATCHED],
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    child = pid_in(tmp_path)
    assert alive(child)
    parent.kill()
    assert parent.wait() == -signal.SIGKILL
    wait_until(lambda: not alive(child), "the run goes on without its parent")
    assert (tmp_path / "told").exists()  # it could save


def test_run_without_a_pipe_is_not_stopped(tmp_path, root):
    script = WATCHED.replace("time.sleep(600)", "time.sleep(0.3); sys.exit(5)")
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.DEVNULL, check=False,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert run.returncode == 5


def test_run_executes_the_recipe(monkeypatch):
    from emosphere_sb.tables import run

    called = []
    monkeypatch.setattr(run, "main", lambda words, corpus: called.append((words, corpus)) or 2)
    monkeypatch.setattr(run, "stop_with_parent", lambda: called.append("watched"))
    assert run.run_table_job(["IEMOCAP", "a.yaml", "--fold=2"]) == 2
    assert called == ["watched", (["a.yaml", "--fold=2"], "IEMOCAP")]


# --- GPUs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "gpus"),
    [("", []), ("-1", []), ("0,3", ["0", "3"]), ("GPU-5f, 1", ["GPU-5f", "1"])],
)
def test_gpus_of_the_environment_variable(monkeypatch, told, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", told)
    assert launcher.visible_gpus() == gpus


@pytest.mark.parametrize(
    ("script", "gpus"),
    [
        ("echo 'GPU 0: A'; echo '  MIG 1g: (UUID: MIG-2)'; echo 'GPU 1: A'", ["0", "1"]),
        ("echo 'No devices were found'", []),
        ("exit 9", []),
        (None, []),
    ],
)  # fmt: skip
def test_gpus_are_listed_by_nvidia_smi(monkeypatch, tmp_path, script, gpus):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    if script is not None:
        path = tmp_path / "nvidia-smi"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    assert launcher.visible_gpus() == gpus

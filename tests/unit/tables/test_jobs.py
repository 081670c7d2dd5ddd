"""Jobs for missing cells: selection, order, progress messages and failures."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from emosphere_sb.tables import jobs as module
from emosphere_sb.tables.cells import CELL_FILE, Cell, Cells
from emosphere_sb.tables.jobs import (
    Preparations,
    create_jobs,
    failure_reason,
    inspect_all,
    problems,
    run_jobs,
)
from emosphere_sb.tables.launcher import LOG_FILE, Job
from emosphere_sb.tables.status import DAMAGED, FINISHED, INTERRUPTED, NOT_STARTED, State
from tests.helpers.tables import cell, finish, make_group, make_row, predictions


def bare(folder, *, preset="", seed=1, name="test1", test_corpus=None):
    words = (f"--seed={seed}", *([f"--test_corpus={test_corpus}"] if test_corpus else []))
    return Cell("IEMOCAP", preset, words, seed, 1, name, Path(folder), test_corpus)


def folders(jobs) -> list[str]:
    return [str(job.folder) for job in jobs]


STATES = {
    bare("new"): State(NOT_STARTED), bare("half"): State(INTERRUPTED),
    bare("whole"): State(FINISHED), bare("broken"): State(DAMAGED, "gone"),
}  # fmt: skip


def test_missing_and_interrupted_runs_are_started():
    assert folders(create_jobs(STATES, rerun_damaged=False)) == ["new", "half"]


def test_damaged_runs_are_repeated_on_request():
    assert folders(create_jobs(STATES, rerun_damaged=True)) == ["new", "half", "broken"]


def test_equal_cells_share_one_run():
    states = dict.fromkeys([bare("a"), bare("a", name="test2"), bare("b")], State(NOT_STARTED))
    one, other = create_jobs(states, rerun_damaged=False)
    assert (str(one.folder), len(one.commands), str(other.folder)) == ("a", 1, "b")
    assert one.corpus == "IEMOCAP"


def test_runs_in_one_folder_are_sequential_and_share_a_preset_name():
    cells = [
        bare("a", preset="x"), bare("a", preset="x", test_corpus="MSP-IMPROV"),
        bare("a", preset="y", test_corpus="MSP-Podcast"),
        bare("a", preset="y", test_corpus="MSP-IMPROV"),
    ]  # fmt: skip
    (job,) = create_jobs(dict.fromkeys(cells, State(NOT_STARTED)), rerun_damaged=False)
    # A run with a cross-corpus test also writes its own metrics; two corpora need two commands.
    assert [[w for w in c if w.startswith("--test")] for c in job.commands] == [
        ["--test_corpus=MSP-IMPROV"], ["--test_corpus=MSP-Podcast"],
    ]  # fmt: skip
    assert all("--preset=x" in command for command in job.commands)


class Script:
    """Launcher that returns given exit statuses and writes the files of finished runs."""

    def __init__(self, cells, statuses=(), leave=None):
        self.cells, self.statuses, self.leave = cells, dict(statuses), leave
        self.seen = []

    def run(self, jobs):
        for job in jobs:
            self.seen.append(job.folder)
            assert (job.folder / CELL_FILE).is_file()
            status = self.statuses.get(job.folder, 0)
            if status == 0:
                self.leave(job)
            yield job, status


@pytest.fixture
def two(cells):
    """Two cells to run, and a function that writes the files of a finished run."""
    states = {cell(cells, seeds=(seed,)): State(NOT_STARTED) for seed in (1, 2)}
    by_folder = {one.folder: one for one in states}

    def leave(job):
        finish(cells, by_folder[job.folder], predictions(seed=by_folder[job.folder].seed))

    return states, leave


def test_successful_and_failed_runs(cells, two, caplog):
    caplog.set_level("INFO")
    states, leave = two
    good, bad = states
    bad.folder.mkdir(parents=True)
    (bad.folder / LOG_FILE).write_text("\n$ python\nerror: lr must be a number\n")
    launcher = Script(cells, {bad.folder: 2}, leave)
    failed = run_jobs(create_jobs(states, rerun_damaged=False), states, cells, launcher)
    assert launcher.seen == [good.folder, bad.folder]
    reason = f"exit status 2: error: lr must be a number (full output: {bad.folder / LOG_FILE})"
    assert failed == {bad.folder: reason}
    assert json.loads((good.folder / CELL_FILE).read_text()) == {"preset": "smoke"}
    first, second = caplog.messages
    assert first.startswith("[1/2] MSP-Podcast smoke seed 1: mean CCC 0.")
    assert "on test1 in 4 s" in first
    assert second.startswith(f"[2/2] MSP-Podcast smoke seed 2: FAILED: {reason}")
    after = inspect_all(states, cells, None)
    assert problems(after, failed) == {bad: f"failed: {reason}"}


def test_folder_preserves_its_initial_preset(cells, two):
    states, leave = two
    (job, _) = create_jobs(states, rerun_damaged=False)
    job.folder.mkdir(parents=True)
    (job.folder / CELL_FILE).write_text('{"preset": "smoke+regions_90"}')
    run_jobs([job], states, cells, Script(cells, leave=leave))
    assert json.loads((job.folder / CELL_FILE).read_text()) == {"preset": "smoke+regions_90"}
    assert "--preset=smoke+regions_90" in create_jobs(states, rerun_damaged=False)[0].commands[0]


def test_error_of_the_launcher_is_raised(cells, two):
    class Broken:
        def run(self, jobs):
            raise OSError("no more processes")
            yield

    states, _ = two
    with pytest.raises(OSError, match="no more processes"):
        run_jobs(create_jobs(states, rerun_damaged=False), states, cells, Broken())


@pytest.mark.parametrize(
    ("output", "status", "expected"),
    [
        ("\n$ c\nan error: one\nerror: two\nbye\n", 2, "exit status 2: error: two"),
        ("\n$ c\nLoading\nTraceback\nRuntimeError: out of memory\n", 1, "RuntimeError: out of"),
        ("\n$ c\nerror: of the last time\n\n$ c\nepoch 2\n", -9, "status -9: epoch 2"),
        ("\n$ c\nerror: of the last time\n\n$ c\n", -9, "exit status -9: no output"),
        ("\n$ c\n\nerror: between\n\nnothing\n", 1, "error: between"),
        ("\n$ c\nerror: x\n", 75, "saving a checkpoint; re-run the same command"),
    ],
)  # fmt: skip
def test_failure_reason(tmp_path, output, status, expected):
    (tmp_path / LOG_FILE).write_text(output)
    text = failure_reason(Job(tmp_path, "IEMOCAP", ()), status)
    assert expected in text and "\n" not in text
    assert status == 75 or str(tmp_path / LOG_FILE) in text
    assert "of the last time" not in text


def test_problem_of_each_cell_without_results():
    failed = {Path("new"): "exit status 1: x", Path("broken"): "exit status 2: y"}
    found = {str(one.folder): text for one, text in problems(STATES, failed).items()}
    # For a damaged run that could not be repeated, the damage is reported.
    assert found == {
        "new": "failed: exit status 1: x",
        "half": "interrupted",
        "broken": "damaged: gone",
    }
    assert {str(c.folder): t for c, t in problems(STATES, {}).items()}["new"] == "not started"


def test_manifests_are_written_once_for_equal_settings(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        module, "prepare_corpus", lambda settings, corpus: made.append(corpus) or SimpleNamespace()
    )
    other = SimpleNamespace(metadata=lambda: {"corpus": "MSP-IMPROV"})
    monkeypatch.setattr(
        module,
        "prepare_other_corpus",
        lambda settings, own: made.append(settings["test_options"]) or other,
    )
    data = {"IEMOCAP": "/iemocap", "MSP-IMPROV": "/improv"}
    cells = Cells(tmp_path, preset="smoke", data_folders=data)
    preparations = Preparations(cells)
    group = make_group("IEMOCAP", "test")
    same = [
        cell(cells, make_row(preset="mean_pooling"), group), cell(cells, block=group, seeds=(5,)),
        cell(cells, make_row(options={"lr": "0.1"}), group),
    ]  # fmt: skip
    assert len({id(preparations.of(one)) for one in same}) == 1
    assert made == ["IEMOCAP"]
    preparations.of(cell(cells, make_row(options={"four_classes": "True"}), group))
    assert made == ["IEMOCAP", "IEMOCAP"]
    assert preparations.tested_on(same[0]) is None
    for options, text in (({}, None), ({"test_options": "{raters: True}"}, "{raters: True}")):
        row = make_row(corpus="IEMOCAP", options=options)
        crossed = cell(cells, row, make_group(None, "test", tested_on="MSP-IMPROV"))
        for _ in range(2):
            assert preparations.tested_on(crossed) == {"corpus": "MSP-IMPROV"}
        assert made.pop() == text
    assert made == ["IEMOCAP", "IEMOCAP"]

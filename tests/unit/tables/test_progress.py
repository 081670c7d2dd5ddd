"""Progress and remaining time of a table's runs, with a fake clock."""

from pathlib import Path

import pytest

from emosphere_sb.tables.launcher import Job
from emosphere_sb.tables.progress import Progress, epochs_done

LINE = "epoch: {}, lr: 1.00e-03 - train loss: 2.0 - valid loss: 1.9\n"


def write_log(folder: Path, epochs: int) -> None:
    folder.mkdir(exist_ok=True)
    lines = [LINE.format(number + 1) for number in range(epochs)]
    (folder / "train_log.txt").write_text("".join(lines) + "Epoch loaded: 2 - test loss: 1\n")


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def begin(tmp_path, clock):
    """Function that creates a progress object (by default 4 runs, 10 epochs) and its output."""

    def start(number=4, epochs=10):
        jobs = [Job(tmp_path / str(n), "MSP-Podcast", (("x",),)) for n in range(number)]
        output = []
        progress = Progress(
            jobs, {job.folder: epochs for job in jobs}, log=output.append, clock=clock
        )
        return progress, jobs, output

    return start


def test_no_estimate_before_any_progress(begin, clock):
    progress, _, _ = begin()
    clock.now += 50
    assert progress.done() == 0 and progress.seconds_left() is None
    assert progress.estimate() == "no estimate yet"


def test_remaining_runs_take_as_long_as_finished_runs(begin, clock):
    progress, jobs, output = begin()
    clock.now += 100
    progress.end(jobs[0], "one")
    # 1 of 4 runs in 100 s: 3 more take 300 s
    assert progress.seconds_left() == pytest.approx(300)
    assert output == ["[1/4] one; about 5 min left"]
    clock.now += 60
    progress.end(jobs[1], "two")
    # 2 runs in 160 s: 2 more take 160 s
    assert progress.seconds_left() == pytest.approx(160)
    assert output[-1] == "[2/4] two; about 3 min left"


def test_epochs_of_running_runs_count(begin, clock, tmp_path):
    progress, _, _ = begin()
    write_log(tmp_path / "0", 5)
    clock.now += 30
    assert progress.done() == pytest.approx(0.5)
    # 0.5 runs in 30 s: 3.5 more take 210 s
    assert progress.seconds_left() == pytest.approx(210)


def test_epochs_of_an_earlier_start_do_not_affect_the_speed(begin, clock, tmp_path):
    write_log(tmp_path / "0", 8)
    progress, jobs, _ = begin(number=2)
    assert progress.done() == pytest.approx(0.8)
    clock.now += 20
    assert progress.seconds_left() is None  # no progress since the start
    progress.end(jobs[0], "one")
    # 0.2 runs in 20 s: 1 more takes 100 s
    assert progress.seconds_left() == pytest.approx(100)


def test_run_is_not_finished_before_its_process(begin, tmp_path):
    progress, jobs, _ = begin()
    write_log(tmp_path / "0", 10)  # the tests of the run have not finished
    assert progress.done() < 1
    progress.end(jobs[0], "one")
    assert progress.done() == 1


def test_last_run(begin, clock):
    progress, jobs, output = begin(number=1)
    clock.now += 5
    progress.end(jobs[0], "one")
    assert output == ["[1/1] one; all finished"]


def test_epochs_are_counted_in_the_log(tmp_path):
    assert epochs_done(tmp_path) == 0
    write_log(tmp_path, 3)
    assert epochs_done(tmp_path) == 3

"""How much of a table's runs is done, and how long the rest takes, by a clock set by hand."""

from pathlib import Path

import pytest

from emosphere_sb.tables.launcher import Job
from emosphere_sb.tables.progress import Progress, duration, epochs_done

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
    """Progress over four runs of ten epochs, and what it says."""

    def start(number=4, epochs=10):
        jobs = [Job(tmp_path / str(n), "MSP-Podcast", (("x",),)) for n in range(number)]
        said = []
        progress = Progress(
            jobs, {job.folder: epochs for job in jobs}, say=said.append, clock=clock
        )
        return progress, jobs, said

    return start


def test_nothing_is_estimated_before_anything_was_done(begin, clock):
    progress, _, _ = begin()
    clock.now += 50
    assert progress.done() == 0 and progress.left() is None
    assert progress.estimate() == "no estimate yet"


def test_the_rest_takes_what_the_done_took(begin, clock):
    progress, jobs, said = begin()
    clock.now += 100
    progress.end(jobs[0], "one")
    # One of four in 100 s: three more take 300 s.
    assert progress.left() == pytest.approx(300)
    assert said == ["[1/4] one; about 5.0 min left"]
    clock.now += 60
    progress.end(jobs[1], "two")
    # Two in 160 s, so two more take 160 s.
    assert progress.left() == pytest.approx(160)
    assert said[-1] == "[2/4] two; about 2.7 min left"


def test_epochs_of_runs_under_way_count(begin, clock, tmp_path):
    progress, _, _ = begin()
    write_log(tmp_path / "0", 5)
    clock.now += 30
    assert progress.done() == pytest.approx(0.5)
    # Half a run in 30 s: three and a half take 210 s.
    assert progress.left() == pytest.approx(210)


def test_epochs_from_before_are_no_speed(begin, clock, tmp_path):
    write_log(tmp_path / "0", 8)
    progress, jobs, _ = begin(number=2)
    assert progress.done() == pytest.approx(0.8)
    clock.now += 20
    assert progress.left() is None  # nothing was done since
    progress.end(jobs[0], "one")
    # 0.2 runs in 20 s; one is left: 100 s.
    assert progress.left() == pytest.approx(100)


def test_a_run_is_not_over_before_its_process_is(begin, tmp_path):
    progress, jobs, _ = begin()
    write_log(tmp_path / "0", 10)  # it is tested now
    assert progress.done() < 1
    progress.end(jobs[0], "one")
    assert progress.done() == 1


def test_the_last_run_ends_it(begin, clock):
    progress, jobs, said = begin(number=1)
    clock.now += 5
    progress.end(jobs[0], "one")
    assert said == ["[1/1] one; all are done"]


def test_epochs_are_counted_in_the_log(tmp_path):
    assert epochs_done(tmp_path) == 0
    write_log(tmp_path, 3)
    assert epochs_done(tmp_path) == 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1.0 min"), (3600, "1.0 h"), (86_400, "1.0 days")],
)
def test_a_time_is_said_in_the_unit_that_fits(seconds, text):
    assert duration(seconds) == text

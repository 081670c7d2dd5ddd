"""SIGKILL at chosen and at random moments: the same command goes on, and ends as if nothing was."""

import os
import random

import pytest

from tests.helpers.run import Runs, assert_same_end

SMOKE = ["--number_of_epochs=3", "--ckpt_interval_steps=2", "--crop=random", "--max_seconds=1.0"]
LONG = ["--number_of_epochs=24", "--ckpt_interval_steps=1", "--schedule_name=cosine"]
# While files of a checkpoint are open, in evaluation, between best and last, and others: how often
# each of them comes before the run waits there is drawn.
CHOSEN = {
    "saving": (1, 12), "summing": (1, 12), "between": (1, 3), "deleting": (2, 3),
    "validating": (1, 3), "logged": (1, 3), "stepping": (1, 6),
}  # fmt: skip
# Once training is over. Written are hyperparams.yaml, data.json, the log, four sets, metrics.json.
LAST = [("testing", 3), *(("writing", number) for number in (1, 2, 3, 5, 8)), ("reporting", 1)]
RANDOM = 8
SECONDS = 0.8


@pytest.fixture(autouse=True)
def _at_the_root(root, monkeypatch):
    monkeypatch.chdir(root)


def test_kill_while_a_file_of_a_checkpoint_is_open_loses_nothing(smoke_corpus, tmp_path):
    runs = Runs(smoke_corpus, tmp_path, *SMOKE)
    runs.here(tmp_path / "whole")
    runs.killed(tmp_path / "parts", "saving", 14)  # in the second of three epochs
    assert list((tmp_path / "parts" / "save").glob("partial-*/*.ckpt"))
    runs.here(tmp_path / "parts")
    assert_same_end(tmp_path / "whole", tmp_path / "parts")


def plan(seed: int) -> list[tuple[str, int, float]]:
    """Moments, which time they come, and seconds to wait after them, in a drawn order."""
    chance = random.Random(seed)
    kills = [(name, chance.randint(*span), 0.0) for name, span in CHOSEN.items()]
    kills += [("saving", chance.randint(1, 12), 0.0) for _ in range(2)]
    kills += [("begun", 1, chance.uniform(0, SECONDS)) for _ in range(RANDOM)]
    chance.shuffle(kills)
    return kills + [(name, number, 0.0) for name, number in LAST]


@pytest.mark.slow
def test_kill_at_random_moments_again_and_again_ends_as_a_run_left_alone(smoke_corpus, tmp_path):
    seed = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(10**6)))
    print(f"KILL_SEED={seed}")
    runs = Runs(smoke_corpus, tmp_path, *LONG)
    runs.here(tmp_path / "whole")
    kills = plan(seed)
    assert len(kills) >= 20
    for number, (moment, count, delay) in enumerate(kills):
        print(f"kill {number + 1}: {moment} {count}, {delay:.2f} s later", flush=True)
        workers = f"--num_workers={number % 3}"  # which may outlive the run that had them
        runs.killed(tmp_path / "parts", moment, count, workers, delay=delay)
    runs.here(tmp_path / "parts")
    assert_same_end(tmp_path / "whole", tmp_path / "parts")

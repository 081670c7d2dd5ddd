"""Kill runs at chosen and random points; the resumed run matches an uninterrupted one."""

import os
import random

import pytest

from tests.helpers.run import Runs, assert_same_results

SMOKE = ["--number_of_epochs=3", "--ckpt_interval_steps=2", "--crop=random", "--max_seconds=1.0"]
LONG = ["--number_of_epochs=24", "--ckpt_interval_steps=1", "--schedule_name=cosine"]
# Range of the number of passes after which the run waits at each point; the number is random.
DURING_TRAINING = {
    "saving": (1, 12), "summing": (1, 12), "between": (1, 3), "deleting": (2, 3),
    "validating": (1, 3), "logged": (1, 3), "stepping": (1, 6),
}  # fmt: skip
# Points after training. The run writes hyperparams.yaml, data.json, the log, the predictions for
# four sets, and metrics.json.
AFTER_TRAINING = [
    ("testing", 3),
    *(("writing", number) for number in (1, 2, 3, 5, 8)),
    ("reporting", 1),
]
RANDOM = 8
SECONDS = 0.8


@pytest.fixture(autouse=True)
def _at_the_root(root, monkeypatch):
    monkeypatch.chdir(root)


def test_kill_while_checkpoint_is_written_does_not_change_result(smoke_corpus, tmp_path):
    runs = Runs(smoke_corpus, tmp_path, *SMOKE)
    runs.run_in_process(tmp_path / "uninterrupted")
    runs.start_and_kill(tmp_path / "resumed", "saving", 14)  # in the second of three epochs
    assert list((tmp_path / "resumed" / "save").glob("partial-*/*.ckpt"))
    runs.run_in_process(tmp_path / "resumed")
    assert_same_results(tmp_path / "uninterrupted", tmp_path / "resumed")


def random_kills(seed: int) -> list[tuple[str, int, float]]:
    """Return kill points, their pass numbers, and delays in s, in random order."""
    chance = random.Random(seed)
    kills = [(name, chance.randint(*span), 0.0) for name, span in DURING_TRAINING.items()]
    kills += [("saving", chance.randint(1, 12), 0.0) for _ in range(2)]
    kills += [("begun", 1, chance.uniform(0, SECONDS)) for _ in range(RANDOM)]
    chance.shuffle(kills)
    return kills + [(name, number, 0.0) for name, number in AFTER_TRAINING]


@pytest.mark.slow
def test_resume_after_random_kills_matches_uninterrupted_run(smoke_corpus, tmp_path):
    seed = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(10**6)))
    print(f"KILL_SEED={seed}")
    runs = Runs(smoke_corpus, tmp_path, *LONG)
    runs.run_in_process(tmp_path / "uninterrupted")
    kills = random_kills(seed)
    assert len(kills) >= 20
    for number, (point, count, delay) in enumerate(kills):
        print(f"kill {number + 1}: {point} {count}, {delay:.2f} s later", flush=True)
        workers = f"--num_workers={number % 3}"  # loader processes may outlive the killed run
        runs.start_and_kill(tmp_path / "resumed", point, count, workers, delay=delay)
    runs.run_in_process(tmp_path / "resumed")
    assert_same_results(tmp_path / "uninterrupted", tmp_path / "resumed")

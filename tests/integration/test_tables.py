"""Test ``emosphere table`` with real runs: complete, interrupted, damaged and failed ones."""

import contextlib
import csv
import io
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from emosphere_sb.commands.table import run
from emosphere_sb.tables import launcher
from emosphere_sb.tables.launcher import LOG_FILE
from tests.helpers.forked import ForkedProcess

TABLES = """
kept:
    caption: Two runs, one of them under two names
    preset: smoke
    seeds: [1]
    groups: [{corpus: MSP-Podcast, set: test1}]
    columns: [valence, arousal, dominance, mean]
    labels: [model]
    reference: plain
    rows:
        plain: {}
        octants: {preset: regions_90}
        mean pooling: {preset: mean_pooling}
failing:
    caption: One run fails
    preset: smoke
    seeds: [1]
    groups: [{corpus: MSP-Podcast, set: test1}]
    columns: [mean]
    labels: [model]
    reference: plain
    rows:
        too deep: {options: {layers: 99}}
        plain: {}
        one epoch: {options: {number_of_epochs: 1}}
crossed:
    caption: Trained on one corpus, tested on two
    preset: smoke
    seeds: [1]
    groups:
        - {tested_on: MSP-IMPROV, set: test, elsewhere: all}
        - {tested_on: IEMOCAP, set: test, elsewhere: all}
    columns: [mean]
    labels: [trained on]
    rows:
        IEMOCAP: {corpus: IEMOCAP}
"""


@pytest.fixture(autouse=True)
def _at_the_root(root, monkeypatch):
    monkeypatch.chdir(root)
    start_runs_fast(monkeypatch)


def start_runs_fast(patch: pytest.MonkeyPatch) -> None:
    """Start the runs of commands in this process as forks, each with one thread."""
    patch.setenv("OMP_NUM_THREADS", "1")  # same results for any number of concurrent runs
    forking = SimpleNamespace(**{**vars(subprocess), "Popen": ForkedProcess})
    patch.setattr(launcher, "subprocess", forking)


@pytest.fixture(scope="module")
def command(smoke_corpus, tmp_path_factory):
    """Build the arguments of the command for a table and a results folder."""
    file = tmp_path_factory.mktemp("own") / "tables.yaml"
    file.write_text(TABLES, encoding="utf-8")

    def words(results: Path, *more: str, table="kept") -> list[str]:
        folders = [f"--data_folder={smoke_corpus}", f"--results_folder={results}"]
        return [table, f"--tables={file}", *folders, "--device=cpu", "--resamples=99", *more]

    return words


def start(words: list[str], root: Path) -> subprocess.Popen:
    """Start the command in a separate process."""
    return subprocess.Popen(
        [sys.executable, "-m", "emosphere_sb.cli", "table", *words], cwd=root, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def uninterrupted(command, root, tmp_path_factory):
    """The results and the output of an uninterrupted command."""
    results = tmp_path_factory.mktemp("uninterrupted")
    output = io.StringIO()
    log = logging.getLogger("emosphere_sb")
    handler = logging.StreamHandler(output)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
        patch.chdir(root)
        start_runs_fast(patch)
        patch.setattr(log, "level", logging.INFO)
        log.addHandler(handler)
        status = run(command(results, "--jobs=2"))
        log.removeHandler(handler)
    assert status == 0, output.getvalue()
    return results, output.getvalue()


@pytest.fixture
def results(uninterrupted, tmp_path) -> Path:
    """A copy of the results."""
    return Path(shutil.copytree(uninterrupted[0], tmp_path / "results"))


def runs_of(results: Path) -> list[Path]:
    return sorted((results / "tables" / "runs" / "MSP-Podcast").iterdir())


def predictions_of(results: Path) -> dict[str, bytes]:
    found = {
        f"{folder.name}/{path.name}": path.read_bytes()
        for folder in runs_of(results)
        for path in folder.glob("predictions/*.csv")
    }
    assert found
    return found


def lines_of(results: Path, table="kept") -> list[dict]:
    with open(results / "tables" / f"{table}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def markdown_of(results: Path, table="kept") -> list[str]:
    """Return the lines of a Markdown table."""
    text = (results / "tables" / f"{table}.md").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith("|")]


def scores_of(results: Path) -> list[tuple]:
    names = (
        "row",
        "set",
        "seed",
        "status",
        "valence",
        "arousal",
        "dominance",
        "mean",
        "head_epoch",
    )
    return [tuple(line[name] for name in names) for line in lines_of(results)]


def processes_of(results: Path) -> list[int]:
    """Return the IDs of processes whose command line contains the results folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:  # the process has ended
            continue
        if str(results).encode() in words and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return found


def wait_until(holds, process=None) -> None:
    """Wait for a condition, with a generous timeout against hanging tests."""
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end
        assert process is None or process.poll() is None, process.communicate()[0]
        time.sleep(0.02)


def test_equal_rows_of_a_table_share_one_run(uninterrupted):
    results, output = uninterrupted
    assert "2 runs for kept: 0 finished, 2 to run" in output
    assert len(runs_of(results)) == 2
    plain, octants, pooled = lines_of(results)
    assert plain["run_folder"] == octants["run_folder"] != pooled["run_folder"]
    assert plain["mean"] == octants["mean"] != pooled["mean"]
    assert [line["status"] for line in (plain, octants, pooled)] == ["finished"] * 3
    shown = [re.sub(r"[*\\ ]", "", line).split("|")[2:6] for line in markdown_of(results)[2:]]
    assert shown[0] == shown[1]
    for scores, line in zip(shown, (plain, octants, pooled), strict=True):
        named = [float(line[name]) for name in ("valence", "arousal", "dominance", "mean")]
        assert [float(text) for text in scores] == pytest.approx(named, abs=5e-4)
    assert "Synthetic speech:" in output


def test_finished_table_starts_no_run(uninterrupted, results, command, capsys):
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*") if "runs" in path.parts}
    assert len(before) > 20
    assert run(command(results)) == 0
    after = {path: path.stat().st_mtime_ns for path in results.rglob("*") if "runs" in path.parts}
    assert after == before
    assert markdown_of(results) == markdown_of(uninterrupted[0])
    assert "[a]" not in capsys.readouterr().out


@pytest.mark.slow
def test_table_killed_twice_matches_uninterrupted_one(
    uninterrupted, command, root, tmp_path, caplog
):
    results = tmp_path / "killed"

    caplog.set_level("INFO")

    def epochs() -> int:
        logs = results.glob("tables/runs/MSP-Podcast/*/train_log.txt")
        return sum(path.read_text(encoding="utf-8").count("epoch: ") for path in logs)

    # Kill the command together with its runs.
    process = start(command(results, "--jobs=2"), root)
    wait_until(lambda: epochs() >= 1, process)
    for number in processes_of(results):
        os.kill(number, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not processes_of(results))
    assert not list(results.rglob("metrics.json"))

    # Kill only the command: its runs must end as well. Each of the two has two epochs.
    process = start(command(results, "--jobs=2"), root)
    wait_until(lambda: epochs() >= 3, process)
    process.kill()
    process.communicate()
    wait_until(lambda: not processes_of(results))
    assert len(list(results.rglob("metrics.json"))) < 2
    assert not (results / "tables" / "kept.md").exists()

    assert run(command(results, "--jobs=2")) == 0
    assert any(message.startswith("2 runs for kept: ") for message in caplog.messages)
    assert not any("2 finished" in message for message in caplog.messages)
    assert predictions_of(results) == predictions_of(uninterrupted[0])
    assert scores_of(results) == scores_of(uninterrupted[0])
    assert markdown_of(results) == markdown_of(uninterrupted[0])
    assert not processes_of(results)


def test_missing_predictions_are_marked_and_can_be_rerun(uninterrupted, results, command, capsys):
    plain, _, pooled = lines_of(results)
    name = Path(pooled["run_folder"]).name
    deleted = results / "tables" / "runs" / "MSP-Podcast" / name / "predictions" / "test1.csv"
    deleted.unlink()
    assert run(command(results)) == 1
    captured = capsys.readouterr()
    assert "[a] seed 1: damaged: predictions/test1.csv is missing" in captured.out
    assert "--rerun-damaged" in captured.err
    assert markdown_of(results)[-1] == "| mean pooling | – [a] | – [a] | – [a] | – [a] |"
    assert lines_of(results)[0]["mean"] == plain["mean"]
    assert not deleted.exists()  # damaged runs are repeated only with --rerun-damaged

    assert run(command(results, "--rerun-damaged")) == 0
    assert predictions_of(results) == predictions_of(uninterrupted[0])
    assert scores_of(results) == scores_of(uninterrupted[0])


def test_failed_run_is_marked_and_others_continue(results, command, capsys):
    assert run(command(results, table="failing")) == 1
    captured = capsys.readouterr()
    failed, plain, short = lines_of(results, "failing")
    assert failed["status"].startswith("failed: exit status 2: error: ")
    assert "99" in failed["status"] and failed["mean"] == ""
    screen = Path(failed["run_folder"]) / LOG_FILE
    assert str(screen) in failed["status"] and "99" in screen.read_text(encoding="utf-8")
    assert (plain["status"], short["status"]) == ("finished", "finished")
    logs = [Path(line["run_folder"]) / "train_log.txt" for line in (plain, short)]
    assert [path.read_text(encoding="utf-8").count("epoch: ") for path in logs] == [2, 1]
    assert "[a] seed 1: failed: exit status 2: error: " in captured.out
    assert markdown_of(results, "failing")[2] == "| too deep | – [a] |"
    assert "Runs without results: 1" in captured.err


def test_cross_corpus_test_is_repeated_when_its_options_change(command, tmp_path, capsys):
    words = [w for w in command(tmp_path, table="crossed") if not w.startswith("--data_folder")]
    assert run(words) == 0
    (folder,) = (tmp_path / "tables" / "runs" / "IEMOCAP").iterdir()
    foreign = folder / "predictions" / "MSP-IMPROV-all.csv"
    lines = len(foreign.read_text(encoding="utf-8").splitlines())
    time_of = foreign.stat().st_mtime_ns
    assert run(words) == 0
    assert foreign.stat().st_mtime_ns == time_of
    crossed, own = lines_of(tmp_path, "crossed")
    assert (crossed["set"], own["set"]) == ("MSP-IMPROV-all", "test")
    assert crossed["run_folder"] == own["run_folder"] == str(folder)

    other = [*words, "--test_options={conditions: [P]}"]
    capsys.readouterr()
    assert run(other) == 1
    assert (
        "damaged: the test on MSP-IMPROV used different values of options"
        in capsys.readouterr().out
    )
    assert lines_of(tmp_path, "crossed")[1]["mean"] == own["mean"]
    assert run([*other, "--rerun-damaged"]) == 0
    assert 1 < len(foreign.read_text(encoding="utf-8").splitlines()) < lines
    assert lines_of(tmp_path, "crossed")[1]["mean"] == own["mean"]


@pytest.mark.slow
def test_table_3_compares_the_published_region_scores_with_the_head_on_the_test_set(
    smoke_corpus, tmp_path
):
    words = ["paper_table_3", f"--data_folder={smoke_corpus}", f"--results_folder={tmp_path}"]
    options = ["--preset=smoke", "--seeds=1", "--device=cpu", "--resamples=99"]
    assert run([*words, *options, "--number_of_epochs=2", "--aux_decay_epochs=1"]) == 0
    with open(tmp_path / "tables" / "paper_table_3.csv", encoding="utf-8") as file:
        runs = {line["row"]: line for line in csv.DictReader(file)}
    with open(tmp_path / "tables" / "paper_table_3.summary.csv", encoding="utf-8") as file:
        lines = {(line["row"], line["column"]): line for line in csv.DictReader(file)}
    for row, published in (("32 (45°)", 4.77), ("18 (60°)", 17.96), ("8 (90°)", 36.27)):
        metrics = json.loads((Path(runs[row]["run_folder"]) / "metrics.json").read_text())
        head = metrics["test"]["auxiliary_head"]
        assert head["last_trained"]["epoch"] == 1
        for column, own in (("head_f1", "last_trained"), ("head_best_f1", "tested_weights")):
            line = lines[row, column]
            assert float(line["published"]) == published
            assert float(line["mean"]) == pytest.approx(100 * head[own]["macro_f1"])
        assert not lines[row, "point_f1"]["published"]

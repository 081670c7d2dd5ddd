"""Test the parts of make real-tables: baselines, choice in each fold, table, definitions."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks"))

from real_speech.baselines import COSTS, Fold, support_vector_regression
from real_speech.cells import Settings, read_tables
from real_speech.page import markdown_table, readme_text, results_text
from real_speech.pool import cpu_seconds, run_job
from real_speech.results import ResultRow, nested_row, summarise

from emosphere_sb.results.predictions import PREDICTED
from emosphere_sb.scale import DIMENSIONS
from emosphere_sb.tables.launcher import LOG_FILE, Job


@pytest.fixture
def tables(root):
    encoder = Path("/weights")
    settings = Settings(Path("/data"), encoder, root / "benchmarks" / "real_tables.yaml", Path("/"))
    return {table.name: table for table in read_tables(settings)}


def test_all_tables_use_the_same_data_and_weights(tables):
    groups = {name: table.groups[0] for name, table in tables.items()}
    splits = [groups.pop(name) for name in ("own_test_split", "own_test_split_one_seed")]
    assert len({str(group.options) for group in groups.values()}) == 1
    assert {group.folds for group in groups.values()} == {5}
    assert groups["five_seeds"].options["backbone"] == "/weights"
    for split in splits:
        assert split.folds == 1 and split.options["partition"] == "split"
        assert split.options["backbone"] == "/weights"


def test_each_row_of_the_first_table_changes_one_factor(tables):
    rows = {row.name: row for row in tables["five_seeds"].rows}
    assert rows.pop("frozen").options == {} and tables["five_seeds"].preset == "frozen"
    changed = {name: {*row.options, *filter(None, [row.preset])} for name, row in rows.items()}
    assert changed.pop("last_not_normalised") == {"layers", "layer_normalisation"}
    assert all(len(keys) == 1 for keys in changed.values())


def fold_of(random, layer, speakers=8, clips=12):
    """Return a fold whose labels are a linear function of one layer, and the features."""
    features, rows = {}, {}
    for speaker in range(speakers):
        for clip in range(clips):
            key = f"{speaker}-{clip}"
            features[key] = random.standard_normal((3, 4))
            vad = 0.3 * features[key][layer, :3] + 0.1
            rows[key] = {"speaker": str(speaker), **dict(zip(DIMENSIONS, vad, strict=True))}
    test = {key: row for key, row in rows.items() if row["speaker"] in "01"}
    return Fold({key: row for key, row in rows.items() if key not in test}, test), features


@pytest.mark.parametrize("layer", [0, 2])
def test_support_vector_regression_chooses_the_informative_layer(layer):
    pytest.importorskip("sklearn", reason="the extra 'benchmarks' is not installed")
    fold, features = fold_of(np.random.default_rng(1), layer)
    predicted, chosen = support_vector_regression(fold, features)
    assert [choice["dimension"] for choice in chosen] == list(DIMENSIONS)
    assert {choice["layer"] for choice in chosen} == {layer}
    assert {choice["C"] for choice in chosen} <= set(COSTS)
    truth = np.array([[row[name] for name in DIMENSIONS] for row in fold.test.values()])
    assert predicted.shape == truth.shape == (24, 3)
    assert (
        np.corrcoef(predicted.ravel(), truth.ravel())[0, 1] > 0.8
    )  # 0.1 of the errors are ignored


def test_choice_does_not_use_the_labels_of_the_test_set():
    pytest.importorskip("sklearn", reason="the extra 'benchmarks' is not installed")
    fold, features = fold_of(np.random.default_rng(2), 1)
    shuffled = Fold(fold.train, {k: {**row, "valence": 9.0} for k, row in fold.test.items()})
    first, second = (support_vector_regression(one, features) for one in (fold, shuffled))
    assert np.array_equal(first[0], second[0]) and first[1] == second[1]


def predictions(ids, value):
    """Return a table whose predictions are the truth plus ``value`` times noise."""
    random = np.random.default_rng(3)
    table = pd.DataFrame({"ID": ids, "speaker": [name.partition("-")[0] for name in ids]})
    for name, predicted in zip(DIMENSIONS, PREDICTED, strict=True):
        table[name] = random.uniform(-1, 1, len(ids))
        table[predicted] = table[name] + value * random.standard_normal(len(ids))
    return table


class TwoRows:
    """Runs of rows ``a`` and ``b``, two seeds and two folds, with given development scores."""

    def __init__(self, scores):
        group = SimpleNamespace(folds=2)
        rows = [SimpleNamespace(name=name) for name in "ab"]
        table = SimpleNamespace(seeds=(1, 2), groups=[group])
        table.pairs = lambda: [(row, group) for row in rows]
        self.tables, self.problems = [table], {}
        keys = [(seed, fold) for seed in (1, 2) for fold in (1, 2)]
        self.cells = SimpleNamespace(
            of=lambda table, row, group: {key: (row.name, *key) for key in keys}
        )
        self.states = {
            (name, seed, fold): SimpleNamespace(
                metrics={"valid": {"mean_ccc": scores[name][fold - 1] + 0.01 * seed}},
                predictions=pd.DataFrame({"ID": [f"{name}-{seed}-{fold}"]}),
            )
            for name in "ab"
            for seed, fold in keys
        }


def test_setting_with_the_best_development_score_is_chosen_in_each_fold():
    runs = TwoRows({"a": [0.5, 0.7], "b": [0.6, 0.4]})
    (row,), chosen = nested_row(runs)
    assert chosen == {1: "b", 2: "a"}
    assert {seed: list(table["ID"]) for seed, table in row.tables.items()} == {
        1: ["b-1-1", "a-1-2"],
        2: ["b-2-1", "a-2-2"],
    }


def test_nothing_is_chosen_as_long_as_a_run_is_missing():
    runs = TwoRows({"a": [0.5, 0.7], "b": [0.6, 0.4]})
    runs.problems["a", 2, 1] = "not started"
    assert nested_row(runs) == ([], {})


@pytest.fixture(scope="module")
def summary():
    ids = [f"{speaker:02d}-{clip}" for speaker in range(12) for clip in range(5)]
    rows = [
        ResultRow("frozen", ("–", "frozen"), {1: predictions(ids, 0.1)}, 5, 5),
        ResultRow("worse", ("layers", "last"), {1: predictions(ids, 1.0)}, 5, 5),
        ResultRow("same", ("layers", "first"), {1: predictions(ids, 0.1)}, 5, 5),
        ResultRow("missing", ("layers", "none"), {}, 5, 2),
    ]
    return summarise(rows, 999)


def test_p_values_are_corrected_for_the_number_of_compared_rows(summary):
    worse, same = (summary[k]["difference"]["mean_ccc"] for k in (1, 2))
    assert worse["high"] < 0 and worse["p"] == 0.001
    assert worse["p_holm"] == 2 * worse["p"]
    assert (same["difference"], same["p_holm"]) == (0.0, 1.0)


def test_table_shows_differences_and_missing_runs(summary):
    header, _, frozen, worse, _, missing = markdown_table(summary).splitlines()
    assert header.endswith("| seeds | difference | p |")
    assert frozen.endswith("| 1 | – | – |")
    difference = summary[1]["difference"]["mean_ccc"]["difference"]
    assert f"| -{abs(difference):.3f}".replace("0.", ".") in worse and worse.endswith("| .002 |")
    assert "| not finished (2 of 5 runs) |" in missing
    assert {line.count("|") for line in (header, frozen, worse, missing)} == {11}


def test_text_states_the_command_versions_and_machine(summary):
    names = ("emosphere_sb", "python", "torch", "speechbrain", "transformers", "scikit-learn")
    text = results_text(
        {
            "rows": summary, "own_test_split": summary[:1], "command": "make real-tables",
            "data": {"utterances": 60, "speakers": 12, "folds": 5}, "resamples": 999,
            "extraction": {"seconds": 70.0, "cpu_seconds": 20.4},
            "versions": dict.fromkeys(names, "1.2"), "machine": "a laptop, 2 cores",
        }
    )  # fmt: skip
    assert "; 20 s to extract the features of `frozen`; and" in text
    assert text.startswith("60 clips of 12 speakers, 5 folds by speaker.")
    assert text.endswith("transformers 1.2, scikit-learn 1.2; a laptop, 2 cores).")
    assert "Generated by `make real-tables` (999 resamples; emosphere_sb 1.2" in text


def test_table_of_the_readme_has_the_main_rows_that_are_finished(root):
    results = json.loads((root / "benchmarks" / "real_tables.json").read_text(encoding="utf-8"))
    lines = readme_text(results).splitlines()
    scores = {
        row["name"]: row["ccc"]["mean_ccc"]["mean"] for row in results["rows"] if "ccc" in row
    }
    shown = [float(line.split("|")[5].split("±")[0]) for line in lines[4:]]
    names = ["frozen", "nested", "last_not_normalised", "svr"]
    assert shown == [pytest.approx(scores[name], abs=5.1e-4) for name in names]
    assert "\n".join(lines) in (root / "README.md").read_text(encoding="utf-8")


def test_failed_run_has_a_status_and_a_log(tmp_path, capfd):
    job = Job(tmp_path / "run", "OwnData", (("missing.yaml",),))
    with capfd.disabled():
        assert run_job(job) == 2
    log = (tmp_path / "run" / LOG_FILE).read_text(encoding="utf-8")
    assert log.startswith("\n$ OwnData missing.yaml\n") and "error: " in log
    first = cpu_seconds(tmp_path / "run")
    with capfd.disabled():
        assert run_job(job) == 2
    assert cpu_seconds(tmp_path / "run") > first > 0  # both attempts


PARENT = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from real_speech.pool import stop_with_parent

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(1, context, initializer=stop_with_parent)
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(600)
"""


def test_processes_end_when_the_script_is_killed(root, tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    path = os.pathsep.join([str(root / "benchmarks"), str(root)])
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    child = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    for _ in range(600):
        if not is_running(child):
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
        pytest.fail("The process continues without its parent.")


def is_running(number):
    """Return whether a process exists and is not a zombie."""
    status = Path(f"/proc/{number}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"

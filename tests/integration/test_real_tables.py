"""Test make real-tables on a small corpus: all steps, and that finished runs are skipped."""

import contextlib
import csv
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from emosphere_sb.metrics.regression import ccc
from tests.helpers import forked

pytest.importorskip("sklearn", reason="the extra 'benchmarks' is not installed")
sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import real_tables
from real_speech import pool

SPEAKERS, CLIPS = 12, 3
TABLES = """
five_seeds:
    caption: Small runs
    preset: frozen
    seeds: [1, 2]
    groups: &folds
        - corpus: OwnData
          set: test
          folds: 3
          options: &short {partition: folds, folds: 3, label_low: -1, label_high: 1, backbone: ENCODER, number_of_epochs: 2}
    columns: &vad [valence, arousal, dominance, mean]
    labels: &labels [factor, setting]
    rows:
        frozen: {label: ["–", frozen]}
        standardised: {label: [layers, standardised], options: {layer_normalisation: standardise}}
own_test_split:
    caption: The split of the corpus
    preset: frozen
    seeds: [1]
    groups:
        - {corpus: OwnData, set: test, options: {label_low: -1, label_high: 1, backbone: ENCODER, number_of_epochs: 2}}
    columns: *vad
    labels: *labels
    rows:
        frozen: {label: ["–", frozen]}
one_seed:
    caption: One seed
    seeds: [1]
    groups: *folds
    columns: *vad
    labels: *labels
    rows:
        random_backbone: {label: [backbone, random], preset: smoke+mean_pooling, options: {backbone: wavlm_smoke.json}}
"""  # noqa: E501 - YAML


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Noise whose level is the arousal, with a split by speaker."""
    folder, random = tmp_path_factory.mktemp("corpus"), np.random.default_rng(1)
    rows = []
    for speaker in range(SPEAKERS):
        split = "train" if speaker < 6 else "valid" if speaker < 9 else "test"
        for clip in range(CLIPS):
            vad = random.uniform(-0.9, 0.9, 3).round(6)
            signal = 0.2 * 10 ** vad[1] * random.standard_normal(8000 + 800 * clip)
            name = f"{speaker:02d}_{clip}.wav"
            soundfile.write(folder / name, signal.clip(-1, 1), 16000, "PCM_16")
            rows.append([name, f"s{speaker:02d}", *vad, split])
    with (folder / "labels.csv").open("w", newline="") as file:
        names = ["file", "speaker", "valence", "arousal", "dominance", "split"]
        csv.writer(file).writerows([names, *rows])
    return folder


@pytest.fixture(scope="module")
def start(root, corpus, save_any, tmp_path_factory):
    """Run the benchmark; return its result file and the lines of its output."""
    folder = tmp_path_factory.mktemp("real_tables")
    (folder / "tables.yaml").write_text(TABLES)
    words = [
        f"--data={corpus}", f"--encoder={save_any('whisper')}", f"--tables={folder}/tables.yaml",
        "--resamples=199", f"--results={folder}/results", f"--output={folder}/output", "--jobs=2",
    ]  # fmt: skip

    def run():
        output = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
            patch.chdir(root)  # restored afterwards
            forks = SimpleNamespace(get_context=lambda _: forked.CONTEXT)
            patch.setattr(pool, "multiprocessing", forks)
            assert real_tables.main(words) == 0, output.getvalue()
        results = json.loads((folder / "output" / "real_tables.json").read_text(encoding="utf-8"))
        return results, output.getvalue().splitlines(), folder

    return run


@pytest.fixture(scope="module")
def first(start):
    return start()


def test_all_rows_have_results(first):
    results, output, folder = first
    assert output[0] == "16 runs, 16 of them to do"
    rows = {row["name"]: row for row in results["rows"]}
    names = ["frozen", "standardised", "random_backbone", "nested", "svr", "ridge"]
    assert list(rows) == names
    assert [len(rows[name]["seeds"]) for name in names] == [2, 2, 1, 2, 1, 1]
    assert all(row["unit"] == "speakers" for row in rows.values())
    assert "difference" not in rows["frozen"]
    tests = [rows[name]["difference"]["mean_ccc"] for name in names[1:]]
    assert all(test["p_holm"] >= test["p"] for test in tests)
    assert max(test["p_holm"] for test in tests) > min(test["p"] for test in tests)
    (split,) = results["own_test_split"]
    assert split["finished"] == 1 and "difference" not in split
    assert {**results["data"], "labels.csv": ""} == {
        "labels.csv": "", "utterances": SPEAKERS * CLIPS, "speakers": SPEAKERS, "folds": 3,
    }  # fmt: skip
    assert set(results["nested_choices"]) == {"1", "2", "3"}
    assert set(results["nested_choices"].values()) <= {"frozen", "standardised"}
    assert len(results["svr_choices"]) == 3 * 3
    assert (folder / "output" / "real_speech.png").stat().st_size > 10_000


def test_results_name_no_folder_of_this_machine(first):
    results, _, folder = first
    text = json.dumps(results) + (folder / "output" / "real_speech.md").read_text(encoding="utf-8")
    assert str(folder.parent) not in text


def test_scores_are_those_of_the_pooled_predictions(first):
    results, _, folder = first
    (row,) = [row for row in results["rows"] if row["name"] == "frozen"]
    by_seed = {1: {}, 2: {}}
    for path in (folder / "results" / "tables" / "runs" / "OwnData").glob("*/metrics.json"):
        settings = (path.parent / "hyperparams.yaml").read_text(encoding="utf-8")
        if "preset: frozen" not in settings or "partition: folds" not in settings:
            continue
        if "layer_normalisation: layer_norm" in settings:
            seed = next(seed for seed in by_seed if f"\nseed: {seed}" in settings)
            with (path.parent / "predictions" / "test.csv").open(encoding="utf-8") as file:
                by_seed[seed] |= {line["ID"]: line for line in csv.DictReader(file)}
    assert [len(lines) for lines in by_seed.values()] == [SPEAKERS * CLIPS] * 2
    for name in ("valence", "arousal", "dominance"):
        scores = [
            ccc([float(line[name]) for line in lines.values()],
                [float(line[f"{name}_predicted"]) for line in lines.values()])
            for lines in by_seed.values()
        ]  # fmt: skip
        assert row["ccc"][name]["mean"] == pytest.approx(np.mean(scores), abs=1e-9)
        assert row["ccc"][name]["sd"] == pytest.approx(np.std(scores, ddof=1), abs=1e-9)


def test_finished_runs_are_skipped(first, start):
    before, _, _ = first
    results, output, _ = start()
    assert output[0] == "16 runs, 0 of them to do"
    for key in ("rows", "own_test_split", "nested_choices", "svr_choices"):
        assert results[key] == before[key]


def test_missing_folders_are_named(tmp_path, capsys):
    for text, found in (
        (str(tmp_path), f"{tmp_path}/labels.csv not found"),
        ("", "no folder given"),
    ):
        with pytest.raises(SystemExit) as error:
            real_tables.main([f"--data={text}"])
        assert error.value.code == 2
        message = f"argument --data: {found}. Set TAVA=/path/to/folder."
        assert message in capsys.readouterr().err

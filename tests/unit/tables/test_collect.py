"""Collection of results: means, SDs, folds, comparisons and missing runs."""

import statistics

import pandas as pd
import pytest

from emosphere_sb.report.stats.intervals import confidence_intervals
from emosphere_sb.scale import DIMENSIONS
from emosphere_sb.tables import collect as module
from emosphere_sb.tables.collect import collect
from emosphere_sb.tables.columns import COLUMNS
from tests.helpers.tables import (
    NoCells,
    ccc,
    done,
    gathered,
    make_group,
    make_row,
    make_table,
    predictions,
)

VAD = tuple(COLUMNS[name] for name in (*DIMENSIONS, "mean"))
ROWS = (
    make_row("plain"), make_row("mean pooling", "mean_pooling"), make_row("none", "no_regions"),
)  # fmt: skip


def noisy(cell, row):
    """State with predictions that differ by seed and row; folds have different utterances."""
    noise = {"plain": 0.5, "mean pooling": 0.8, "none": 1.2}[row.name]
    table = predictions(noise, seed=cell.seed, first=100 * (cell.fold - 1))
    return done(table)


def vad_table(**changes):
    facts = {
        "seeds": (1, 2, 3), "groups": (make_group(),), "columns": VAD, "rows": ROWS,
        "reference": "plain",
    }  # fmt: skip
    return make_table(**{**facts, **changes})


def test_mean_and_sd_over_seeds():
    found = gathered(noisy, vad_table())
    entry = found.entry(ROWS[1], found.table.groups[0])
    tables = [predictions(0.8, seed=seed) for seed in (1, 2, 3)]
    assert list(entry.by_seed) == [1, 2, 3]
    for name in DIMENSIONS:
        a, b, c = (ccc(table, name) for table in tables)
        mean = (a + b + c) / 3
        deviation = (((a - mean) ** 2 + (b - mean) ** 2 + (c - mean) ** 2) / 2) ** 0.5
        assert entry.mean(COLUMNS[name]) == pytest.approx(mean)
        assert entry.deviation(COLUMNS[name]) == pytest.approx(deviation)
    means = [statistics.mean(ccc(table, name) for name in DIMENSIONS) for table in tables]
    assert entry.values(COLUMNS["mean"]) == pytest.approx(means)
    assert entry.mean(COLUMNS["mean"]) == pytest.approx(statistics.mean(means))


def test_single_seed_has_no_sd():
    found = gathered(noisy, vad_table(seeds=(4,)))
    assert found.entries[0].deviation(COLUMNS["mean"]) is None
    assert found.entries[0].mean(COLUMNS["mean"]) is not None


def test_missing_seed_is_reported_and_excluded():
    found = gathered(noisy, vad_table(), {("none", 2, 1): "not started"})
    entry = found.entry(ROWS[2], found.table.groups[0])
    assert list(entry.by_seed) == [1, 3]
    assert entry.problems == {(2, 1): "not started"}
    assert found.count_incomplete() == 1
    wanted = statistics.mean(ccc(predictions(1.2, seed=seed), "valence") for seed in (1, 3))
    assert entry.mean(COLUMNS["valence"]) == pytest.approx(wanted)
    assert found.entries[0].problems == {}


def test_row_without_runs_has_no_results():
    marks = {("none", seed, 1): "failed" for seed in (1, 2, 3)}
    found = gathered(noisy, vad_table(), marks)
    entry = found.entry(ROWS[2], found.table.groups[0])
    assert entry.mean(COLUMNS["mean"]) is None
    assert (entry.interval, entry.difference, entry.not_compared) == ({}, None, "")
    assert entry.corrected["mean_ccc"] is None


def test_folds_are_pooled_and_not_averaged():
    group = make_group("IEMOCAP", "test", folds=3)
    found = gathered(noisy, vad_table(groups=(group,), seeds=(5,), rows=ROWS[:1]))
    parts = [predictions(0.5, seed=5, first=first) for first in (0, 100, 200)]
    pooled = pd.concat(parts)
    (entry,) = found.entries
    assert entry.mean(COLUMNS["arousal"]) == pytest.approx(ccc(pooled, "arousal"))
    averaged = statistics.mean(ccc(part, "arousal") for part in parts)
    assert entry.mean(COLUMNS["arousal"]) != pytest.approx(averaged)
    assert len(entry.tables[5]) == 120


def test_seed_with_a_missing_fold_is_excluded():
    group = make_group("IEMOCAP", "test", folds=2)
    found = gathered(
        noisy, vad_table(groups=(group,), rows=ROWS[:1]), {("plain", 2, 2): "damaged: x"}
    )
    (entry,) = found.entries
    assert list(entry.by_seed) == [1, 3]
    assert entry.problems == {(2, 2): "damaged: x"}


def test_overlapping_folds_are_not_pooled():
    def same(cell, row):
        return done(predictions(seed=cell.seed))

    group = make_group("IEMOCAP", "test", folds=2)
    found = gathered(same, vad_table(groups=(group,), seeds=(1,), rows=ROWS[:1]))
    (entry,) = found.entries
    assert entry.problems == dict.fromkeys([(1, 1), (1, 2)], "the test sets of its folds overlap")
    assert entry.mean(COLUMNS["mean"]) is None
    assert found.count_incomplete() == 2


def test_head_columns_of_only_some_folds_are_dropped():
    def some(cell, row):
        table = predictions(seed=cell.seed, first=100 * (cell.fold - 1))
        if cell.fold == 1:
            table["region_head"], table["p_I"], table["p_II"] = "I", 1.0, 0.0
        return done(table)

    group = make_group("IEMOCAP", "test", folds=2)
    found = gathered(some, vad_table(groups=(group,), seeds=(1,), rows=ROWS[:1]))
    assert "region_head" not in found.entries[0].tables[1]
    assert len(found.entries[0].tables[1]) == 80


def test_head_scores_are_means_over_folds_in_percent():
    def metrics(fold, factor, epoch):
        return {"accuracy": 0.2 * fold * factor, "macro_f1": 0.1 * fold * factor, "epoch": epoch}

    def headed(cell, row):
        table = predictions(seed=cell.seed, first=100 * (cell.fold - 1))
        own = {
            "last_trained": metrics(cell.fold, 1, 5),
            "tested_weights": metrics(cell.fold, 0.5, 8),
        }
        return done(table, name="test", tests=own, head=metrics(cell.fold, 2, 5))

    group = make_group("IEMOCAP", "test", folds=2)
    found = gathered(headed, vad_table(groups=(group,), seeds=(1, 2), rows=ROWS[:1]))
    (entry,) = found.entries
    assert entry.mean(COLUMNS["head_accuracy"]) == pytest.approx(30)  # of 20 and 40
    assert entry.mean(COLUMNS["head_f1"]) == pytest.approx(15)
    assert entry.mean(COLUMNS["head_best_accuracy"]) == pytest.approx(15)
    assert entry.mean(COLUMNS["head_best_f1"]) == pytest.approx(7.5)
    assert entry.mean(COLUMNS["head_valid_accuracy"]) == pytest.approx(60)
    assert entry.mean(COLUMNS["head_valid_f1"]) == pytest.approx(30)
    assert entry.by_seed[1]["head_last"]["epochs"] == [5]
    assert entry.by_seed[1]["head_tested"]["epochs"] == [8]


def test_head_scores_of_the_development_set_are_not_those_of_the_test_set():
    def headed(cell, row):
        head = {"accuracy": 0.5, "macro_f1": 0.25, "epoch": 5}
        return done(predictions(seed=cell.seed), head=head)

    (entry,) = gathered(headed, vad_table(rows=ROWS[:1])).entries
    assert entry.mean(COLUMNS["head_f1"]) is None
    assert entry.mean(COLUMNS["head_best_accuracy"]) is None
    assert entry.mean(COLUMNS["head_valid_f1"]) == pytest.approx(25)


@pytest.mark.parametrize("head", [None, {}, {"accuracy": 0.5, "macro_f1": None, "epoch": 5}])
def test_model_without_head_has_no_head_scores(head):
    def headless(cell, row):
        return done(predictions(seed=cell.seed), head=head, tests=head and {"last_trained": head})

    found = gathered(headless, vad_table(rows=ROWS[:1]))
    assert found.entries[0].mean(COLUMNS["head_f1"]) is None
    assert found.entries[0].mean(COLUMNS["head_valid_f1"]) is None


def test_interval_is_of_the_mean_over_seeds():
    found = gathered(noisy, vad_table(), seed=11)
    tables = [predictions(0.5, seed=seed) for seed in (1, 2, 3)]
    wanted = confidence_intervals(tables, resamples=99, seed=11)
    assert found.entries[0].interval["mean_ccc"] == pytest.approx(wanted["mean_ccc"])
    assert found.entries[0].interval["unit"] == "speakers"


def fake_compare(p_values):
    """Replacement for the bootstrap, whose p-value depends on the noise of the compared row."""

    def compare(ours, reference, *, resamples, seed):
        spread = (ours[0]["valence_predicted"] - ours[0]["valence"]).std()
        p = p_values[0] if spread < 1 else p_values[1]
        one = {"difference": -0.1, "low": -0.2, "high": 0.0, "p": p}
        return {"unit": "speakers", "units": 12, **dict.fromkeys([*DIMENSIONS, "mean_ccc"], one)}

    return compare


@pytest.mark.parametrize(
    ("p_values", "corrected"),
    [
        ((0.01, 0.04), (0.02, 0.04)),  # smaller p-value times 2, other p-value times 1
        ((0.04, 0.01), (0.04, 0.02)),
        ((0.03, 0.02), (0.04, 0.04)),  # 1 · 0.03 < 2 · 0.02: corrected p-values must be monotonic
        ((0.8, 0.7), (1.0, 1.0)),
    ],
)
def test_p_values_are_corrected_over_the_rows_of_a_block(monkeypatch, p_values, corrected):
    monkeypatch.setattr(module, "compare_systems", fake_compare(p_values))
    base, one, other = gathered(noisy, vad_table()).entries
    for name in (*DIMENSIONS, "mean_ccc"):
        assert (one.corrected[name], other.corrected[name]) == pytest.approx(corrected)
    assert (base.difference, base.corrected) == (None, {})


def test_every_block_is_corrected_by_itself(monkeypatch):
    monkeypatch.setattr(module, "compare_systems", fake_compare((0.01, 0.04)))
    blocks = (make_group(), make_group("IEMOCAP", "test"))
    found = gathered(noisy, vad_table(groups=blocks, seeds=(1,)))
    for group in blocks:
        one, other = (found.entry(row, group) for row in ROWS[1:])
        assert (one.corrected["valence"], other.corrected["valence"]) == pytest.approx((0.02, 0.04))


def test_a_row_that_was_not_run_does_not_count_in_the_correction(monkeypatch):
    monkeypatch.setattr(module, "compare_systems", fake_compare((0.01, 0.04)))
    marks = {("none", seed, 1): "failed" for seed in (1, 2, 3)}
    _, one, other = gathered(noisy, vad_table(), marks).entries
    assert (one.corrected["mean_ccc"], other.corrected["mean_ccc"]) == (0.01, None)


def test_difference_is_of_the_means():
    base, one, _ = gathered(noisy, vad_table()).entries
    wanted = one.mean(COLUMNS["mean"]) - base.mean(COLUMNS["mean"])
    assert one.difference["mean_ccc"]["difference"] == pytest.approx(wanted)
    assert one.difference["mean_ccc"]["p"] == 0.01  # smallest possible value with 99 resamples


def test_without_a_reference_nothing_is_compared():
    found = gathered(noisy, vad_table(reference=None))
    assert [entry.difference for entry in found.entries] == [None] * 3


def test_rows_with_other_utterances_are_not_compared():
    def other_ids(cell, row):
        first = 500 if row.name == "none" else 0
        return done(predictions(seed=cell.seed, first=first))

    _, one, other = gathered(other_ids, vad_table()).entries
    assert one.difference is not None and one.not_compared == ""
    assert other.difference is None and "the same utterances" in other.not_compared
    assert other.mean(COLUMNS["mean"]) is not None


def test_one_synthetic_run_makes_a_table_synthetic():
    assert not gathered(noisy, vad_table(rows=ROWS[:2])).synthetic

    def made(cell, row):
        return done(predictions(seed=cell.seed), synthetic=row.name == "none")

    assert gathered(made, vad_table()).synthetic


def test_runs_of_other_tables_have_no_effect():
    table, other = vad_table(rows=ROWS[:1], seeds=(1,)), vad_table(rows=ROWS[2:], seeds=(1,))
    states = {}
    for one, synthetic in ((table, False), (other, True)):
        (cell,) = NoCells().of(one, one.rows[0], one.groups[0]).values()
        states[cell] = done(predictions(), synthetic=synthetic)
    found = collect(table, NoCells(), states, {}, resamples=99)
    assert not found.synthetic
    assert len(found.states) == 1


@pytest.mark.parametrize("what", ["labels", "utterances"])
def test_row_with_inconsistent_seeds_is_rejected(what):
    """Such as two releases of a corpus, whose mean would be meaningless."""

    def mixed(cell, row):
        odd = row.name == "none" and cell.seed == 2
        table = predictions(seed=cell.seed, first=500 if odd and what == "utterances" else 0)
        return done(table.assign(valence=table["valence"] + 0.25) if odd else table)

    found = gathered(mixed, vad_table())
    *others, entry = found.entries
    assert entry.mean(COLUMNS["mean"]) is None
    assert set(entry.problems) == set(entry.cells)
    assert all("its seeds are inconsistent" in reason for reason in entry.problems.values())
    assert [bool(other.problems) for other in others] == [False, False]
    assert found.count_incomplete() == 3


def test_run_without_two_sets_counts_once():
    groups = (make_group(name="test1"), make_group(name="test2"))
    found = gathered(
        noisy, vad_table(groups=groups, rows=ROWS[:1]), {("plain", 2, 1): "damaged: x"}
    )
    assert found.count_incomplete() == 1

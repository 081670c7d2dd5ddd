"""Tests of console tables and of the summary of a run."""

import math
import subprocess
import sys

import pytest

from emosphere_sb.console import ccc_table, format_row, format_table, run_summary


def test_columns_fit_widest_cell():
    text = format_table(["name", "n"], [["a", "10"], ["a long name", "1"]])
    assert text.splitlines() == ["name          n", "a            10", "a long name   1"]


def test_alignment_indent_and_title():
    rows = [["a", "b", "c"], ["aaa", "bbb", "ccc"]]
    text = format_table(["", "", "1234"], rows, align="^><", title="T", indent=1)
    assert text.splitlines() == ["T", "           1234", "  a     b  c", " aaa  bbb  ccc"]


def test_table_without_header_or_rows():
    assert format_table([], [["a", "1"], ["b", "10"]]) == "a   1\nb  10"
    assert format_table(["a", "b"], []) == "a  b"
    assert format_table([], [], title="T") == "T"


def test_rows_of_different_lengths_raise():
    with pytest.raises(ValueError):
        format_table(["a", "b"], [["1"]])


def test_row_with_given_widths():
    assert format_row(["ab", "c", "d"], [4, 3, 3], "<^>") == "ab     c     d"
    assert format_row(["too long", "c"], [4, 3]) == "too long    c"
    assert format_row(["a", "b", "c  d", "e"], [2, 2], indent=2) == "  a    b  c  d  e"
    assert format_row(["a", "", ""], [2, 2, 2]) == "a"


def test_neither_torch_nor_pandas_is_imported():
    code = "import sys, emosphere_sb.console; print({'torch', 'pandas'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def result(v, a, d, mean, n):
    return {
        "valence": {"ccc": v},
        "arousal": {"ccc": a},
        "dominance": {"ccc": d},
        "mean_ccc": mean,
        "utterances": n,
    }


def test_ccc_table_is_aligned_with_nan_and_long_names():
    rows = {
        "test1": result(0.5, 0.75, -0.25, 1 / 3, 30647),
        "a_long_name": result(*[math.nan] * 4, 0),
    }
    lines = ccc_table(rows).splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["CCC", "valence", "arousal", "dominance", "mean", "utterances"]
    assert lines[1].split() == ["test1", "0.5000", "0.7500", "-0.2500", "0.3333", "30647"]
    assert lines[2].split() == ["a_long_name", "nan", "nan", "nan", "nan", "0"]
    assert len({len(line) for line in lines}) == 1


def test_empty_ccc_table_is_header():
    assert ccc_table({}).split() == [
        "CCC",
        "valence",
        "arousal",
        "dominance",
        "mean",
        "utterances",
    ]


def metrics(**changes):
    whole = {
        "test1": result(0.5, 0.75, -0.25, 1 / 3, 3),
        "protocol": {"synthetic": False},
        "run": {"folder": "results/here"},
        "beside": {},
    }
    return {**whole, **changes}


def test_run_summary_has_table_and_folder():
    text = run_summary(metrics())
    assert text.startswith("CCC ")
    assert text.endswith("\n\nConfidence intervals and plots: emosphere report results/here")
    assert "Synthetic" not in text


def test_run_summary_of_synthetic_speech_has_warning_baseline_and_ceiling():
    cap = {"valence": 0.9, "arousal": 0.8, "dominance": 0.7}
    beside = {
        "acoustic_baseline": {"test1": result(0.1, 0.2, 0.3, 0.2, 3)},
        "cap": {"test1": cap, "train": cap},
    }
    text = run_summary(metrics(protocol={"synthetic": True}, beside=beside))
    assert text.startswith("Synthetic speech:")
    assert text.index("0.3333") < text.index("ridge regression") < text.index("simulated raters")
    assert "(V, A, D):\ntest1  0.9000  0.8000  0.7000\n" in text
    assert "train" not in text  # only sets that are reported


def folds(**changes):
    values = {"valence": 0.5, "arousal": None, "dominance": 0.25, "mean_ccc": 0.375}
    facts = {
        "folds": {"1": values, "2": {**values, "arousal": 0.125}}, "mean_over_folds": values,
        "deviation_over_folds": dict.fromkeys(values, 0.0), "pooled": None, "utterances": 7,
        "defined": {"valence": 2, "arousal": 1},
    }  # fmt: skip
    return {
        "by_fold": {"test": {**facts, **changes}},
        "protocol": {"synthetic": False},
        "folder": "results/here",
    }


def test_folds_summary_has_folds_mean_and_sd():
    assert run_summary(folds()).splitlines() == [
        "CCC, test        valence  arousal  dominance    mean",
        "fold 1            0.5000        –     0.2500  0.3750",
        "fold 2            0.5000   0.1250     0.2500  0.3750",
        "mean over folds   0.5000        –     0.2500  0.3750",
        "SD over folds     0.0000   0.0000     0.0000  0.0000",
        "(7 utterances; –: undefined, excluded from the mean)",
        "Summary: results/here/summary.json",
    ]


def test_folds_summary_with_pooled_and_defined_folds():
    values = {"valence": 0.5, "arousal": 0.5, "dominance": 0.5, "mean_ccc": 0.5}
    summary = folds(pooled=values, defined={"valence": 2})
    summary["protocol"]["synthetic"] = True
    lines = run_summary(summary).splitlines()
    assert lines[0].startswith("Synthetic speech:") and lines[1] == ""
    assert lines[-3].split() == ["pooled", "0.5000", "0.5000", "0.5000", "0.5000"]
    assert lines[-2] == "(7 utterances; pooled: CCC over the predictions of all folds)"

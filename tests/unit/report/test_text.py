"""Tests of the console report."""

from emosphere_sb.report.text import format_set, report_text, set_notes
from emosphere_sb.scale import DIMENSIONS

METRICS = {"ccc": 0.5, "pearson": 0.625, "scale_ratio": 1.25, "shift": -0.125, "mae": 0.75, "n": 9}
INTERVALS = {
    "ccc": [0.4, 0.6], "pearson": [0.5, 0.7], "scale_ratio": None, "shift": [-20.5, 0.0],
    "mae": [0.5, 1.0],
}  # fmt: skip


def evaluation(**more):
    metrics = {name: dict(METRICS) for name in DIMENSIONS}
    metrics["dominance"]["ccc"] = None
    intervals = {name: dict(INTERVALS) for name in DIMENSIONS}
    return {
        "metrics": {**metrics, "mean_ccc": 0.25, "utterances": 1234},
        "intervals": {
            **intervals, "mean_ccc": [0.2, 0.3], "units": 24, "unit": "speakers", "level": 0.9,
            "note": None,
        },
        "runs": 1, "warnings": [], "missing_slices": [], "calibration": {}, **more,
    }  # fmt: skip


def test_one_line_per_metric():
    assert format_set("test1", evaluation()).splitlines() == [
        "test1: 1,234 utterances; 90% confidence intervals over 24 speakers",
        "               valence                arousal                dominance              mean",
        "  CCC          .500 [.400, .600]      .500 [.400, .600]      – [.400, .600]"
        "         .250 [.200, .300]",
        "  Pearson      .625 [.500, .700]      .625 [.500, .700]      .625 [.500, .700]",
        "  scale ratio  1.250                  1.250                  1.250",
        "  shift        -.125 [-20.500, .000]  -.125 [-20.500, .000]  -.125 [-20.500, .000]",
        "  MAE          .750 [.500, 1.000]     .750 [.500, 1.000]     .750 [.500, 1.000]",
    ]


def test_corrected_metrics_are_below_uncorrected_ones():
    corrected = {name: {"ccc": 0.75} for name in DIMENSIONS} | {"mean_ccc": 0.625}
    calibration = {
        "corrected": {"affine": corrected}, "correction_learned_on": "the set valid",
        "not_corrected": ["arousal is not corrected: why."],
    }  # fmt: skip
    lines = format_set("x", evaluation(calibration=calibration)).splitlines()
    assert lines[2].split()[:2] == ["CCC", ".500"]
    assert lines[7].split() == ["CCC,", "affine", ".750", ".750", ".750", ".625"]
    assert len(lines) == 8
    assert set_notes(evaluation(calibration=calibration)) == [
        "The affine correction is fitted on the set valid.", "arousal is not corrected: why.",
    ]  # fmt: skip


def test_comparison_has_difference_interval_and_p():
    part = {"difference": 0.02, "low": -0.01, "high": 0.03, "p": 0.25}
    comparison = dict.fromkeys(DIMENSIONS, part)
    comparison["mean_ccc"] = {**part, "p": 0.0001}
    comparison["reference"] = ["a", "b"]
    lines = format_set("x", evaluation(), comparison).splitlines()
    assert lines[7].startswith("  difference in CCC  .020 [-.010, .030]")
    assert lines[7].count(".020 [-.010, .030]") == 4
    assert lines[8].split() == ["p", ".250", ".250", ".250", "<", ".001"]
    assert len(lines) == 9
    assert set_notes(evaluation(), comparison) == [
        "The difference is this system minus a, b (paired test)."
    ]


def test_notes_of_set():
    facts = evaluation(missing_slices=["raters", "gender"], runs=3)
    facts["intervals"]["note"] = "Few speakers."
    text = format_set("x", facts)
    assert "1,234 utterances, mean over 3 runs;" in text
    assert "Few speakers" not in text
    assert set_notes(facts) == [
        "Few speakers.", "No breakdown by number of raters, gender: not recorded.",
    ]  # fmt: skip


def test_each_note_is_printed_once():
    sets = {name: evaluation(missing_slices=["raters"]) for name in ("valid", "test1", "test2")}
    for speakers, one in zip((4, 4, 3), sets.values(), strict=True):
        one["intervals"]["note"] = f"Only {speakers} speakers are known (at least 10)."
    text = report_text({"title": "T", "sets": sets})
    assert text.split("\n\n")[-1].splitlines() == [
        "Note: valid, test1, test2: Only 4, 4 and 3 speakers are known (at least 10).",
        "Note: valid, test1, test2: No breakdown by number of raters: not recorded.",
    ]


def test_complete_report():
    report = {
        "title": "T", "synthetic": True, "warnings": ["w"],
        "sets": {"valid": evaluation(), "test1": evaluation(warnings=["odd"])},
    }  # fmt: skip
    parts = report_text(report).split("\n\n")
    assert parts[0] == "T"
    assert parts[1].startswith("Synthetic speech:")
    assert [part.partition(":")[0] for part in parts[2:4]] == ["valid", "test1"]
    assert parts[4] == "Note: w\nNote: test1: odd"

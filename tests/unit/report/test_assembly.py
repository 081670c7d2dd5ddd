"""Tests of assembling a report: sets, runs, corrections, comparisons, errors."""

import dataclasses
import json

import pytest

from emosphere_sb.report.assembly import ReportRequest, assemble_report
from emosphere_sb.report.read.runs import Run, read_run
from emosphere_sb.report.stats.calibration import Correction
from emosphere_sb.report.stats.comparison import compare_systems
from emosphere_sb.report.stats.evaluation import evaluate_predictions
from emosphere_sb.results.scores import prediction_metrics
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions
from tests.helpers.run_folders import SCALE_1_TO_7, random_predictions, write_run

FAST = ReportRequest(resamples=199)


def request(**options):
    return dataclasses.replace(FAST, **options)


def seeded(folder, seed, *, noise=0.3, **protocol):
    tables = {
        "valid": random_predictions(40, seed=seed + 20, noise=noise),
        "test1": random_predictions(seed=seed, noise=noise),
        "test3": random_predictions(5, labelled=False),
    }  # fmt: skip
    return read_run(write_run(folder, tables, seed=seed, **protocol))


def csv_run(table, name="other.csv"):
    return Run(name, None, {"other": table}, {"other": SCALE_1_TO_7}, SphericalRegions(90))


def test_single_run(tmp_path):
    run = seeded(tmp_path / "7", 7)
    report = assemble_report([run], FAST)
    facts = report.content
    assert facts["title"] == "MSP-Podcast, 1.11, demo, seed 7"
    assert list(facts["sets"]) == ["valid", "test1"]
    expected = evaluate_predictions(run.tables["test1"], scale=SCALE_1_TO_7, resamples=199)
    assert facts["sets"]["test1"] == expected
    assert facts["protocol"] == run.metrics["protocol"]
    assert facts["run"] == run.metrics["run"]
    assert facts["warnings"] == ["No metrics for test3: it has no labels."]
    assert facts["synthetic"] is False
    assert "comparison" not in facts
    assert list(report.tables) == ["valid", "test1"]
    assert report.corrections == []
    json.dumps(facts)


def test_seeds_are_averaged_as_one_system(tmp_path):
    runs = [seeded(tmp_path / str(seed), seed) for seed in (1, 2)]
    report = assemble_report(runs, request(sets=["test1"]))
    facts = report.content
    assert facts["title"] == "MSP-Podcast, 1.11, demo, 2 runs"
    assert facts["sets"]["test1"]["runs"] == 2
    mean = sum(prediction_metrics(run.tables["test1"])["mean_ccc"] for run in runs) / 2
    assert facts["sets"]["test1"]["metrics"]["mean_ccc"] == pytest.approx(mean, abs=1e-12)
    assert "seed" not in facts["protocol"]
    assert facts["run"]["runs"] == [str(tmp_path / "1"), str(tmp_path / "2")]
    assert facts["warnings"] == [
        "Metrics are means over 2 runs. Scatter and sphere plots show the first run, 1."
    ]
    assert report.tables["test1"].equals(runs[0].tables["test1"])


def test_synthetic_speech_is_marked(tmp_path):
    runs = [seeded(tmp_path / "1", 1), seeded(tmp_path / "2", 2, synthetic=True)]
    assert assemble_report(runs, FAST).content["synthetic"] is True


def test_missing_set_raises(tmp_path):
    run = seeded(tmp_path / "1", 1)
    with pytest.raises(
        ValueError, match="predicted by all runs \\(valid, test1\\); found test3, dev"
    ):
        assemble_report([run], request(sets=["test1", "test3", "dev"]))


def test_no_labelled_set_raises(tmp_path):
    run = read_run(write_run(tmp_path / "1", {"test3": random_predictions(5, labelled=False)}))
    with pytest.raises(ValueError, match=r"found none\. No metrics for test3"):
        assemble_report([run], FAST)


def test_runs_on_different_label_scales_raise(tmp_path):
    runs = [seeded(tmp_path / "1", 1), seeded(tmp_path / "2", 2, scale=Scale(0, 8).to_dict())]
    with pytest.raises(ValueError, match=r"same label scale for valid; found 1: Scale.*2: Scale"):
        assemble_report(runs, FAST)


def test_old_run_is_not_checked_against_scale():
    table = random_predictions()
    table.loc[0, "valence"] = 99.0
    run = Run("old", None, {"x": table}, {"x": None})
    assert "x" in assemble_report([run], FAST).content["sets"]
    with pytest.raises(ValueError, match="1 to 7"):
        assemble_report([dataclasses.replace(run, scales={"x": SCALE_1_TO_7})], FAST)


def test_set_on_other_scale_has_no_point_plots_with_note(tmp_path):
    run = seeded(tmp_path / "1", 1)
    tables = {**run.tables, "IEMOCAP-all": random_predictions(30, scale=Scale(1, 5))}
    scales = {**run.scales, "IEMOCAP-all": Scale(1, 5)}
    report = assemble_report([dataclasses.replace(run, tables=tables, scales=scales)], FAST)
    assert "IEMOCAP-all" in report.content["sets"]
    assert "IEMOCAP-all" not in report.tables
    assert report.content["warnings"][-1].startswith("No scatter and sphere plots for IEMOCAP-all")


# --- corrections ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["affine", "isotonic"])
def test_correction_is_fitted_on_development_set(tmp_path, kind):
    run = seeded(tmp_path / "1", 1)
    report = assemble_report([run], request(correct=kind))
    own = Correction.fit(kind, run.tables["valid"])
    expected = prediction_metrics(
        own.apply(run.tables["test1"], scale=SCALE_1_TO_7, regions=SphericalRegions(90))
    )
    found = report.content["sets"]["test1"]
    assert found["calibration"]["corrected"] == {kind: expected}
    assert found["metrics"] == prediction_metrics(run.tables["test1"])
    assert found["metrics"]["mean_ccc"] != expected["mean_ccc"]
    assert found["calibration"]["correction_learned_on"] == "the 'valid' set of each run"
    said = report.content["sets"]["valid"]["calibration"]["correction_learned_on"]
    assert said == "the 'valid' set of each run (this set)"
    assert [one.to_dict() for one in report.corrections] == [own.to_dict()]


def test_each_run_has_its_own_correction(tmp_path):
    runs = [seeded(tmp_path / str(seed), seed) for seed in (1, 2)]
    report = assemble_report(runs, request(correct="affine"))
    expected = [
        prediction_metrics(Correction.fit("affine", run.tables["valid"]).apply(run.tables["test1"]))
        for run in runs
    ]
    found = report.content["sets"]["test1"]["calibration"]["corrected"]["affine"]
    assert found["valence"]["ccc"] == pytest.approx(
        (expected[0]["valence"]["ccc"] + expected[1]["valence"]["ccc"]) / 2, abs=1e-12
    )


def test_correction_fitted_on_given_table(tmp_path):
    run, dev = csv_run(random_predictions()), random_predictions(50, seed=9)
    report = assemble_report([run], request(correct="affine", fit=dev))
    expected = prediction_metrics(
        Correction.fit("affine", dev).apply(
            run.tables["other"], scale=SCALE_1_TO_7, regions=SphericalRegions(90)
        )
    )
    calibration = report.content["sets"]["other"]["calibration"]
    assert calibration["corrected"]["affine"] == expected
    assert calibration["correction_learned_on"] == "the file given with --fit"


def test_uncorrectable_dimension_is_noted(tmp_path):
    dev = random_predictions(50).assign(valence_predicted=4.0)
    report = assemble_report([csv_run(random_predictions())], request(correct="affine", fit=dev))
    (note,) = report.content["sets"]["other"]["calibration"]["not_corrected"]
    assert note.startswith("valence is not corrected")


def test_correction_without_development_set_raises(tmp_path):
    with pytest.raises(ValueError, match=r"no labelled set 'valid' in other\.csv.*--fit"):
        assemble_report([csv_run(random_predictions())], request(correct="affine"))
    runs = [seeded(tmp_path / str(seed), seed) for seed in (1, 2)]
    with pytest.raises(ValueError, match="--fit supports a single run; found 2 runs"):
        assemble_report(runs, request(correct="affine", fit=random_predictions()))


# --- comparisons ---------------------------------------------------------------------------------


def test_comparison_matches_compare_systems(tmp_path):
    ours = [seeded(tmp_path / "a1", 1), seeded(tmp_path / "a2", 2)]
    theirs = [seeded(tmp_path / "b1", 3, noise=0.9)]
    found = assemble_report(ours, request(reference=theirs)).content["comparison"]
    expected = compare_systems(
        [run.tables["test1"] for run in ours], [theirs[0].tables["test1"]], resamples=199
    )
    assert list(found) == ["valid", "test1"]
    assert found["test1"] == {**expected, "reference": [str(tmp_path / "b1")]}
    difference = sum(prediction_metrics(run.tables["test1"])["mean_ccc"] for run in ours) / 2
    difference -= prediction_metrics(theirs[0].tables["test1"])["mean_ccc"]
    assert found["test1"]["mean_ccc"]["difference"] == pytest.approx(difference, abs=1e-9)
    assert found["test1"]["mean_ccc"]["low"] > 0


def test_csv_is_matched_to_set_by_ids(tmp_path):
    run = seeded(tmp_path / "1", 1)
    table = random_predictions(seed=4).sample(frac=1, random_state=0)
    table["ID"] = "wavs/" + table["ID"] + ".wav"
    facts = assemble_report([run], request(reference=[csv_run(table)])).content
    assert list(facts["comparison"]) == ["test1"]
    assert "No comparison for valid: it was not predicted by other.csv." in facts["warnings"]
    expected = compare_systems([run.tables["test1"]], [random_predictions(seed=4)], resamples=199)
    assert facts["comparison"]["test1"]["valence"] == expected["valence"]


def test_csv_is_compared_with_run(tmp_path):
    run = seeded(tmp_path / "1", 1)
    found = assemble_report(
        [csv_run(random_predictions(seed=4))], request(reference=[run])
    ).content["comparison"]
    assert found["other"]["seeds"] == [1, 1]
    assert [found["other"][name]["p"] <= 1 for name in DIMENSIONS] == [True] * 3


def test_reference_with_different_utterances_raises(tmp_path):
    run = seeded(tmp_path / "1", 1)
    with pytest.raises(ValueError, match=r"found none of the sets valid, test1 in other\.csv"):
        assemble_report([run], request(reference=[csv_run(random_predictions(17))]))


def test_notes_of_sources_are_included(tmp_path):
    run = dataclasses.replace(csv_run(random_predictions()), notes=["2 left out."])
    other = dataclasses.replace(csv_run(random_predictions(seed=2)), notes=["3 left out."])
    facts = assemble_report([run], request(reference=[other])).content
    assert facts["warnings"] == ["2 left out.", "3 left out."]
    assert facts["title"] == "other.csv"
    assert facts["protocol"] == {"scale": SCALE_1_TO_7.to_dict()}
    assert facts["run"] == {"file": "other.csv"}

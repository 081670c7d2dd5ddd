"""A report put together: sets, several runs, corrections, comparisons, and what is refused."""

import dataclasses
import json

import pytest

from emosphere_sb.report.assembly import Request, assemble
from emosphere_sb.report.read.runs import Run, read_run
from emosphere_sb.report.stats.calibration import Correction
from emosphere_sb.report.stats.comparison import compare
from emosphere_sb.report.stats.evaluation import evaluate
from emosphere_sb.results.scores import figures
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions
from tests.helpers.run_folders import SEVEN, set_of, write_run

FAST = Request(resamples=199)


def request(**options):
    return dataclasses.replace(FAST, **options)


def seeded(folder, seed, *, noise=0.3, **protocol):
    tables = {
        "valid": set_of(40, seed=seed + 20, noise=noise), "test1": set_of(seed=seed, noise=noise),
        "test3": set_of(5, labelled=False),
    }  # fmt: skip
    return read_run(write_run(folder, tables, seed=seed, **protocol))


def csv_run(table, name="other.csv"):
    return Run(name, None, {"other": table}, {"other": SEVEN}, SphericalRegions(90))


def test_one_run(tmp_path):
    run = seeded(tmp_path / "7", 7)
    report = assemble([run], FAST)
    facts = report.facts
    assert facts["title"] == "MSP-Podcast, 1.11, demo, seed 7"
    assert list(facts["sets"]) == ["valid", "test1"]
    expected = evaluate(run.tables["test1"], scale=SEVEN, resamples=199)
    assert facts["sets"]["test1"] == expected
    assert facts["protocol"] == run.metrics["protocol"]
    assert facts["run"] == run.metrics["run"]
    assert facts["warnings"] == ["No figures for test3: it has no labels."]
    assert facts["synthetic"] is False
    assert "comparison" not in facts
    assert list(report.tables) == ["valid", "test1"]
    assert report.corrections == []
    json.dumps(facts)


def test_runs_of_several_seeds_are_one_system(tmp_path):
    runs = [seeded(tmp_path / str(seed), seed) for seed in (1, 2)]
    report = assemble(runs, request(sets=["test1"]))
    facts = report.facts
    assert facts["title"] == "MSP-Podcast, 1.11, demo, 2 runs"
    assert facts["sets"]["test1"]["runs"] == 2
    mean = sum(figures(run.tables["test1"])["mean_ccc"] for run in runs) / 2
    assert facts["sets"]["test1"]["figures"]["mean_ccc"] == pytest.approx(mean, abs=1e-12)
    assert "seed" not in facts["protocol"]
    assert facts["run"]["runs"] == [str(tmp_path / "1"), str(tmp_path / "2")]
    assert facts["warnings"] == [
        "Figures are means over 2 runs; pictures of points show the first, 1."
    ]
    assert report.tables["test1"].equals(runs[0].tables["test1"])


def test_synthetic_speech_is_marked(tmp_path):
    runs = [seeded(tmp_path / "1", 1), seeded(tmp_path / "2", 2, synthetic=True)]
    assert assemble(runs, FAST).facts["synthetic"] is True


def test_set_that_is_not_there_is_refused(tmp_path):
    run = seeded(tmp_path / "1", 1)
    with pytest.raises(ValueError, match="one of valid, test1; found test3, dev"):
        assemble([run], request(sets=["test1", "test3", "dev"]))


def test_nothing_with_labels_is_refused(tmp_path):
    run = read_run(write_run(tmp_path / "1", {"test3": set_of(5, labelled=False)}))
    with pytest.raises(ValueError, match=r"found none\. No figures for test3"):
        assemble([run], FAST)


def test_runs_on_two_scales_are_refused(tmp_path):
    runs = [seeded(tmp_path / "1", 1), seeded(tmp_path / "2", 2, scale=Scale(0, 8).to_dict())]
    with pytest.raises(ValueError, match=r"valid on one scale; found 1: Scale.*2: Scale"):
        assemble(runs, FAST)


def test_older_run_is_not_held_against_a_scale():
    table = set_of()
    table.loc[0, "valence"] = 99.0
    run = Run("old", None, {"x": table}, {"x": None})
    assert "x" in assemble([run], FAST).facts["sets"]
    with pytest.raises(ValueError, match="1 to 7"):
        assemble([dataclasses.replace(run, scales={"x": SEVEN})], FAST)


def test_set_on_another_scale_has_no_picture_and_that_is_said(tmp_path):
    run = seeded(tmp_path / "1", 1)
    tables = {**run.tables, "IEMOCAP-all": set_of(30, scale=Scale(1, 5))}
    scales = {**run.scales, "IEMOCAP-all": Scale(1, 5)}
    report = assemble([dataclasses.replace(run, tables=tables, scales=scales)], FAST)
    assert "IEMOCAP-all" in report.facts["sets"]
    assert "IEMOCAP-all" not in report.tables
    assert report.facts["warnings"][-1].startswith("No pictures of points for IEMOCAP-all")


# --- corrections ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["affine", "isotonic"])
def test_correction_is_learned_on_the_development_set_and_shown_beside(tmp_path, kind):
    run = seeded(tmp_path / "1", 1)
    report = assemble([run], request(correct=kind))
    own = Correction.fit(kind, run.tables["valid"])
    expected = figures(own.apply(run.tables["test1"], scale=SEVEN, regions=SphericalRegions(90)))
    found = report.facts["sets"]["test1"]
    assert found["calibration"]["corrected"] == {kind: expected}
    assert found["figures"] == figures(run.tables["test1"])
    assert found["figures"]["mean_ccc"] != expected["mean_ccc"]
    assert found["calibration"]["correction_learned_on"] == "the set valid of each run"
    said = report.facts["sets"]["valid"]["calibration"]["correction_learned_on"]
    assert said == "the set valid of each run, which is this one"
    assert [one.to_dict() for one in report.corrections] == [own.to_dict()]


def test_each_run_has_its_own_correction(tmp_path):
    runs = [seeded(tmp_path / str(seed), seed) for seed in (1, 2)]
    report = assemble(runs, request(correct="affine"))
    expected = [
        figures(Correction.fit("affine", run.tables["valid"]).apply(run.tables["test1"]))
        for run in runs
    ]
    found = report.facts["sets"]["test1"]["calibration"]["corrected"]["affine"]
    assert found["valence"]["ccc"] == pytest.approx(
        (expected[0]["valence"]["ccc"] + expected[1]["valence"]["ccc"]) / 2, abs=1e-12
    )


def test_correction_from_a_file(tmp_path):
    run, dev = csv_run(set_of()), set_of(50, seed=9)
    report = assemble([run], request(correct="affine", fit=dev))
    expected = figures(
        Correction.fit("affine", dev).apply(
            run.tables["other"], scale=SEVEN, regions=SphericalRegions(90)
        )
    )
    calibration = report.facts["sets"]["other"]["calibration"]
    assert calibration["corrected"]["affine"] == expected
    assert calibration["correction_learned_on"] == "the file named with --fit"


def test_what_cannot_be_corrected_is_said(tmp_path):
    dev = set_of(50).assign(valence_predicted=4.0)
    report = assemble([csv_run(set_of())], request(correct="affine", fit=dev))
    (note,) = report.facts["sets"]["other"]["calibration"]["not_corrected"]
    assert note.startswith("valence is not corrected")


def test_correction_without_a_development_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"other\.csv has no labelled set 'valid'.*--fit"):
        assemble([csv_run(set_of())], request(correct="affine"))
    runs = [seeded(tmp_path / str(seed), seed) for seed in (1, 2)]
    with pytest.raises(ValueError, match="--fit is one run's predictions; found 2 runs"):
        assemble(runs, request(correct="affine", fit=set_of()))


# --- comparisons ---------------------------------------------------------------------------------


def test_comparison_is_that_of_the_tables(tmp_path):
    ours = [seeded(tmp_path / "a1", 1), seeded(tmp_path / "a2", 2)]
    theirs = [seeded(tmp_path / "b1", 3, noise=0.9)]
    found = assemble(ours, request(reference=theirs)).facts["comparison"]
    expected = compare(
        [run.tables["test1"] for run in ours], [theirs[0].tables["test1"]], resamples=199
    )
    assert list(found) == ["valid", "test1"]
    assert found["test1"] == {**expected, "reference": [str(tmp_path / "b1")]}
    difference = sum(figures(run.tables["test1"])["mean_ccc"] for run in ours) / 2
    difference -= figures(theirs[0].tables["test1"])["mean_ccc"]
    assert found["test1"]["mean_ccc"]["difference"] == pytest.approx(difference, abs=1e-9)
    assert found["test1"]["mean_ccc"]["low"] > 0


def test_csv_is_compared_with_the_set_of_its_utterances(tmp_path):
    run = seeded(tmp_path / "1", 1)
    table = set_of(seed=4).sample(frac=1, random_state=0)
    table["ID"] = "wavs/" + table["ID"] + ".wav"
    facts = assemble([run], request(reference=[csv_run(table)])).facts
    assert list(facts["comparison"]) == ["test1"]
    assert "valid is not compared: other.csv has no such set." in facts["warnings"]
    expected = compare([run.tables["test1"]], [set_of(seed=4)], resamples=199)
    assert facts["comparison"]["test1"]["valence"] == expected["valence"]


def test_csv_is_compared_with_a_run(tmp_path):
    run = seeded(tmp_path / "1", 1)
    found = assemble([csv_run(set_of(seed=4))], request(reference=[run])).facts["comparison"]
    assert found["other"]["seeds"] == [1, 1]
    assert [found["other"][name]["p"] <= 1 for name in DIMENSIONS] == [True] * 3


def test_reference_of_other_utterances_is_refused(tmp_path):
    run = seeded(tmp_path / "1", 1)
    with pytest.raises(ValueError, match=r"of the sets valid, test1, found none in other\.csv"):
        assemble([run], request(reference=[csv_run(set_of(17))]))


def test_notes_of_the_sources_are_told(tmp_path):
    run = dataclasses.replace(csv_run(set_of()), notes=["2 left out."])
    other = dataclasses.replace(csv_run(set_of(seed=2)), notes=["3 left out."])
    facts = assemble([run], request(reference=[other])).facts
    assert facts["warnings"] == ["2 left out.", "3 left out."]
    assert facts["title"] == "other.csv"
    assert facts["protocol"] == {"scale": SEVEN.to_dict()}
    assert facts["run"] == {"file": "other.csv"}

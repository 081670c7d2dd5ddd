"""Tests of averaging predictions and of the resulting run folder."""

import json

import numpy as np
import pytest

from emosphere_sb.report.ensemble import average_prediction_tables, write_average
from emosphere_sb.report.read.runs import read_run, read_source
from emosphere_sb.results.predictions import PREDICTED, read_predictions, write_predictions
from emosphere_sb.results.scores import prediction_metrics
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions
from tests.helpers.run_folders import SCALE_1_TO_7, change_metrics, random_predictions, write_run

OCTANTS = SphericalRegions(90)


@pytest.fixture
def members():
    return [random_predictions(seed=seed) for seed in (1, 2, 3)]


def test_mean_matches_manual_calculation_and_metadata_is_copied(members):
    found = average_prediction_tables(members, scale=SCALE_1_TO_7, regions=OCTANTS)
    one, two, three = (table[list(PREDICTED)].to_numpy() for table in members)
    assert found[list(PREDICTED)].to_numpy() == pytest.approx((one + two + three) / 3, abs=1e-12)
    kept = ["ID", "duration", "speaker", "gender", "emotion", *DIMENSIONS, "region"]
    assert found[kept].equals(members[0][kept])
    assert list(found.columns) == list(members[0].columns)


def test_row_order_does_not_matter(members):
    shuffled = [members[0], members[1].sample(frac=1, random_state=1), members[2]]
    assert average_prediction_tables(shuffled, scale=SCALE_1_TO_7, regions=OCTANTS).equals(
        average_prediction_tables(members, scale=SCALE_1_TO_7, regions=OCTANTS)
    )


def test_region_is_recomputed_from_mean_point():
    """(5, 5, 5) in octant I and (2, 2, 2) in VII: the mean, 3.5, lies in VII."""
    tables = [random_predictions(1), random_predictions(1)]
    for table, value in zip(tables, (5.0, 2.0), strict=True):
        table[list(PREDICTED)] = value
    found = average_prediction_tables(tables, scale=SCALE_1_TO_7, regions=OCTANTS)
    assert found.loc[0, list(PREDICTED)].tolist() == [3.5] * 3
    assert found["region_point"].tolist() == ["VII"]


def test_probabilities_are_averaged_and_most_likely_class_is_chosen(members):
    found = average_prediction_tables(members, scale=SCALE_1_TO_7, regions=OCTANTS)
    columns = [f"p_{name}" for name in OCTANTS.names]
    expected = np.mean([table[columns].to_numpy() for table in members], axis=0)
    assert found[columns].to_numpy() == pytest.approx(expected, abs=1e-15)
    likeliest = [OCTANTS.names[n] for n in expected.argmax(axis=1)]
    assert found["region_head"].tolist() == likeliest
    assert likeliest != members[0]["region_head"].tolist()


def test_probabilities_are_matched_by_class_name(members):
    other = members[1][members[1].columns[::-1]]
    assert average_prediction_tables(
        [members[0], other], scale=SCALE_1_TO_7, regions=OCTANTS
    ).equals(average_prediction_tables(members[:2], scale=SCALE_1_TO_7, regions=OCTANTS))


def test_head_missing_in_one_table_is_dropped(members):
    found = average_prediction_tables(
        [members[0], random_predictions(seed=4, head=False)], scale=SCALE_1_TO_7, regions=OCTANTS
    )
    assert not [name for name in found if name.startswith("p_") or name == "region_head"]
    assert "region_point" in found


def test_different_partitions_have_no_common_head():
    tables = [random_predictions(regions=SphericalRegions(step)) for step in (90, 45)]
    found = average_prediction_tables(tables, scale=SCALE_1_TO_7, regions=OCTANTS)
    assert "region_head" not in found
    assert set(found["region"]) <= set(OCTANTS.names)


def test_no_regions_without_scale(members):
    found = average_prediction_tables(members)
    assert list(found.columns) == [
        "ID", "duration", "speaker", "gender", "emotion", *DIMENSIONS, *PREDICTED,
    ]  # fmt: skip


@pytest.mark.parametrize("number", [0, 1])
def test_average_requires_two_runs(number, members):
    with pytest.raises(ValueError, match=f"at least two runs; found {number}"):
        average_prediction_tables(members[:number])


def test_different_utterances_raise(members):
    with pytest.raises(ValueError, match="same utterances"):
        average_prediction_tables([members[0], random_predictions(10)])


def runs_of(folder, **protocol):
    for seed in (1, 2):
        tables = {
            "valid": random_predictions(40, seed=seed), "test1": random_predictions(seed=seed + 5),
            "test3": random_predictions(5, seed=seed, labelled=False),
        }  # fmt: skip
        write_run(folder / str(seed), tables, seed=seed, **protocol)
    return read_source(folder)


def test_average_folder_is_readable_as_run(tmp_path):
    runs = runs_of(tmp_path / "row")
    metrics = write_average(tmp_path / "mean", runs)
    run = read_run(tmp_path / "mean")
    assert json.loads((tmp_path / "mean" / "metrics.json").read_text()) == metrics
    assert list(run.tables) == ["valid", "test1", "test3"]
    assert run.labelled == ["valid", "test1"]
    assert run.notes == []
    assert metrics["test1"] == prediction_metrics(
        average_prediction_tables(
            [one.tables["test1"] for one in runs], scale=SCALE_1_TO_7, regions=OCTANTS
        )
    )
    assert metrics["test1"]["mean_ccc"] > max(one.metrics["test1"]["mean_ccc"] for one in runs)


def test_protocol_lists_members_and_common_entries(tmp_path):
    runs = runs_of(tmp_path / "row")
    protocol = write_average(tmp_path / "mean", runs)["protocol"]
    assert protocol["members"] == [str(tmp_path / "row" / seed) for seed in ("1", "2")]
    assert (protocol["corpus"], protocol["scale"]) == ("MSP-Podcast", SCALE_1_TO_7.to_dict())
    assert "seed" not in protocol
    assert protocol["heads"]["test1"] == "region_head"
    assert protocol["regions"] == {"step": 90, "centre_radius": 0.0}
    assert protocol["sets_left_out"] == []
    assert protocol["synthetic"] is False


def test_average_is_synthetic_if_any_member_is(tmp_path):
    runs = runs_of(tmp_path / "row")
    change_metrics(tmp_path / "row" / "2", lambda m: m["protocol"].update(synthetic=True))
    runs = read_source(tmp_path / "row")
    assert write_average(tmp_path / "mean", runs)["protocol"]["synthetic"] is True


def test_common_partition_is_used(tmp_path):
    regions = SphericalRegions(45)
    for seed in (1, 2):
        yaml = "task: !new:emosphere_sb.lobes.RegionTask [45]\n"
        write_run(
            tmp_path / str(seed),
            {"test1": random_predictions(seed=seed, regions=regions)},
            yaml=yaml,
        )
    write_average(tmp_path / "mean", read_source(tmp_path))
    run = read_run(tmp_path / "mean")
    assert run.regions.step == 45
    assert set(run.tables["test1"]["region_point"]) <= set(regions.names)
    assert "p_p000a000" in run.tables["test1"]


def test_sets_missing_in_one_run_are_listed(tmp_path):
    one = read_run(write_run(tmp_path / "1"))
    two = read_run(write_run(tmp_path / "2", {"test1": random_predictions(seed=2)}))
    metrics = write_average(tmp_path / "mean", [one, two])
    assert metrics["protocol"]["sets_left_out"] == ["valid", "test3"]
    assert [path.name for path in (tmp_path / "mean" / "predictions").iterdir()] == ["test1.csv"]


def test_set_on_different_scale_is_listed(tmp_path):
    tables = {
        "test1": random_predictions(),
        "IEMOCAP-all": random_predictions(20, scale=Scale(1, 5)),
    }
    for seed in ("1", "2"):
        folder = write_run(tmp_path / seed, {"test1": tables["test1"]})
        write_predictions(tables["IEMOCAP-all"], folder / "predictions" / "IEMOCAP-all.csv")
        other = {
            "IEMOCAP-all": {}, "protocol": {"scale": Scale(1, 5).to_dict()},
            "run": {}, "beside": {},
        }  # fmt: skip
        (folder / "metrics_on_IEMOCAP.json").write_text(json.dumps(other))
    metrics = write_average(tmp_path / "mean", read_source(tmp_path))
    assert metrics["protocol"]["sets_left_out"] == ["IEMOCAP-all"]
    assert metrics["protocol"]["scale"] == SCALE_1_TO_7.to_dict()


def test_existing_average_is_replaced_but_run_is_not(tmp_path):
    runs = runs_of(tmp_path / "row")
    write_average(tmp_path / "mean", runs)
    write_predictions(random_predictions(3), tmp_path / "mean" / "predictions" / "old.csv")
    write_average(tmp_path / "mean", runs)
    assert not (tmp_path / "mean" / "predictions" / "old.csv").exists()
    before = read_predictions(tmp_path / "row" / "1" / "predictions" / "test1.csv")
    with pytest.raises(ValueError, match="already contains a run"):
        write_average(tmp_path / "row" / "1", runs)
    assert read_predictions(tmp_path / "row" / "1" / "predictions" / "test1.csv").equals(before)


def test_runs_on_different_scales_raise(tmp_path):
    one = read_run(write_run(tmp_path / "1"))
    two = read_run(write_run(tmp_path / "2", scale=Scale(1, 5).to_dict()))
    with pytest.raises(ValueError, match=r"same label scale for valid; found 1: Scale.*2: Scale"):
        write_average(tmp_path / "mean", [one, two])


def test_runs_without_common_set_raise(tmp_path):
    one = read_run(write_run(tmp_path / "1", {"test1": random_predictions()}))
    two = read_run(write_run(tmp_path / "2", {"test2": random_predictions()}))
    with pytest.raises(ValueError, match="found none among test1, test2"):
        write_average(tmp_path / "mean", [one, two])


def test_modified_predictions_are_not_averaged(tmp_path):
    folders = [write_run(tmp_path / name) for name in ("1", "2")]
    path = folders[1] / "predictions" / "valid.csv"
    path.write_text(path.read_text().replace("happy", "sad"))
    with pytest.raises(
        ValueError, match=r"predictions/valid\.csv of .*2 was modified after the run"
    ):
        write_average(tmp_path / "out", [read_run(folder) for folder in folders])

"""The mean of several runs' predictions, and the run's folder that it becomes."""

import json

import numpy as np
import pytest

from emosphere_sb.report.ensemble import average, write
from emosphere_sb.report.read.runs import read_run, read_source
from emosphere_sb.results.predictions import PREDICTED, read_predictions, write_predictions
from emosphere_sb.results.scores import figures
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions
from tests.helpers.run_folders import SEVEN, change_metrics, set_of, write_run

OCTANTS = SphericalRegions(90)


@pytest.fixture
def members():
    return [set_of(seed=seed) for seed in (1, 2, 3)]


def test_mean_by_hand_and_what_is_known_stays(members):
    found = average(members, scale=SEVEN, regions=OCTANTS)
    one, two, three = (table[list(PREDICTED)].to_numpy() for table in members)
    assert found[list(PREDICTED)].to_numpy() == pytest.approx((one + two + three) / 3, abs=1e-12)
    kept = ["ID", "duration", "speaker", "gender", "emotion", *DIMENSIONS, "region"]
    assert found[kept].equals(members[0][kept])
    assert list(found.columns) == list(members[0].columns)


def test_order_of_utterances_does_not_matter(members):
    shuffled = [members[0], members[1].sample(frac=1, random_state=1), members[2]]
    assert average(shuffled, scale=SEVEN, regions=OCTANTS).equals(
        average(members, scale=SEVEN, regions=OCTANTS)
    )


def test_region_is_that_of_the_mean_point():
    """(5, 5, 5) in octant I and (2, 2, 2) in VII: the mean, 3.5, lies in VII."""
    tables = [set_of(1), set_of(1)]
    for table, value in zip(tables, (5.0, 2.0), strict=True):
        table[list(PREDICTED)] = value
    found = average(tables, scale=SEVEN, regions=OCTANTS)
    assert found.loc[0, list(PREDICTED)].tolist() == [3.5] * 3
    assert found["region_point"].tolist() == ["VII"]


def test_probabilities_are_averaged_and_the_likeliest_class_is_the_heads(members):
    found = average(members, scale=SEVEN, regions=OCTANTS)
    columns = [f"p_{name}" for name in OCTANTS.names]
    expected = np.mean([table[columns].to_numpy() for table in members], axis=0)
    assert found[columns].to_numpy() == pytest.approx(expected, abs=1e-15)
    likeliest = [OCTANTS.names[n] for n in expected.argmax(axis=1)]
    assert found["region_head"].tolist() == likeliest
    assert likeliest != members[0]["region_head"].tolist()


def test_probabilities_are_found_by_class_and_not_by_place(members):
    other = members[1][members[1].columns[::-1]]
    assert average([members[0], other], scale=SEVEN, regions=OCTANTS).equals(
        average(members[:2], scale=SEVEN, regions=OCTANTS)
    )


def test_head_that_not_all_have_is_left_out(members):
    found = average([members[0], set_of(seed=4, head=False)], scale=SEVEN, regions=OCTANTS)
    assert not [name for name in found if name.startswith("p_") or name == "region_head"]
    assert "region_point" in found


def test_runs_that_cut_the_sphere_otherwise_have_no_common_head():
    tables = [set_of(regions=SphericalRegions(step)) for step in (90, 45)]
    found = average(tables, scale=SEVEN, regions=OCTANTS)
    assert "region_head" not in found
    assert set(found["region"]) <= set(OCTANTS.names)


def test_without_a_scale_there_are_no_regions(members):
    found = average(members)
    assert list(found.columns) == [
        "ID", "duration", "speaker", "gender", "emotion", *DIMENSIONS, *PREDICTED,
    ]  # fmt: skip


@pytest.mark.parametrize("number", [0, 1])
def test_one_run_is_no_average(number, members):
    with pytest.raises(ValueError, match=f"two runs or more; found {number}"):
        average(members[:number])


def test_other_utterances_are_refused(members):
    with pytest.raises(ValueError, match="same utterances"):
        average([members[0], set_of(10)])


def runs_of(folder, **protocol):
    for seed in (1, 2):
        tables = {
            "valid": set_of(40, seed=seed), "test1": set_of(seed=seed + 5),
            "test3": set_of(5, seed=seed, labelled=False),
        }  # fmt: skip
        write_run(folder / str(seed), tables, seed=seed, **protocol)
    return read_source(folder)


def test_folder_of_the_average_is_a_run(tmp_path):
    runs = runs_of(tmp_path / "row")
    metrics = write(tmp_path / "mean", runs)
    run = read_run(tmp_path / "mean")
    assert json.loads((tmp_path / "mean" / "metrics.json").read_text()) == metrics
    assert list(run.tables) == ["valid", "test1", "test3"]
    assert run.labelled == ["valid", "test1"]
    assert run.notes == []
    assert metrics["test1"] == figures(
        average([one.tables["test1"] for one in runs], scale=SEVEN, regions=OCTANTS)
    )
    assert metrics["test1"]["mean_ccc"] > max(one.metrics["test1"]["mean_ccc"] for one in runs)


def test_protocol_names_the_members_and_says_what_holds_for_all(tmp_path):
    runs = runs_of(tmp_path / "row")
    protocol = write(tmp_path / "mean", runs)["protocol"]
    assert protocol["members"] == [str(tmp_path / "row" / seed) for seed in ("1", "2")]
    assert (protocol["corpus"], protocol["scale"]) == ("MSP-Podcast", SEVEN.to_dict())
    assert "seed" not in protocol
    assert protocol["heads"]["test1"] == "region_head"
    assert protocol["regions"] == {"step": 90, "centre_radius": 0.0}
    assert protocol["sets_left_out"] == []
    assert protocol["synthetic"] is False


def test_one_synthetic_member_makes_it_synthetic(tmp_path):
    runs = runs_of(tmp_path / "row")
    change_metrics(tmp_path / "row" / "2", lambda m: m["protocol"].update(synthetic=True))
    runs = read_source(tmp_path / "row")
    assert write(tmp_path / "mean", runs)["protocol"]["synthetic"] is True


def test_regions_of_the_members_are_kept(tmp_path):
    regions = SphericalRegions(45)
    for seed in (1, 2):
        yaml = "task: !new:emosphere_sb.lobes.RegionTask [45]\n"
        write_run(tmp_path / str(seed), {"test1": set_of(seed=seed, regions=regions)}, yaml=yaml)
    write(tmp_path / "mean", read_source(tmp_path))
    run = read_run(tmp_path / "mean")
    assert run.regions.step == 45
    assert set(run.tables["test1"]["region_point"]) <= set(regions.names)
    assert "p_p000a000" in run.tables["test1"]


def test_sets_that_not_all_have_are_named(tmp_path):
    one = read_run(write_run(tmp_path / "1"))
    two = read_run(write_run(tmp_path / "2", {"test1": set_of(seed=2)}))
    metrics = write(tmp_path / "mean", [one, two])
    assert metrics["protocol"]["sets_left_out"] == ["valid", "test3"]
    assert [path.name for path in (tmp_path / "mean" / "predictions").iterdir()] == ["test1.csv"]


def test_another_corpus_on_another_scale_is_named(tmp_path):
    tables = {"test1": set_of(), "IEMOCAP-all": set_of(20, scale=Scale(1, 5))}
    for seed in ("1", "2"):
        folder = write_run(tmp_path / seed, {"test1": tables["test1"]})
        write_predictions(tables["IEMOCAP-all"], folder / "predictions" / "IEMOCAP-all.csv")
        other = {
            "IEMOCAP-all": {}, "protocol": {"scale": Scale(1, 5).to_dict()},
            "run": {}, "beside": {},
        }  # fmt: skip
        (folder / "metrics_on_IEMOCAP.json").write_text(json.dumps(other))
    metrics = write(tmp_path / "mean", read_source(tmp_path))
    assert metrics["protocol"]["sets_left_out"] == ["IEMOCAP-all"]
    assert metrics["protocol"]["scale"] == SEVEN.to_dict()


def test_earlier_average_is_replaced_and_a_run_is_not(tmp_path):
    runs = runs_of(tmp_path / "row")
    write(tmp_path / "mean", runs)
    write_predictions(set_of(3), tmp_path / "mean" / "predictions" / "old.csv")
    write(tmp_path / "mean", runs)
    assert not (tmp_path / "mean" / "predictions" / "old.csv").exists()
    before = read_predictions(tmp_path / "row" / "1" / "predictions" / "test1.csv")
    with pytest.raises(ValueError, match="must be a folder for the average; found a run in it"):
        write(tmp_path / "row" / "1", runs)
    assert read_predictions(tmp_path / "row" / "1" / "predictions" / "test1.csv").equals(before)


def test_runs_on_different_scales_are_refused(tmp_path):
    one = read_run(write_run(tmp_path / "1"))
    two = read_run(write_run(tmp_path / "2", scale=Scale(1, 5).to_dict()))
    with pytest.raises(ValueError, match=r"valid on one scale; found 1: Scale.*2: Scale"):
        write(tmp_path / "mean", [one, two])


def test_runs_without_a_common_set_are_refused(tmp_path):
    one = read_run(write_run(tmp_path / "1", {"test1": set_of()}))
    two = read_run(write_run(tmp_path / "2", {"test2": set_of()}))
    with pytest.raises(ValueError, match="found none among test1, test2"):
        write(tmp_path / "mean", [one, two])

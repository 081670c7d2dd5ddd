"""Tests of reading runs, folders of runs and CSV files."""

import json

import pytest

from emosphere_sb.report.read.runs import (
    CsvSettings,
    common_sets,
    read_run,
    read_source,
    run_regions,
    unify_set_names,
)
from emosphere_sb.results.predictions import write_predictions
from emosphere_sb.scale import Scale
from emosphere_sb.sphere.regions import SphericalRegions
from tests.helpers.run_folders import SCALE_1_TO_7, change_metrics, random_predictions, write_run


def test_finished_run(tmp_path):
    (run,) = read_source(write_run(tmp_path / "7"))
    assert (run.name, run.folder) == ("7", tmp_path / "7")
    assert list(run.tables) == ["valid", "test1", "test3"]
    assert run.labelled == ["valid", "test1"]
    assert run.scales == dict.fromkeys(run.tables, SCALE_1_TO_7)
    assert run.protocol["corpus"] == "MSP-Podcast"
    assert run.notes == []


def test_runs_of_folder_are_ordered_by_seed(tmp_path):
    for seed in ("10", "9", "best"):
        write_run(tmp_path / seed)
    (tmp_path / "report").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    assert [run.name for run in read_source(tmp_path)] == ["9", "10", "best"]


def test_old_run_has_no_scale(tmp_path):
    folder = write_run(tmp_path / "7")
    change_metrics(folder, lambda metrics: metrics["protocol"].pop("scale"))
    assert read_run(folder).scales == {"valid": None, "test1": None, "test3": None}


def test_sets_of_other_corpus_have_its_scale(tmp_path):
    folder = write_run(tmp_path / "7")
    table = random_predictions(20, scale=Scale(1, 5))
    write_predictions(table, folder / "predictions" / "IEMOCAP-all.csv")
    facts = {
        "IEMOCAP-all": {"mean_ccc": 0.5}, "protocol": {"scale": Scale(1, 5).to_dict()}, "run": {},
        "beside": {},
    }  # fmt: skip
    (folder / "metrics_on_IEMOCAP.json").write_text(json.dumps(facts), encoding="utf-8")
    run = read_run(folder)
    assert list(run.tables) == ["valid", "test1", "IEMOCAP-all", "test3"]
    assert run.scales["IEMOCAP-all"] == Scale(1, 5)
    assert run.scales["test3"] == SCALE_1_TO_7
    assert run.metrics["IEMOCAP-all"] == {"mean_ccc": 0.5}


def test_modified_predictions_are_noted(tmp_path):
    folder = write_run(tmp_path / "7")
    write_predictions(random_predictions(seed=5), folder / "predictions" / "test1.csv")
    assert read_run(folder).notes == ["7: predictions/test1.csv was modified after the run."]


def test_set_with_metrics_requires_predictions(tmp_path):
    folder = write_run(tmp_path / "7")
    (folder / "predictions" / "test1.csv").unlink()
    with pytest.raises(ValueError, match=r"no predictions for test1\. Re-run the training command"):
        read_run(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not valid JSON"),
        ("[]", "must have the keys protocol, run, beside"),
        ('{"run": 1}', "missing: protocol"),
    ],
)
def test_invalid_metrics_raise(tmp_path, text, said):
    folder = write_run(tmp_path / "7")
    (folder / "metrics.json").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_run(folder)


@pytest.mark.parametrize("inside", [False, True])
def test_unfinished_run_suggests_resuming(tmp_path, inside):
    write_run(tmp_path / "row" / "1")
    folder = write_run(tmp_path / "row" / "2")
    (folder / "metrics.json").unlink()
    said = r"row.2 is not finished: it has hyperparams\.yaml but no metrics\.json\. Re-run"
    with pytest.raises(ValueError, match=said):
        read_source(tmp_path / "row" if inside else folder)


def test_cross_validation_folder_is_not_a_run(tmp_path):
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(ValueError, match=r"cross-validation.*summary\.json.*a single fold"):
        read_source(tmp_path)


def test_folder_without_runs_raises_with_content(tmp_path):
    with pytest.raises(ValueError, match="found an empty folder"):
        read_source(tmp_path)
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(ValueError, match=r"or a folder of runs; found x\.txt"):
        read_source(tmp_path)


def test_missing_path_raises(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere does not exist"):
        read_source(tmp_path / "nowhere")


def test_csv_of_run_is_read_unchanged(tmp_path):
    write_predictions(random_predictions(10), tmp_path / "test1.csv")
    (run,) = read_source(tmp_path / "test1.csv")
    assert (run.name, run.folder, list(run.tables)) == ("test1.csv", None, ["test1"])
    assert run.tables["test1"].equals(random_predictions(10))
    assert run.scales == {"test1": None}
    (run,) = read_source(tmp_path / "test1.csv", CsvSettings(scale=SCALE_1_TO_7))
    assert run.scales == {"test1": SCALE_1_TO_7}


FOREIGN = "id;v;a;d;pred_v;pred_a;pred_d\nx;1;2;3;4;5;6\n"


def test_external_csv_requires_scale(tmp_path):
    (tmp_path / "other.csv").write_text(FOREIGN)
    with pytest.raises(ValueError, match="--label_low=1 --label_high=7"):
        read_source(tmp_path / "other.csv")
    (run,) = read_source(tmp_path / "other.csv", CsvSettings(scale=SCALE_1_TO_7))
    assert run.tables["other"].loc[0, "valence_predicted"] == 4.0
    assert run.scales == {"other": SCALE_1_TO_7}


def test_csv_is_joined_with_labels_and_notes(tmp_path):
    (tmp_path / "labels.csv").write_text(
        "FileName,EmoAct,EmoVal,EmoDom\nx.wav,1,2,3\ny.wav,1,1,1\n"
    )
    (tmp_path / "other.csv").write_text("FileName,EmoAct,EmoVal,EmoDom\nx,0,0.5,1\n")
    settings = CsvSettings(
        scale=SCALE_1_TO_7,
        predicted_scale=Scale(0, 1),
        labels=tmp_path / "labels.csv",
        only_common=True,
    )
    (run,) = read_source(tmp_path / "other.csv", settings)
    row = run.tables["other"].iloc[0]
    assert (row["valence"], row["valence_predicted"], row["arousal_predicted"]) == (2.0, 4.0, 1.0)
    assert len(run.notes) == 1


TASK = "task: !new:emosphere_sb.lobes."


@pytest.mark.parametrize(
    ("yaml", "step", "radius"),
    [
        (f"{TASK}RegionTask [60, inverse_frequency, null, 0.25]\n", 60, 0.25),
        (f"{TASK}RegionTask [45]\n", 45, 0.0),
        (f"{TASK}RegionTask {{step: 30, centre_radius: 0.1}}\n", 30, 0.1),
        (f"cut: 180\n{TASK}RegionTask [!ref <cut>]\n", 180, 0.0),
        (f"{TASK}EmotionTask [[happy], none]\n", 90, 0.0),
        (f"{TASK}NoTask []\n", 90, 0.0),
        ("task: null\n", 90, 0.0),
        ("preset: demo\n", 90, 0.0),
    ],
)
def test_regions_are_read_from_task(tmp_path, yaml, step, radius):
    (tmp_path / "hyperparams.yaml").write_text(yaml)
    found = run_regions(tmp_path, {})
    assert (found.step, found.centre_radius) == (step, radius)


def test_regions_of_protocol_take_precedence(tmp_path):
    found = run_regions(tmp_path, {"regions": {"step": 45, "centre_radius": 0.0}})
    assert found.names == SphericalRegions(45).names
    assert run_regions(tmp_path, {}).step == 90


def test_common_sets(tmp_path):
    one = read_run(write_run(tmp_path / "1"))
    two = read_run(write_run(tmp_path / "2", {"test1": random_predictions(seed=2)}))
    assert common_sets([one]) == (["valid", "test1"], ["No metrics for test3: it has no labels."])
    names, notes = common_sets([one, two])
    assert names == ["test1"]
    assert notes == [
        f"No metrics for {name}: some runs have no predictions or labels for it."
        for name in ("valid", "test3")
    ]


def test_csv_of_run_edited_in_spreadsheet(tmp_path):
    """A byte order mark, semicolons, decimal commas and Windows' line ends."""
    write_predictions(random_predictions(10), tmp_path / "test1.csv")
    (expected,) = read_source(tmp_path / "test1.csv")
    lines = (tmp_path / "test1.csv").read_text(encoding="utf-8").splitlines()
    text = "\ufeff" + "\r\n".join(lines).replace(",", ";").replace(".", ",")
    (tmp_path / "test1.csv").write_bytes(text.encode())
    (run,) = read_source(tmp_path / "test1.csv")
    assert run.tables["test1"].equals(expected.tables["test1"])


@pytest.mark.parametrize("key", ["protocol", "run", "beside", "test1"])
def test_malformed_metrics_raise(tmp_path, key):
    folder = write_run(tmp_path / "7")
    change_metrics(folder, lambda metrics: metrics.update({key: [1.0]}))
    with pytest.raises(ValueError, match=f"metrics.json must be mappings; invalid: {key}"):
        read_run(folder)


def test_dangling_reference_in_hyperparameters_raises(tmp_path):
    yaml = "preset: demo\ntask: !new:emosphere_sb.lobes.tasks.RegionTask [!ref <nowhere>]\n"
    folder = write_run(tmp_path / "7", yaml=yaml)
    with pytest.raises(
        ValueError, match=r"hyperparams.yaml of the run refers to the missing key 'nowhere'"
    ):
        read_run(folder)


def test_csv_files_of_several_seeds_share_set_name(tmp_path):
    for seed in (1, 2):
        write_predictions(random_predictions(10, seed=seed), tmp_path / f"seed{seed}.csv")
    runs = [read_source(tmp_path / f"seed{seed}.csv")[0] for seed in (1, 2)]
    found = unify_set_names(runs)
    assert [list(run.tables) for run in found] == [["predictions"]] * 2
    assert found[1].tables["predictions"].equals(runs[1].tables["seed2"])
    assert unify_set_names(runs[:1]) == runs[:1]
    with_folder = [*runs, read_run(write_run(tmp_path / "7"))]
    assert unify_set_names(with_folder) == with_folder

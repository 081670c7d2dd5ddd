"""What a report can be about: runs, folders of runs, CSV files, and what is refused."""

import json

import pytest

from emosphere_sb.report.read.runs import (
    CsvSettings,
    as_one_set,
    common_sets,
    read_run,
    read_source,
    regions_of,
)
from emosphere_sb.results.predictions import write_predictions
from emosphere_sb.scale import Scale
from emosphere_sb.sphere.regions import SphericalRegions
from tests.helpers.run_folders import SEVEN, change_metrics, set_of, write_run


def test_finished_run(tmp_path):
    (run,) = read_source(write_run(tmp_path / "7"))
    assert (run.name, run.folder) == ("7", tmp_path / "7")
    assert list(run.tables) == ["valid", "test1", "test3"]
    assert run.labelled == ["valid", "test1"]
    assert run.scales == dict.fromkeys(run.tables, SEVEN)
    assert run.protocol["corpus"] == "MSP-Podcast"
    assert run.notes == []


def test_folder_of_runs_in_the_order_of_their_seeds(tmp_path):
    for seed in ("10", "9", "best"):
        write_run(tmp_path / seed)
    (tmp_path / "report").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    assert [run.name for run in read_source(tmp_path)] == ["9", "10", "best"]


def test_older_run_has_no_scale(tmp_path):
    folder = write_run(tmp_path / "7")
    change_metrics(folder, lambda metrics: metrics["protocol"].pop("scale"))
    assert read_run(folder).scales == {"valid": None, "test1": None, "test3": None}


def test_sets_of_another_corpus_have_its_scale(tmp_path):
    folder = write_run(tmp_path / "7")
    table = set_of(20, scale=Scale(1, 5))
    write_predictions(table, folder / "predictions" / "IEMOCAP-all.csv")
    facts = {
        "IEMOCAP-all": {"mean_ccc": 0.5}, "protocol": {"scale": Scale(1, 5).to_dict()}, "run": {},
        "beside": {},
    }  # fmt: skip
    (folder / "metrics_on_IEMOCAP.json").write_text(json.dumps(facts), encoding="utf-8")
    run = read_run(folder)
    assert list(run.tables) == ["valid", "test1", "IEMOCAP-all", "test3"]
    assert run.scales["IEMOCAP-all"] == Scale(1, 5)
    assert run.scales["test3"] == SEVEN
    assert run.metrics["IEMOCAP-all"] == {"mean_ccc": 0.5}


def test_predictions_that_somebody_changed_are_noted(tmp_path):
    folder = write_run(tmp_path / "7")
    write_predictions(set_of(seed=5), folder / "predictions" / "test1.csv")
    assert read_run(folder).notes == [
        "7: predictions/test1.csv is not the file that the run wrote."
    ]


def test_set_with_figures_must_have_predictions(tmp_path):
    folder = write_run(tmp_path / "7")
    (folder / "predictions" / "test1.csv").unlink()
    with pytest.raises(ValueError, match=r"found none of test1\. Start the run's command again"):
        read_run(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "must be JSON"),
        ("[]", "must hold protocol, run, beside"),
        ('{"run": 1}', "no protocol"),
    ],
)
def test_broken_metrics_are_named(tmp_path, text, said):
    folder = write_run(tmp_path / "7")
    (folder / "metrics.json").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_run(folder)


@pytest.mark.parametrize("inside", [False, True])
def test_unfinished_run_says_how_to_go_on(tmp_path, inside):
    write_run(tmp_path / "row" / "1")
    folder = write_run(tmp_path / "row" / "2")
    (folder / "metrics.json").unlink()
    said = r"row.2 is not finished: it has hyperparams\.yaml and no metrics\.json\. Start the same"
    with pytest.raises(ValueError, match=said):
        read_source(tmp_path / "row" if inside else folder)


def test_summary_over_folds_is_no_run(tmp_path):
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(ValueError, match=r"summary\.json over folds.*one fold"):
        read_source(tmp_path)


def test_folder_without_a_run_says_what_is_in_it(tmp_path):
    with pytest.raises(ValueError, match="found an empty folder"):
        read_source(tmp_path)
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(ValueError, match=r"or a folder of such; found x\.txt"):
        read_source(tmp_path)


def test_path_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match=r"must be named; found no .*nowhere"):
        read_source(tmp_path / "nowhere")


def test_csv_that_a_run_wrote_is_taken_as_it_is(tmp_path):
    write_predictions(set_of(10), tmp_path / "test1.csv")
    (run,) = read_source(tmp_path / "test1.csv")
    assert (run.name, run.folder, list(run.tables)) == ("test1.csv", None, ["test1"])
    assert run.tables["test1"].equals(set_of(10))
    assert run.scales == {"test1": None}
    (run,) = read_source(tmp_path / "test1.csv", CsvSettings(scale=SEVEN))
    assert run.scales == {"test1": SEVEN}


FOREIGN = "id;v;a;d;pred_v;pred_a;pred_d\nx;1;2;3;4;5;6\n"


def test_csv_of_others_needs_a_scale(tmp_path):
    (tmp_path / "other.csv").write_text(FOREIGN)
    with pytest.raises(ValueError, match="--label_low=1 --label_high=7"):
        read_source(tmp_path / "other.csv")
    (run,) = read_source(tmp_path / "other.csv", CsvSettings(scale=SEVEN))
    assert run.tables["other"].loc[0, "valence_predicted"] == 4.0
    assert run.scales == {"other": SEVEN}


def test_csv_is_joined_with_labels_and_the_notes_come_along(tmp_path):
    (tmp_path / "labels.csv").write_text(
        "FileName,EmoAct,EmoVal,EmoDom\nx.wav,1,2,3\ny.wav,1,1,1\n"
    )
    (tmp_path / "other.csv").write_text("FileName,EmoAct,EmoVal,EmoDom\nx,0,0.5,1\n")
    settings = CsvSettings(
        scale=SEVEN, predicted_scale=Scale(0, 1), labels=tmp_path / "labels.csv", only_common=True
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
def test_regions_are_those_of_the_task(tmp_path, yaml, step, radius):
    (tmp_path / "hyperparams.yaml").write_text(yaml)
    found = regions_of(tmp_path, {})
    assert (found.step, found.centre_radius) == (step, radius)


def test_regions_that_the_protocol_names_win(tmp_path):
    found = regions_of(tmp_path, {"regions": {"step": 45, "centre_radius": 0.0}})
    assert found.names == SphericalRegions(45).names
    assert regions_of(tmp_path, {}).step == 90


def test_sets_that_all_runs_have(tmp_path):
    one = read_run(write_run(tmp_path / "1"))
    two = read_run(write_run(tmp_path / "2", {"test1": set_of(seed=2)}))
    assert common_sets([one]) == (["valid", "test1"], ["No figures for test3: it has no labels."])
    names, notes = common_sets([one, two])
    assert names == ["test1"]
    assert notes == [
        f"No figures for {name}: not every run has predictions and labels of it."
        for name in ("valid", "test3")
    ]


def test_csv_with_the_columns_of_a_run_may_come_from_a_spreadsheet(tmp_path):
    """A byte order mark, semicolons, decimal commas and Windows' line ends."""
    write_predictions(set_of(10), tmp_path / "test1.csv")
    (expected,) = read_source(tmp_path / "test1.csv")
    lines = (tmp_path / "test1.csv").read_text(encoding="utf-8").splitlines()
    text = "\ufeff" + "\r\n".join(lines).replace(",", ";").replace(".", ",")
    (tmp_path / "test1.csv").write_bytes(text.encode())
    (run,) = read_source(tmp_path / "test1.csv")
    assert run.tables["test1"].equals(expected.tables["test1"])


@pytest.mark.parametrize("key", ["protocol", "run", "beside", "test1"])
def test_figures_of_another_form_are_refused(tmp_path, key):
    folder = write_run(tmp_path / "7")
    change_metrics(folder, lambda metrics: metrics.update({key: [1.0]}))
    with pytest.raises(ValueError, match=f"metrics.json must hold a mapping.*not so for {key}"):
        read_run(folder)


def test_reference_to_nothing_in_the_hyperparameters_is_refused(tmp_path):
    yaml = "preset: demo\ntask: !new:emosphere_sb.lobes.tasks.RegionTask [!ref <nowhere>]\n"
    folder = write_run(tmp_path / "7", yaml=yaml)
    with pytest.raises(ValueError, match=r"hyperparams.yaml of the run refers to 'nowhere'"):
        read_run(folder)


def test_csv_files_of_several_seeds_are_one_set(tmp_path):
    for seed in (1, 2):
        write_predictions(set_of(10, seed=seed), tmp_path / f"seed{seed}.csv")
    runs = [read_source(tmp_path / f"seed{seed}.csv")[0] for seed in (1, 2)]
    found = as_one_set(runs)
    assert [list(run.tables) for run in found] == [["predictions"]] * 2
    assert found[1].tables["predictions"].equals(runs[1].tables["seed2"])
    assert as_one_set(runs[:1]) == runs[:1]
    with_folder = [*runs, read_run(write_run(tmp_path / "7"))]
    assert as_one_set(with_folder) == with_folder

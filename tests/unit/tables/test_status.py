"""Where a cell stands; whatever is wrong with its folder is said and never raised."""

import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest

from emosphere_sb.recipe.hparams import SAVED
from emosphere_sb.tables.cells import Cells
from emosphere_sb.tables.status import DAMAGED, FINISHED, INTERRUPTED, NOT_BEGUN, inspect
from tests.helpers.tables import cell, finish, make_group, make_row, predictions


@pytest.fixture
def finished(cells):
    """A cell whose run is over."""
    one = cell(cells)
    finish(cells, one, predictions())
    assert inspect(one, cells).kind == FINISHED
    return one


def damage(one, cells, summary=None) -> str:
    """The reason of a cell that must be damaged."""
    state = inspect(one, cells, summary)
    assert state.kind == DAMAGED
    assert state.predictions is None
    assert state.reason and "\n" not in state.reason
    return state.reason


def change_metrics(one, change):
    metrics = json.loads(one.metrics.read_text())
    change(metrics)
    one.metrics.write_text(json.dumps(metrics))


def with_digest(one):
    """Let the file of predictions be the one that the run wrote."""
    digest = hashlib.sha256(one.predictions.read_bytes()).hexdigest()
    change_metrics(one, lambda m: m["run"]["predictions"].update({one.set: digest}))


def test_a_folder_that_is_not_there_is_not_begun(cells):
    one = cell(cells)
    assert inspect(one, cells).kind == NOT_BEGUN
    (one.folder / "save").mkdir(parents=True)
    assert inspect(one, cells).kind == NOT_BEGUN


def test_a_checkpoint_without_figures_is_interrupted(cells):
    one = cell(cells)
    (one.folder / "save" / "CKPT+2025").mkdir(parents=True)
    assert inspect(one, cells).kind == INTERRUPTED


def test_a_finished_run_gives_its_predictions_and_figures(cells):
    one, table = cell(cells), predictions(seed=3)
    finish(cells, one, table)
    state = inspect(one, cells)
    assert (state.kind, state.reason, state.warnings) == (FINISHED, "", ())
    np.testing.assert_array_equal(
        state.predictions["valence_predicted"], table["valence_predicted"]
    )
    assert state.metrics["run"]["commit"] == "c0ffee"


def test_a_run_under_another_row_s_name_is_the_same(cells, finished):
    other = cell(cells, make_row(preset="regions_90"))
    assert inspect(other, cells).kind == FINISHED


def test_a_run_without_the_other_corpus_s_figures_goes_on(tmp_path):
    folders = {"IEMOCAP": "/iemocap", "MSP-IMPROV": "/improv"}
    cells = Cells(tmp_path, preset="smoke", data_folders=folders)
    row = make_row(corpus="IEMOCAP")
    own, other = (
        cell(cells, row, make_group(None, "test", tested_on=name, elsewhere="all"))
        for name in folders
    )
    finish(cells, own, predictions())
    (own.folder / "save" / "CKPT+2025").mkdir(parents=True)
    assert inspect(own, cells).kind == FINISHED
    assert inspect(other, cells).kind == INTERRUPTED
    finish(cells, other, predictions(seed=1))
    assert [inspect(one, cells).kind for one in (own, other)] == [FINISHED, FINISHED]


def test_figures_on_another_state_of_the_other_corpus(tmp_path):
    cells = Cells(tmp_path, preset="smoke", data_folders={"OwnData": "/own"})
    one = cell(cells, make_row(corpus="IEMOCAP"), make_group(None, "test", tested_on="OwnData"))
    finish(cells, one, predictions())
    facts = {"options": {"label_low": 1}, "manifests": {"all": "5f"}, "scale": {"reversed": ()}}
    change_metrics(one, lambda m: m["protocol"].update(tested_on=facts))
    assert inspect(one, cells, None, facts).kind == FINISHED
    for key, value in (("options", {"label_low": 2}), ("manifests", {"all": "60"})):
        state = inspect(one, cells, None, {**facts, key: value})
        assert (state.kind, state.reason) == (DAMAGED, f"OwnData was tested with other {key}")
    change_metrics(one, lambda m: m["protocol"].pop("tested_on"))
    assert inspect(one, cells, None, facts).kind == DAMAGED


def test_predictions_that_are_gone(cells, finished):
    finished.predictions.unlink()
    assert damage(finished, cells) == "predictions/test1.csv is gone"


@pytest.mark.parametrize("place", [0, 0.5, -1])
def test_predictions_changed_by_one_character(cells, finished, place):
    text = bytearray(finished.predictions.read_bytes())
    index = int(place * len(text)) if place >= 0 else -1
    text[index] ^= 1
    finished.predictions.write_bytes(text)
    reason = damage(finished, cells)
    assert reason == "predictions/test1.csv is not the file that the run wrote"


def test_a_run_with_other_settings(cells, finished):
    other = cell(cells, make_row(options={"lr": "0.5", "crop": "random"}))
    finish(cells, other, predictions())
    (other.folder / SAVED).write_text((finished.folder / SAVED).read_text())
    reason = damage(other, cells)
    assert reason == "the folder holds a run with other values of crop, lr"


@pytest.mark.parametrize("text", ["", "seed: [", "- a list"])
def test_settings_that_cannot_be_read(cells, finished, text):
    (finished.folder / SAVED).write_text(text)
    assert SAVED in damage(finished, cells)


def test_settings_that_are_gone(cells, finished):
    (finished.folder / SAVED).unlink()
    assert SAVED in damage(finished, cells)


def test_a_run_on_other_data(cells, tmp_path):
    manifest = tmp_path / "train.csv"
    manifest.write_text("ID\na\n")
    summary = SimpleNamespace(sets={"train": manifest})
    digest = hashlib.sha256(b"ID\na\n").hexdigest()
    one = cell(cells)
    finish(cells, one, predictions(), data={"train": digest})
    assert inspect(one, cells, summary).kind == FINISHED
    manifest.write_text("ID\nb\n")
    assert "was on other data" in damage(one, cells, summary)
    (one.folder / "data.json").unlink()
    assert "was on other data" in damage(one, cells, summary)
    assert inspect(one, cells).kind == FINISHED  # nobody says which data are meant


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "3", '"text"', "{}", '{"run": 3}', '{"run": []}', '{"run": {}}',
     '{"run": {"predictions": null}}', '{"run": {"predictions": []}}', "\x00", '{"run": null}'],
)  # fmt: skip
def test_figures_that_cannot_be_read(cells, finished, text):
    finished.metrics.write_text(text)
    damage(finished, cells)


@pytest.mark.parametrize("half", [0.1, 0.5, 0.9])
def test_figures_that_are_half_there(cells, finished, half):
    text = finished.metrics.read_text()
    finished.metrics.write_text(text[: int(half * len(text))])
    damage(finished, cells)


def test_figures_of_something_else_are_said_in_words(cells, finished):
    finished.metrics.write_text("[]")
    assert damage(finished, cells).startswith("a file of the run has another form: ")


def test_figures_in_no_encoding(cells, finished):
    finished.metrics.write_bytes(b"\xff\xfe\x00")
    damage(finished, cells)


def test_figures_without_digests_of_the_predictions(cells, finished):
    change_metrics(finished, lambda m: m["run"].pop("predictions"))
    assert damage(finished, cells) == "'predictions' is not in the run's file of figures"


@pytest.mark.parametrize(
    "scale", [None, {}, [], "1..7", {"low": 7, "high": 1}, {"low": "a", "high": 7}], ids=str
)
def test_figures_without_a_scale(cells, finished, scale):
    change_metrics(finished, lambda m: m["protocol"].update(scale=scale))
    damage(finished, cells)


@pytest.mark.parametrize(
    ("part", "name"), [("run", "commit"), ("run", "process_seconds"), ("protocol", "synthetic")]
)
def test_figures_without_what_a_table_says_of_a_run(cells, finished, part, name):
    change_metrics(finished, lambda m: m[part].pop(name))
    assert damage(finished, cells) == f"{name!r} is not in the run's file of figures"


def test_a_set_that_the_run_does_not_have(cells, finished):
    other = cell(cells, block=make_group(name="test7"))
    assert damage(other, cells) == "the run has no set 'test7'; it has test1"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_prediction_that_is_no_number(cells, value):
    one, table = cell(cells), predictions()
    table.loc[7, "arousal_predicted"] = value
    finish(cells, one, table)
    assert "u007" in damage(one, cells)


def test_an_utterance_that_stands_twice(cells):
    one, table = cell(cells), predictions()
    table.loc[7, "ID"] = "u008"
    finish(cells, one, table)
    assert "u008" in damage(one, cells)


@pytest.mark.parametrize(
    "text", ["", "\n", "ID,valence\n", "ID\nu1\n", "\x00\x01", '"', "ID,ID\na,b,c,d\n"]
)
def test_predictions_that_were_written_wrong(cells, finished, text):
    finished.predictions.write_text(text)
    with_digest(finished)
    damage(finished, cells)


def test_a_folder_in_place_of_a_file(cells, finished):
    finished.predictions.unlink()
    finished.predictions.mkdir()
    damage(finished, cells)


def test_a_constant_prediction_is_a_warning(cells):
    one, table = cell(cells), predictions()
    table["valence_predicted"] = 4.0
    finish(cells, one, table)
    state = inspect(one, cells)
    assert state.kind == FINISHED
    assert len(state.warnings) == 1 and "every valence_predicted is 4" in state.warnings[0]


@pytest.mark.parametrize("name", ["versions", "auxiliary_head"])
def test_figures_of_another_form(cells, finished, name):
    change_metrics(finished, lambda m: m["protocol"].update({name: [1.0]}))
    assert damage(finished, cells) == f"{name} in the run's file of figures is no mapping"

"""State of a cell. Problems of its folder are reported as state and never raised."""

import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest

from emosphere_sb.recipe.hparams import SAVED
from emosphere_sb.tables.cells import Cells
from emosphere_sb.tables.status import DAMAGED, FINISHED, INTERRUPTED, NOT_STARTED, inspect
from tests.helpers.tables import cell, finish, make_group, make_row, predictions


@pytest.fixture
def finished(cells):
    """Cell of a finished run."""
    one = cell(cells)
    finish(cells, one, predictions())
    assert inspect(one, cells).kind == FINISHED
    return one


def damage(one, cells, summary=None) -> str:
    """Check that a cell is damaged and return the reason."""
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
    """Update the checksum of the predictions in the metrics file."""
    digest = hashlib.sha256(one.predictions.read_bytes()).hexdigest()
    change_metrics(one, lambda m: m["run"]["predictions"].update({one.set: digest}))


def test_run_without_folder_or_checkpoint_is_not_started(cells):
    one = cell(cells)
    assert inspect(one, cells).kind == NOT_STARTED
    (one.folder / "save").mkdir(parents=True)
    assert inspect(one, cells).kind == NOT_STARTED


def test_run_with_checkpoint_but_no_metrics_is_interrupted(cells):
    one = cell(cells)
    (one.folder / "save" / "CKPT+2025").mkdir(parents=True)
    assert inspect(one, cells).kind == INTERRUPTED


def test_finished_run_has_predictions_and_metrics(cells):
    one, table = cell(cells), predictions(seed=3)
    finish(cells, one, table)
    state = inspect(one, cells)
    assert (state.kind, state.reason, state.warnings) == (FINISHED, "", ())
    np.testing.assert_array_equal(
        state.predictions["valence_predicted"], table["valence_predicted"]
    )
    assert state.metrics["run"]["commit"] == "c0ffee"


def test_run_with_another_preset_name_is_the_same(cells, finished):
    other = cell(cells, make_row(preset="regions_90"))
    assert inspect(other, cells).kind == FINISHED


def test_run_without_cross_corpus_metrics_is_resumed(tmp_path):
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


def test_cross_corpus_test_on_other_data_or_settings(tmp_path):
    cells = Cells(tmp_path, preset="smoke", data_folders={"OwnData": "/own"})
    one = cell(cells, make_row(corpus="IEMOCAP"), make_group(None, "test", tested_on="OwnData"))
    finish(cells, one, predictions())
    metadata = {"options": {"label_low": 1}, "manifests": {"all": "5f"}, "scale": {"reversed": ()}}
    change_metrics(one, lambda m: m["protocol"].update(tested_on=metadata))
    assert inspect(one, cells, None, metadata).kind == FINISHED
    for key, value in (("options", {"label_low": 2}), ("manifests", {"all": "60"})):
        state = inspect(one, cells, None, {**metadata, key: value})
        assert (state.kind, state.reason) == (
            DAMAGED,
            f"the test on OwnData used different values of {key}",
        )
    change_metrics(one, lambda m: m["protocol"].pop("tested_on"))
    assert inspect(one, cells, None, metadata).kind == DAMAGED


def test_missing_predictions(cells, finished):
    finished.predictions.unlink()
    assert damage(finished, cells) == "predictions/test1.csv is missing"


@pytest.mark.parametrize("place", [0, 0.5, -1])
def test_predictions_with_one_changed_character(cells, finished, place):
    text = bytearray(finished.predictions.read_bytes())
    index = int(place * len(text)) if place >= 0 else -1
    text[index] ^= 1
    finished.predictions.write_bytes(text)
    reason = damage(finished, cells)
    assert reason == "predictions/test1.csv was modified after the run"


def test_run_with_other_settings(cells, finished):
    other = cell(cells, make_row(options={"lr": "0.5", "crop": "random"}))
    finish(cells, other, predictions())
    (other.folder / SAVED).write_text((finished.folder / SAVED).read_text())
    reason = damage(other, cells)
    assert reason == "the run has different values of crop, lr"


@pytest.mark.parametrize("text", ["", "seed: [", "- a list"])
def test_unreadable_settings(cells, finished, text):
    (finished.folder / SAVED).write_text(text)
    assert SAVED in damage(finished, cells)


def test_missing_settings(cells, finished):
    (finished.folder / SAVED).unlink()
    assert SAVED in damage(finished, cells)


def test_run_on_other_data(cells, tmp_path):
    manifest = tmp_path / "train.csv"
    manifest.write_text("ID\na\n")
    summary = SimpleNamespace(sets={"train": manifest})
    digest = hashlib.sha256(b"ID\na\n").hexdigest()
    one = cell(cells)
    finish(cells, one, predictions(), data={"train": digest})
    assert inspect(one, cells, summary).kind == FINISHED
    manifest.write_text("ID\nb\n")
    assert "used data other than" in damage(one, cells, summary)
    (one.folder / "data.json").unlink()
    assert "used data other than" in damage(one, cells, summary)
    assert inspect(one, cells).kind == FINISHED  # the data are not checked


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "3", '"text"', "{}", '{"run": 3}', '{"run": []}', '{"run": {}}',
     '{"run": {"predictions": null}}', '{"run": {"predictions": []}}', "\x00", '{"run": null}'],
)  # fmt: skip
def test_unreadable_metrics(cells, finished, text):
    finished.metrics.write_text(text)
    damage(finished, cells)


@pytest.mark.parametrize("half", [0.1, 0.5, 0.9])
def test_truncated_metrics(cells, finished, half):
    text = finished.metrics.read_text()
    finished.metrics.write_text(text[: int(half * len(text))])
    damage(finished, cells)


def test_metrics_file_with_another_structure(cells, finished):
    finished.metrics.write_text("[]")
    assert "metrics.json must contain a mapping; found list" in damage(finished, cells)


def test_metrics_file_with_invalid_encoding(cells, finished):
    finished.metrics.write_bytes(b"\xff\xfe\x00")
    damage(finished, cells)


def test_metrics_without_checksums_of_the_predictions(cells, finished):
    change_metrics(finished, lambda m: m["run"].pop("predictions"))
    assert damage(finished, cells) == "the metrics file has no key 'predictions'"


@pytest.mark.parametrize(
    "scale", [None, {}, [], "1..7", {"low": 7, "high": 1}, {"low": "a", "high": 7}], ids=str
)
def test_metrics_without_a_valid_scale(cells, finished, scale):
    change_metrics(finished, lambda m: m["protocol"].update(scale=scale))
    damage(finished, cells)


@pytest.mark.parametrize(
    ("part", "name"), [("run", "commit"), ("run", "process_seconds"), ("protocol", "synthetic")]
)
def test_metrics_without_a_required_key(cells, finished, part, name):
    change_metrics(finished, lambda m: m[part].pop(name))
    assert damage(finished, cells) == f"the metrics file has no key {name!r}"


def test_set_that_the_run_does_not_have(cells, finished):
    other = cell(cells, block=make_group(name="test7"))
    assert damage(other, cells) == "the run has no set 'test7'; found test1"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_prediction_that_is_not_finite(cells, value):
    one, table = cell(cells), predictions()
    table.loc[7, "arousal_predicted"] = value
    finish(cells, one, table)
    assert "u007" in damage(one, cells)


def test_duplicate_utterance(cells):
    one, table = cell(cells), predictions()
    table.loc[7, "ID"] = "u008"
    finish(cells, one, table)
    assert "u008" in damage(one, cells)


@pytest.mark.parametrize(
    "text", ["", "\n", "ID,valence\n", "ID\nu1\n", "\x00\x01", '"', "ID,ID\na,b,c,d\n"]
)
def test_invalid_predictions_file(cells, finished, text):
    finished.predictions.write_text(text)
    with_digest(finished)
    damage(finished, cells)


def test_folder_instead_of_a_predictions_file(cells, finished):
    finished.predictions.unlink()
    finished.predictions.mkdir()
    damage(finished, cells)


def test_constant_prediction_gives_a_warning(cells):
    one, table = cell(cells), predictions()
    table["valence_predicted"] = 4.0
    finish(cells, one, table)
    state = inspect(one, cells)
    assert state.kind == FINISHED
    assert len(state.warnings) == 1 and "all values of valence_predicted are 4" in state.warnings[0]


@pytest.mark.parametrize("name", ["versions", "auxiliary_head"])
def test_metrics_with_invalid_mappings(cells, finished, name):
    change_metrics(finished, lambda m: m["protocol"].update({name: [1.0]}))
    assert damage(finished, cells) == f"{name} in metrics.json is not a mapping"

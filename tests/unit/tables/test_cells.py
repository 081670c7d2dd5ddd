"""Runs of a table: which cells share a run."""

import json

import pytest

from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.tables.cells import CELL_FILE, HPARAMS_FILE, Cells
from tests.helpers.tables import cell, make_group, make_row, make_table


def test_equal_configurations_share_one_run(cells, tmp_path):
    plain = cell(cells)
    assert plain.folder.parent == tmp_path / "tables" / "runs" / "MSP-Podcast"
    same = [
        cell(cells, make_row("another name")),
        cell(cells, make_row(preset="regions_90")),  # the default under a name
        cell(cells, make_row(options={"batch_size": "16"})),  # as smoke sets it
        cell(cells, name="another_table", caption="Another"),
        cell(cells, block=make_group(name="test2")),  # another set of the same run
        cell(cells, preset="smoke"),
    ]
    assert {other.folder for other in same} == {plain.folder}


@pytest.mark.parametrize(
    "changes",
    [
        {"line": make_row(options={"lr": "0.002"})},
        {"line": make_row(options={"precision": "bf16"})},
        {"line": make_row(preset="mean_pooling")},
        {"line": make_row(options={"number_of_epochs": "3"})},
        {"line": make_row(options={"drop_train": "[other]"})},
        {"line": make_row(options={"release": "1.11"})},
        {"line": make_row(options={"debug": "True"})},
        {"seeds": (2,)},
        {"block": make_group("IEMOCAP", "test")},
        {"block": make_group(batch_size="8")},
    ],
    ids=str,
)
def test_setting_that_affects_the_results_gives_another_run(cells, changes):
    assert cell(cells, **changes).folder.name != cell(cells).folder.name


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": "2"}, {"eval_batch": "8"}, {"device": "cpu"}, {"tensorboard": "True"},
        {"ckpt_interval_steps": "5"}, {"gradient_checkpointing": "True"}, {"check_memory": "False"},
    ],
    ids=str,
)  # fmt: skip
def test_result_neutral_setting_gives_the_same_run(tmp_path, cells, options):
    here = Cells(tmp_path, preset="smoke", overrides=options)
    assert cell(here).folder == cell(cells).folder
    ((key, value),) = options.items()
    assert f"--{key}={value}" in cell(here).command()


def test_data_folder_does_not_change_the_run(tmp_path, cells):
    there = Cells(tmp_path, preset="smoke", data_folders={"MSP-Podcast": "/somewhere"})
    assert cell(there).folder == cell(cells).folder
    assert "--data_folder=/somewhere" in cell(there).command()
    assert not [word for word in cell(cells).command() if word.startswith("--data_folder")]


def test_the_order_of_options_does_not_matter(tmp_path):
    options = {"lr": "0.1", "batch_size": "8", "crop": "random"}
    one, other = (
        Cells(tmp_path, preset="smoke", overrides=dict(items))
        for items in (list(options.items()), list(options.items())[::-1])
    )
    assert cell(one).folder == cell(other).folder
    backwards = [make_row(options=dict(list(options.items())[::step])) for step in (1, -1)]
    assert len({cell(one, row).folder for row in backwards}) == 1


def test_every_fold_and_seed_is_a_run(cells):
    table = make_table(seeds=(4, 2))
    found = cells.of(table, make_row(), make_group("IEMOCAP", "test", folds=3))
    assert list(found) == [(4, 1), (4, 2), (4, 3), (2, 1), (2, 2), (2, 3)]
    assert len({one.folder for one in found.values()}) == 6
    for (seed, fold), one in found.items():
        tree = read_command(one.command(), corpus="IEMOCAP").tree
        assert (tree["seed"], tree["fold"]) == (seed, fold)
        assert (one.seed, one.fold, one.set) == (seed, fold, "test")


def test_corpus_without_folds_has_no_fold_option(cells):
    assert not [word for word in cell(cells).command() if word.startswith("--fold")]


def test_preset_of_the_command_line_comes_between_those_of_table_and_row(tmp_path):
    cells = Cells(tmp_path, preset="demo_small")
    one = cell(cells, make_row(preset="mean_pooling"), preset="published")
    assert one.command()[:2] == [HPARAMS_FILE, "--preset=published+demo_small+mean_pooling"]
    tree = cells.tree(one)
    assert (tree["partition"], tree["synthetic_corpus"]) == ("paper", "small")
    # demo_small's own pooling must not cover what the row of the table is about.
    assert tree["pooling"].tag.value.endswith("MeanPooling")


def test_options_of_the_command_line_take_precedence(tmp_path):
    cells = Cells(tmp_path, preset="smoke", overrides={"lr": "0.3"})
    one = cell(cells, make_row(options={"lr": "0.2", "patience": "2"}), make_group(lr="0.1"))
    tree = cells.tree(one)
    assert (tree["lr"], tree["patience"]) == (0.3, 2)


def test_options_of_a_row_take_precedence_over_those_of_a_block(cells):
    one = cell(cells, make_row(options={"lr": "0.2"}), make_group(lr="0.1"))
    assert cells.tree(one)["lr"] == 0.2


def test_cross_corpus_test_belongs_to_the_same_run(tmp_path):
    folders = {"IEMOCAP": "/iemocap", "MSP-IMPROV": "/improv"}
    cells = Cells(tmp_path, preset="smoke", data_folders=folders)
    row = make_row(corpus="IEMOCAP")
    own = cell(cells, row, make_group(None, "test", tested_on="IEMOCAP", elsewhere="all"))
    other = cell(cells, row, make_group(None, "test", tested_on="MSP-IMPROV", elsewhere="all"))
    assert own.folder == other.folder and own != other
    assert (own.corpus, own.test_corpus, own.set) == ("IEMOCAP", None, "test")
    assert (other.corpus, other.test_corpus, other.set) == (
        "IEMOCAP",
        "MSP-IMPROV",
        "MSP-IMPROV-all",
    )
    assert own.metrics == own.folder / "metrics.json"
    assert other.metrics == own.folder / "metrics_on_MSP-IMPROV.json"
    assert other.predictions == own.folder / "predictions" / "MSP-IMPROV-all.csv"
    tree = cells.tree(other)
    assert (tree["test_corpus"], tree["test_data_folder"]) == ("MSP-IMPROV", "/improv")
    assert tree["data_folder"] == "/iemocap"


def test_command_creates_the_run_of_its_cell(cells):
    one = cell(cells, make_row(options={"lr": "0.2"}))
    request = read_command(one.command(), corpus="MSP-Podcast")
    tree, options = request.tree, request.run_options
    assert tree["output_folder"] == str(one.folder)
    assert tree["results_folder"] == str(cells.results_folder)
    assert (tree["preset"], tree["lr"]) == ("smoke", 0.2)
    assert options["noprogressbar"]


def test_run_preserves_its_initial_preset(cells):
    one, other = cell(cells, make_row(preset="regions_90")), cell(cells)
    assert one.folder == other.folder
    one.folder.mkdir(parents=True)
    (one.folder / CELL_FILE).write_text(json.dumps({"preset": "smoke+regions_90"}))
    assert "--preset=smoke+regions_90" in other.command()


@pytest.mark.parametrize("text", ["nonsense", "[]", "{}"])
def test_invalid_cell_file_is_rejected(cells, text):
    one = cell(cells)
    one.folder.mkdir(parents=True)
    (one.folder / CELL_FILE).write_text(text)
    with pytest.raises(ValueError, match=f'{CELL_FILE} is invalid: it must contain .*"preset": "'):
        one.command()


@pytest.mark.parametrize(
    ("row", "overrides", "said"),
    [
        ("smok", {}, "Unknown preset 'smok'"),
        ("smoke", {"lrr": "1"}, "lrr"),
        ("smoke", {"lr": "fast"}, "lr must be a number"),
        ("smoke", {"four_classes": "True"}, "--four_classes is a setting of IEMOCAP"),
    ],
)
def test_invalid_options_are_rejected(tmp_path, row, overrides, said):
    with pytest.raises(ValueError, match=said):
        cell(Cells(tmp_path, preset=row, overrides=overrides))


def test_reserved_keys_are_rejected_on_the_command_line(tmp_path):
    with pytest.raises(ValueError, match=r"^the command line: seed is set by the table"):
        Cells(tmp_path, overrides={"seed": "3"})

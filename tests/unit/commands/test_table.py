"""``emosphere table``: its words, its errors, what it lists, and its exit status."""

import os
import signal
from types import SimpleNamespace

import pytest

from emosphere_sb.cli import main
from emosphere_sb.commands import table as command
from emosphere_sb.commands.table import data_folders, parse, run
from emosphere_sb.tables import jobs
from emosphere_sb.tables.cells import Cells
from emosphere_sb.tables.spec import read_table
from tests.helpers.tables import finish, make_group, make_row, make_table, predictions

OWN = """
one:
    caption: Made up
    preset: smoke
    seeds: [1, 2]
    groups: [{corpus: MSP-Podcast, set: test1}]
    columns: [valence, mean]
    labels: [model]
    reference: plain
    rows:
        plain: {}
        mean pooling: {preset: mean_pooling}
"""


@pytest.fixture
def words(tmp_path):
    """A table of one's own, and a folder for it."""
    file = tmp_path / "own.yaml"
    file.write_text(OWN, encoding="utf-8")
    return ["one", f"--tables={file}", f"--results_folder={tmp_path}/results", "--resamples=99"]


@pytest.fixture
def _no_runs(monkeypatch):
    """Neither data are read nor runs started."""

    def refuse(*_, **__):
        raise AssertionError("this must not be called")

    monkeypatch.setattr(jobs, "prepare_corpus", refuse)
    monkeypatch.setattr(jobs, "run_jobs", refuse)


def finish_all(tmp_path, but=()):
    """Finish the runs of the table, but those of (row, seed)."""
    table = read_table("one", tmp_path / "own.yaml")
    cells = Cells(tmp_path / "results")
    for row, group in table.pairs():
        for (seed, _), cell in cells.of(table, row, group).items():
            if (row.name, seed) not in but:
                finish(cells, cell, predictions(0.5 if row.name == "plain" else 0.9, seed=seed))


# --- words -----------------------------------------------------------------------------------


def given(options):
    """The options that differ from their default."""
    default = vars(parse(["a"])[0])
    return {key: value for key, value in vars(options).items() if value != default[key]}


def test_names_options_and_what_goes_to_every_run():
    words = ["pooling", "--jobs", "3", "ablation", "--lr=0.1", "--list", "--device", "cpu"]
    options, overrides = parse([*words, "--rerun-damaged"])
    names = ["pooling", "ablation"]
    assert given(options) == {"names": names, "jobs": 3, "list": True, "rerun_damaged": True}
    assert overrides == {"lr": "0.1", "device": "cpu"}


@pytest.mark.parametrize("word", ["--rerun-damaged", "--rerun_damaged"])
def test_damaged_runs_are_run_again_in_either_spelling(word):
    options, overrides = parse(["a", word])
    assert options.rerun_damaged is True and overrides == {}


def test_a_value_may_hold_equals_signs_minus_signs_and_blanks():
    words = ["--data_folder=/a=b", "--max_grad_norm=-1", "--slurm={a: 1}", "--drop_train=a, b"]
    options, overrides = parse(["a", *words, "--region_angle", "-2"])
    assert given(options) == {"data_folder": "/a=b", "slurm": "{a: 1}"}
    assert overrides == {"max_grad_norm": "-1", "drop_train": "a, b", "region_angle": "-2"}


def test_options_are_not_abbreviated():
    """What looks like the beginning of an option is a key, which is checked with the others."""
    options, overrides = parse(["a", "--job=3"])
    assert options.jobs is None and overrides == {"job": "3"}


def test_a_table_named_twice_is_made_once():
    assert parse(["a", "b", "a"])[0].names == ["a", "b"]


def test_a_corpus_is_named_in_any_case():
    options, overrides = parse(["a", "--iemocap=/i", "--Msp-improv", "/m"])
    assert options.corpus_folders == {"IEMOCAP": "/i", "MSP-IMPROV": "/m"}
    assert overrides == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--jobs=2"], "Name a table: paper_table_1,"),
        (["a", "--list=yes"], "--list takes no value; found 'yes'"),
        (["a", "--list="], "--list takes no value; found ''"),
        (["a", "--lr"], "--lr needs a value: --lr=VALUE."),
        (["a", "--lr="], "--lr needs a value"),
        (["a", "--data_folder="], "--data_folder needs a value"),
        (["a", "--lr", "--list"], "--lr needs a value: --lr=VALUE."),
        (["a", "--lr=1", "--lr=2"], "--lr was given more than once."),
        (["a", "--jobs=1", "--jobs", "2"], "--jobs was given more than once."),
        (["a", "--iemocap=/i", "--IEMOCAP=/j"], "--IEMOCAP was given more than once."),
        (["a", "--list", "--list"], "--list was given more than once."),
        (["a", "--rerun-damaged", "--rerun_damaged"], "--rerun_damaged was given more than once."),
        (["a", "--mend"], "--mend is called --rerun-damaged now."),
        (["a", "-l"], "unrecognized arguments: -l."),
    ],
)
def test_words_that_are_no_command(words, said):
    with pytest.raises(ValueError) as error:
        parse(words)
    assert str(error.value).startswith(said)


def tables_of(*corpora):
    groups = tuple(make_group(corpus, "test") for corpus in corpora)
    return [make_table(groups=groups, rows=(make_row(),))]


def test_the_folder_of_the_one_corpus():
    assert data_folders(tables_of("IEMOCAP"), {}, "/i") == {"IEMOCAP": "/i"}
    assert data_folders(tables_of("IEMOCAP"), {"IEMOCAP": "/i"}) == {"IEMOCAP": "/i"}
    assert data_folders(tables_of("IEMOCAP"), {}) == {}


def test_folders_of_several_corpora():
    folders = {"IEMOCAP": "/i", "MSP-IMPROV": "/m"}
    assert data_folders(tables_of("IEMOCAP", "MSP-IMPROV"), folders) == folders


@pytest.mark.parametrize(
    ("corpora", "folders", "said"),
    [
        (("IEMOCAP", "MSP-IMPROV"), ({}, "/i"), "say --IEMOCAP=PATH --MSP-IMPROV=PATH"),
        (("IEMOCAP",), ({"IEMOCAP": "/j"}, "/i"), "is for a table of one corpus"),
        (("IEMOCAP",), ({"MSP-IMPROV": "/m"},), "--MSP-IMPROV: the tables read IEMOCAP alone"),
    ],
)  # fmt: skip
def test_folders_that_fit_no_table(corpora, folders, said):
    with pytest.raises(ValueError, match=said):
        data_folders(tables_of(*corpora), *folders)


# --- the command -----------------------------------------------------------------------------


@pytest.mark.parametrize("help_word", [[], ["--help"], ["paper_table_1", "-h"]])
def test_the_help_names_every_table(help_word, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["table", *help_word]) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: emosphere table NAME")
    assert "paper_table_1, paper_table_2, paper_table_3, ablation" in text
    assert len(command.parser().options) > 15
    for name in command.parser().options:
        assert name in text
    assert "{timeout_min: 600," in text  # braces as they are to be typed


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["two"], "Unknown table 'two'"),
        (["--seeds=1,1"], "--seeds: each seed must stand once; found 1, 1"),
        (["--seeds=a"], "--seeds: seeds must be whole numbers from 0; found a"),
        (["--launcher=pbs"], "--launcher: invalid choice: 'pbs'"),
        (["--jobs=0"], "--jobs must be a whole number from 1; found '0'"),
        (["--jobs=two"], "--jobs must be a whole number from 1; found 'two'"),
        (["--launcher=slurm", "--slurm=3"], "--slurm must be a mapping"),
        (["--launcher=slurm", "--slurm={a: ["], "--slurm must be a mapping"),
        (["--IEMOCAP=/i"], "--IEMOCAP: the tables read MSP-Podcast alone"),
        (["--seed=3"], "the command line: seed is set by the table itself"),
        (["--rwo=smoke"], "Unknown"),
    ],
)
@pytest.mark.usefixtures("_no_runs")
def test_errors_come_before_anything_is_made(words, more, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        run([*words, *more])
    assert not (tmp_path / "results").exists()


def test_too_few_resamples_are_refused_before_the_runs(words, tmp_path):
    with pytest.raises(ValueError, match="at least 19 resamples; found 18"):
        run([*words[:3], "--resamples=18"])
    assert not (tmp_path / "results").exists()


def test_a_file_of_tables_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match=r"none\.yaml"):
        run(["one", f"--tables={tmp_path}/none.yaml"])


@pytest.mark.usefixtures("_no_runs")
def test_only_collect_writes_the_table_of_what_is_there(words, tmp_path, capsys):
    finish_all(tmp_path, but=[("mean pooling", 2)])
    assert run([*words, "--only_collect"]) == 1
    captured = capsys.readouterr()
    assert "[a] seed 2: not begun" in captured.out
    assert "Marked runs: 1" in captured.err
    assert str(tmp_path / "results" / "tables" / "one.md") in captured.out
    assert (tmp_path / "results" / "tables" / "one.html").is_file()


@pytest.mark.usefixtures("_no_runs")
def test_a_whole_table_ends_with_0(words, tmp_path, capsys):
    finish_all(tmp_path)
    assert run([*words, "--only_collect"]) == 0
    captured = capsys.readouterr()
    assert "[a]" not in captured.out and captured.err == ""
    assert "| plain | **." in captured.out


@pytest.mark.usefixtures("_no_runs")
def test_seeds_of_the_command_line_stand_in_place_of_the_table_s(words, tmp_path, capsys):
    finish_all(tmp_path, but=[("mean pooling", 2)])
    assert run([*words, "--only_collect", "--seeds=1"]) == 0
    assert "over seeds 1;" in capsys.readouterr().out


def test_the_list_names_every_run_and_starts_none(words, tmp_path, capsys, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a run was started")

    monkeypatch.setattr(jobs, "run_jobs", refuse)
    finish_all(tmp_path, but=[("mean pooling", 2)])
    assert run([*words, "--list", "--only_collect"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [state for state, _ in lines] == ["finished", "finished", "finished", "not begun"]
    assert all(c.startswith("python recipes/MSP-Podcast/train.py hparams/") for _, c in lines)
    assert "--preset=smoke+mean_pooling" in lines[3][1] and "--seed=2" in lines[3][1]
    assert not (tmp_path / "results" / "tables" / "one.md").exists()


def test_sigterm_ends_it_as_a_run_is_ended(words, monkeypatch, capsys):
    def make(*_):
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal was not seen")

    monkeypatch.setattr(command, "_make", make)
    before = signal.getsignal(signal.SIGTERM)
    assert run(words) == 75
    assert capsys.readouterr().err == "Stopped. The same command goes on from here.\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_option_of_runs_need_not_suit_the_demo_corpora_of_others(tmp_path, monkeypatch):
    """A block's options may be what gives an option of the command line its effect."""
    made = []
    monkeypatch.setattr(
        "emosphere_sb.recipe.workspace.find_corpus",
        lambda settings, corpus: made.append((corpus, settings["synthetic_corpus"])) or tmp_path,
    )
    table = SimpleNamespace(
        preset="smoke",
        pairs=lambda: [
            (SimpleNamespace(corpus="MSP-Podcast"), SimpleNamespace(tested_on="IEMOCAP"))
        ],
    )
    overrides = {"partition_per_class": "2", "synthetic_corpus": "small"}
    folders = command._with_demo([table], {}, "", tmp_path, overrides)
    assert folders == {"IEMOCAP": str(tmp_path)} and made == [("IEMOCAP", "small")]

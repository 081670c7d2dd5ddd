"""``emosphere table``: arguments, errors, output and exit status."""

import os
import signal
import time
from types import SimpleNamespace

import pytest

from emosphere_sb.cli import main
from emosphere_sb.commands import table as command
from emosphere_sb.commands.table import data_folders, parse_table_arguments, run
from emosphere_sb.tables import jobs
from emosphere_sb.tables.cells import Cells
from emosphere_sb.tables.spec import read_table_spec
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
    """Arguments that select a custom table and a results folder."""
    file = tmp_path / "own.yaml"
    file.write_text(OWN, encoding="utf-8")
    return ["one", f"--tables={file}", f"--results_folder={tmp_path}/results", "--resamples=99"]


@pytest.fixture
def _no_runs(monkeypatch):
    """Raise an error if data are read or runs are started."""

    def unexpected(*_, **__):
        raise AssertionError("this must not be called")

    monkeypatch.setattr(jobs, "prepare_corpus", unexpected)
    monkeypatch.setattr(jobs, "run_jobs", unexpected)


def finish_all(tmp_path, but=()):
    """Write the files of all finished runs of the table, except for the given (row, seed)."""
    table = read_table_spec("one", tmp_path / "own.yaml")
    cells = Cells(tmp_path / "results")
    for row, group in table.pairs():
        for (seed, _), cell in cells.of(table, row, group).items():
            if (row.name, seed) not in but:
                finish(cells, cell, predictions(0.5 if row.name == "plain" else 0.9, seed=seed))


# --- arguments -------------------------------------------------------------------------------


def given(options):
    """Return the options that differ from their defaults."""
    default = vars(parse_table_arguments(["a"])[0])
    return {key: value for key, value in vars(options).items() if value != default[key]}


def test_table_names_options_and_overrides():
    words = ["pooling", "--jobs", "3", "ablation", "--lr=0.1", "--list", "--device", "cpu"]
    options, overrides = parse_table_arguments([*words, "--rerun-damaged"])
    names = ["pooling", "ablation"]
    assert given(options) == {"names": names, "jobs": 3, "list": True, "rerun_damaged": True}
    assert overrides == {"lr": "0.1", "device": "cpu"}


@pytest.mark.parametrize("word", ["--rerun-damaged", "--rerun_damaged"])
def test_rerun_damaged_in_both_spellings(word):
    options, overrides = parse_table_arguments(["a", word])
    assert options.rerun_damaged is True and overrides == {}


def test_value_may_contain_equals_signs_minus_signs_and_spaces():
    words = ["--data_folder=/a=b", "--max_grad_norm=-1", "--slurm={a: 1}", "--drop_train=a, b"]
    options, overrides = parse_table_arguments(["a", *words, "--region_angle", "-2"])
    assert given(options) == {"data_folder": "/a=b", "slurm": "{a: 1}"}
    assert overrides == {"max_grad_norm": "-1", "drop_train": "a, b", "region_angle": "-2"}


def test_options_are_not_abbreviated():
    """A prefix of an option is treated as a key."""
    options, overrides = parse_table_arguments(["a", "--job=3"])
    assert options.jobs is None and overrides == {"job": "3"}


def test_repeated_table_names_are_ignored():
    assert parse_table_arguments(["a", "b", "a"])[0].names == ["a", "b"]


def test_corpus_option_ignores_case():
    options, overrides = parse_table_arguments(["a", "--iemocap=/i", "--Msp-improv", "/m"])
    assert options.corpus_folders == {"IEMOCAP": "/i", "MSP-IMPROV": "/m"}
    assert overrides == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--jobs=2"], "The name of a table is required: paper_table_1,"),
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
        (["a", "--mend"], "--mend was renamed to --rerun-damaged."),
        (["a", "-l"], "unrecognized arguments: -l."),
    ],
)
def test_invalid_arguments(words, message):
    with pytest.raises(ValueError) as error:
        parse_table_arguments(words)
    assert str(error.value).startswith(message)


def tables_of(*corpora):
    groups = tuple(make_group(corpus, "test") for corpus in corpora)
    return [make_table(groups=groups, rows=(make_row(),))]


def test_folder_of_a_single_corpus():
    assert data_folders(tables_of("IEMOCAP"), {}, "/i") == {"IEMOCAP": "/i"}
    assert data_folders(tables_of("IEMOCAP"), {"IEMOCAP": "/i"}) == {"IEMOCAP": "/i"}
    assert data_folders(tables_of("IEMOCAP"), {}) == {}


def test_folders_of_several_corpora():
    folders = {"IEMOCAP": "/i", "MSP-IMPROV": "/m"}
    assert data_folders(tables_of("IEMOCAP", "MSP-IMPROV"), folders) == folders


@pytest.mark.parametrize(
    ("corpora", "folders", "message"),
    [
        (("IEMOCAP", "MSP-IMPROV"), ({}, "/i"), "Use --IEMOCAP=PATH --MSP-IMPROV=PATH"),
        (("IEMOCAP",), ({"IEMOCAP": "/j"}, "/i"), "can only be used with a single corpus"),
        (("IEMOCAP",), ({"MSP-IMPROV": "/m"},), "--MSP-IMPROV is not used: .* only IEMOCAP"),
    ],
)  # fmt: skip
def test_folders_that_do_not_match_the_tables(corpora, folders, message):
    with pytest.raises(ValueError, match=message):
        data_folders(tables_of(*corpora), *folders)


# --- the command -----------------------------------------------------------------------------


@pytest.mark.parametrize("help_word", [[], ["--help"], ["paper_table_1", "-h"]])
def test_help_lists_tables_and_options(help_word, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["table", *help_word]) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: emosphere table NAME")
    assert "paper_table_1, paper_table_2, paper_table_3, ablation" in text
    assert len(command.build_table_parser().options) > 15
    for name in command.build_table_parser().options:
        assert name in text
    assert "{timeout_min: 600," in text  # braces are not doubled


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["two"], "Unknown table 'two'"),
        (["--seeds=1,1"], "--seeds: seeds must be distinct; found 1, 1"),
        (["--seeds=a"], "--seeds: seeds must be integers >= 0; found a"),
        (["--launcher=pbs"], "--launcher: invalid choice: 'pbs'"),
        (["--jobs=0"], "--jobs must be an integer >= 1; found '0'"),
        (["--jobs=two"], "--jobs must be an integer >= 1; found 'two'"),
        (["--launcher=slurm", "--slurm=3"], "--slurm must be a mapping"),
        (["--launcher=slurm", "--slurm={a: ["], "--slurm must be a mapping"),
        (["--IEMOCAP=/i"], "--IEMOCAP is not used: the tables use only MSP-Podcast"),
        (["--seed=3"], "the command line: seed is set by the table"),
        (["--rwo=smoke"], "Unknown"),
    ],
)
@pytest.mark.usefixtures("_no_runs")
def test_invalid_arguments_are_rejected_before_anything_is_written(words, more, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run([*words, *more])
    assert not (tmp_path / "results").exists()


def test_too_few_resamples_are_rejected_before_the_runs(words, tmp_path):
    with pytest.raises(ValueError, match="at least 19 resamples; found 18"):
        run([*words[:3], "--resamples=18"])
    assert not (tmp_path / "results").exists()


def test_missing_tables_file(tmp_path):
    with pytest.raises(OSError, match=r"none\.yaml"):
        run(["one", f"--tables={tmp_path}/none.yaml"])


@pytest.mark.usefixtures("_no_runs")
def test_only_collect_writes_an_incomplete_table(words, tmp_path, capsys):
    finish_all(tmp_path, but=[("mean pooling", 2)])
    assert run([*words, "--only_collect"]) == 1
    captured = capsys.readouterr()
    assert "[a] seed 2: not started" in captured.out
    assert "Runs without results: 1" in captured.err
    assert str(tmp_path / "results" / "tables" / "one.md") in captured.out
    assert (tmp_path / "results" / "tables" / "one.html").is_file()


@pytest.mark.usefixtures("_no_runs")
def test_exit_status_of_a_complete_table_is_0(words, tmp_path, capsys):
    finish_all(tmp_path)
    assert run([*words, "--only_collect"]) == 0
    captured = capsys.readouterr()
    assert "[a]" not in captured.out and captured.err == ""
    assert "| plain | **." in captured.out


@pytest.mark.usefixtures("_no_runs")
def test_seeds_of_the_command_line_replace_those_of_the_table(words, tmp_path, capsys):
    finish_all(tmp_path, but=[("mean pooling", 2)])
    assert run([*words, "--only_collect", "--seeds=1"]) == 0
    assert "over seeds 1;" in capsys.readouterr().out


def test_list_shows_all_runs_and_starts_none(words, tmp_path, capsys, monkeypatch):
    def unexpected(*_, **__):
        raise AssertionError("a run was started")

    monkeypatch.setattr(jobs, "run_jobs", unexpected)
    finish_all(tmp_path, but=[("mean pooling", 2)])
    assert run([*words, "--list", "--only_collect"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [state for state, _ in lines] == ["finished", "finished", "finished", "not started"]
    assert all(c.startswith("python recipes/MSP-Podcast/train.py hparams/") for _, c in lines)
    assert "--preset=smoke+mean_pooling" in lines[3][1] and "--seed=2" in lines[3][1]
    assert not (tmp_path / "results" / "tables" / "one.md").exists()


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_signal_has_the_exit_status_of_an_interrupted_run(
    number, status, words, monkeypatch, capsys
):
    def run_and_write(*_):
        os.kill(os.getpid(), number)
        time.sleep(5)
        raise AssertionError("the signal was not seen")

    monkeypatch.setattr(command, "_run_and_write", run_and_write)
    before = signal.getsignal(signal.SIGTERM)
    assert run(words) == status
    assert capsys.readouterr().err == "Interrupted. Re-run the same command to resume.\n"
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
    folders = command._with_demo_corpora([table], {}, "", tmp_path, overrides)
    assert folders == {"IEMOCAP": str(tmp_path)} and made == [("IEMOCAP", "small")]

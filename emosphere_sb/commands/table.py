"""``emosphere table NAME``: run what is missing, then write the table."""

from __future__ import annotations

import argparse
import logging
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from emosphere_sb.commands.arguments import CommandParser, nonempty, positive_int
from emosphere_sb.recipe.corpora import CORPORA
from emosphere_sb.tables.spec import FILE, Table, read_seeds, read_table, table_names, trained_on

logger = logging.getLogger(__name__)

DESCRIPTION = """\
Runs what is missing of a table's runs, leaves what is finished, goes on with what was interrupted,
and writes RESULTS_FOLDER/tables/NAME.md, .tex, .csv (all runs), .summary.csv, .html, .png, .pdf.
"""
EPILOG = """\
Every other --key=value is a key of emosphere.yaml or a run option, for every run.

On a Slurm cluster (needs the extra slurm), with submitit's parameters:
  --launcher=slurm --slurm="{timeout_min: 600, gpus_per_node: 1, slurm_partition: gpu}"

Exit status: 0; 1 where runs failed or cells are marked; 2 where the command or the data are at
fault; 75 where it was told to stop (the same command goes on).
"""

LAUNCHERS = ("local", "slurm")
RENAMED = {"--mend": "--rerun-damaged"}
"""Options of earlier versions."""
LEVEL = 0.95
"""Of the intervals."""


def run(words: Sequence[str]) -> int:
    """The command.

    Arguments
    ---------
    words : sequence of str
        Behind ``emosphere table``.

    Returns
    -------
    int
        Exit status, see the usage.

    Raises
    ------
    ValueError, OSError
        If the command line, a table or the data are at fault.
    """
    if not words:
        parser().print_help()
        return 0
    options, overrides = parse(words)
    tables = [read_table(name, Path(options.tables)) for name in options.names]
    if options.seeds is not None:
        seeds = read_seeds(options.seeds.split(","), "--seeds")
        tables = [_with_seeds(table, seeds) for table in tables]
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        return _make(tables, options, overrides, words)
    except KeyboardInterrupt:
        from emosphere_sb.training.preemption import STOPPED

        print("Stopped. The same command goes on from here.", file=sys.stderr)
        return STOPPED
    finally:
        signal.signal(signal.SIGTERM, before)


def parser() -> CommandParser:
    """The command's own options."""
    made = CommandParser(
        "table", DESCRIPTION, epilog=EPILOG, allow_repeated=False,
        usage="%(prog)s NAME [NAME …] [--data_folder=PATH] [--key=value …]",
    )  # fmt: skip
    add = made.add_argument
    add("names", nargs="*", metavar="NAME", help=", ".join(table_names()))
    add(
        "--data_folder", type=nonempty, metavar="PATH", help="the corpus, of a table that reads one"
    )
    add("--results_folder", type=nonempty, default="results", metavar="DIR",
        help="where runs and tables lie (default results)")  # fmt: skip
    add("--preset", type=nonempty, metavar="NAME[+NAME]",
        help="presets for every run, behind the table's own; demo_small needs no data")  # fmt: skip
    add("--seeds", type=nonempty, metavar="1,2,3", help="in place of the table's")
    add("--jobs", type=positive_int, metavar="N",
        help="runs at a time on this machine (default: one a GPU; without GPUs 1)")  # fmt: skip
    add("--launcher", choices=LAUNCHERS, default="local", help="where runs start (default local)")
    add("--slurm", type=nonempty, metavar="MAPPING", help="parameters of Slurm jobs")
    add("--only_collect", action="store_true", help="run nothing: write the table of what is there")
    add("--rerun-damaged", "--rerun_damaged", action="store_true",
        help="also run again what is damaged (predictions that are gone or changed)")  # fmt: skip
    add("--tables", type=nonempty, default=FILE, metavar="FILE",
        help="another file than hparams/tables.yaml")  # fmt: skip
    add("--resamples", type=positive_int, default=10_000, metavar="N",
        help="of the bootstrap (default 10000)")  # fmt: skip
    add("--list", action="store_true",
        help="how each run stands: corpora are prepared, nothing is trained")  # fmt: skip
    group = made.add_argument_group("corpora of a table that reads several")
    for corpus in CORPORA:
        group.add_argument(f"--{corpus}", dest=corpus, type=nonempty, metavar="PATH")
    return made


def parse(words: Sequence[str]) -> tuple[argparse.Namespace, dict[str, str]]:
    """This command's options, and what goes to every run.

    Returns
    -------
    options : argparse.Namespace
        With ``corpus_folders``, the folders of corpora that are named by an option of their own.
    overrides : dict of str to str
        Every option that is not this command's own: a key of ``emosphere.yaml`` or a run option.

    Raises
    ------
    ValueError
        If no table is named, an option is given twice or has no value, or a flag has one.

    Example
    -------
    >>> options, overrides = parse(["ablation", "--jobs=2", "--lr=0.1", "--list"])
    >>> options.names, options.jobs, options.list, overrides
    (['ablation'], 2, True, {'lr': '0.1'})
    """
    words = [_with_corpus_name(word) for word in words]
    made = parser()
    given = dict.fromkeys(word.partition("=")[0] for word in words if word.startswith("--"))
    for old, new in RENAMED.items():
        if old in given:
            made.error(f"{old} is called {new} now")
    others = [name for name in given if name not in made.options and name != "--"]
    for name in others:
        made.add_argument(name, dest=name, type=nonempty)
    found = vars(made.parse_intermixed_args(words))
    overrides = {name.removeprefix("--"): found.pop(name) for name in others}
    folders = {corpus: found.pop(corpus) for corpus in CORPORA}
    if not found["names"]:
        raise ValueError(f"Name a table: {', '.join(table_names())}.")
    found["names"] = list(dict.fromkeys(found["names"]))
    found["corpus_folders"] = {corpus: path for corpus, path in folders.items() if path}
    return argparse.Namespace(**found), overrides


def _with_corpus_name(word: str) -> str:
    """``--iemocap=PATH`` as ``--IEMOCAP=PATH``; any other word as it is."""
    name, equals, value = word.partition("=")
    for corpus in CORPORA:
        if name.casefold() == f"--{corpus}".casefold():
            return f"--{corpus}{equals}{value}"
    return word


def data_folders(
    tables: Sequence[Table], corpus_folders: Mapping[str, str], data_folder: str | None = None
) -> dict[str, str]:
    """Where each corpus lies that the tables read.

    Arguments
    ---------
    tables : sequence of Table
        What is made.
    corpus_folders : mapping of str to str
        By the name of the corpus, from ``--CORPUS=PATH``.
    data_folder : str, optional
        From ``--data_folder``.

    Raises
    ------
    ValueError
        If ``--data_folder`` is given and there are several corpora, or a folder of a corpus that no
        table reads.
    """
    needed = list(dict.fromkeys(name for table in tables for name in table.corpora()))
    for name in corpus_folders:
        if name not in needed:
            raise ValueError(f"--{name}: the tables read {', '.join(needed)} alone; leave it out.")
    if data_folder is None:
        return dict(corpus_folders)
    if len(needed) > 1 or corpus_folders:
        raise ValueError(
            f"--data_folder is for a table of one corpus; these read {', '.join(needed)}: say "
            f"{' '.join(f'--{name}=PATH' for name in needed)}."
        )
    return {needed[0]: data_folder}


def _make(
    tables: Sequence[Table], options: argparse.Namespace, overrides: Mapping, words: Sequence[str]
) -> int:
    """Run, collect, write."""
    from emosphere_sb.report.stats.bootstrap import check_settings
    from emosphere_sb.tables.cells import Cells
    from emosphere_sb.tables.collect import collect
    from emosphere_sb.tables.jobs import Preparations, inspect_all, jobs_of, marks, run_jobs
    from emosphere_sb.tables.status import FINISHED
    from emosphere_sb.tables.write import write_table

    check_settings(options.resamples, LEVEL)  # not after days of runs
    results, preset = Path(options.results_folder), options.preset or ""
    folders = data_folders(tables, options.corpus_folders, options.data_folder)
    collecting = options.only_collect
    launcher = _launcher(options, results)  # refused before anything is made
    if not collecting:
        folders = _with_demo(tables, folders, preset, results, overrides)
    cells = Cells(results, data_folders=folders, preset=preset, overrides=overrides)
    wanted = list(
        dict.fromkeys(
            cell
            for table in tables
            for pair in table.pairs()
            for cell in cells.of(table, *pair).values()
        )
    )
    preparations = None if collecting else Preparations(cells)
    states = inspect_all(wanted, cells, preparations)
    if options.list:
        _list(states)
        return 0
    jobs = [] if collecting else jobs_of(states, rerun_damaged=options.rerun_damaged)
    folders_of = {cell.folder for cell in wanted}
    logger.info(
        "%d runs for %s: %d finished, %d to run", len(folders_of),
        ", ".join(table.name for table in tables),
        len({c.folder for c, s in states.items() if s.kind == FINISHED}), len(jobs),
    )  # fmt: skip
    failed = {}
    if jobs:
        failed = run_jobs(jobs, states, cells, launcher)
        touched = {job.folder for job in jobs}
        again = [cell for cell in wanted if cell.folder in touched]
        states |= inspect_all(again, cells, preparations)
    wrong = marks(states, failed)
    command, origin = shlex.join(["emosphere", "table", *words]), _origin()
    marked = 0
    for table in tables:
        found = collect(table, cells, states, wrong, resamples=options.resamples)
        paths = write_table(found, results / "tables", command=command, origin=origin)
        print(f"\n{paths[0].read_text(encoding='utf-8')}")
        print("Written: " + " ".join(map(str, paths)))
        marked += found.marked()
    if marked:
        hint = "" if collecting else " Damaged ones are run again with --rerun-damaged."
        print(f"Marked runs: {marked}. See the notes below.{hint}", file=sys.stderr)
    return 1 if marked else 0


def _with_demo(tables, folders, preset, results, overrides) -> dict[str, str]:
    """Folders of demo corpora that others are tested on: a run makes only the one it trains on."""
    pairs = [pair for table in tables for pair in table.pairs()]
    tested = {g.tested_on for row, g in pairs if trained_on(row, g) != g.tested_on}
    lacking = sorted(tested - folders.keys())
    if not lacking:
        return folders
    from emosphere_sb.fileio.yaml_tree import scalars
    from emosphere_sb.recipe.command_line import read_command
    from emosphere_sb.recipe.workspace import find_corpus
    from emosphere_sb.tables.cells import FILE as HPARAMS

    names = dict.fromkeys(part for part in (*(t.preset for t in tables), preset) if part)
    presets = [f"--preset={'+'.join(names)}"] if names else []
    words = [HPARAMS, *presets, f"--results_folder={results}"]
    # The others are for the runs: what they have an effect on, rows and groups say.
    words += [f"--{key}={value}" for key, value in overrides.items() if key == "synthetic_corpus"]
    made = {c: str(find_corpus(scalars(read_command(words, corpus=c).tree), c)) for c in lacking}
    return {**folders, **made}


def _launcher(options: argparse.Namespace, results: Path):
    from emosphere_sb.tables.launcher import LocalLauncher, SlurmLauncher, visible_gpus

    if options.launcher == "slurm":
        return SlurmLauncher(results / "tables" / "slurm", _parameters(options.slurm or ""))
    gpus = visible_gpus()
    return LocalLauncher(options.jobs or max(1, len(gpus)), gpus)


def _parameters(text: str) -> dict:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        found = YAML(typ="safe").load(text) if text else {}
    except YAMLError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(
            f"--slurm must be a mapping such as '{{timeout_min: 600, gpus_per_node: 1}}'; found "
            f"{text!r}."
        )
    return found


def _with_seeds(table: Table, seeds: tuple[int, ...]) -> Table:
    from dataclasses import replace

    return replace(table, seeds=seeds)


def _list(states) -> None:
    """One line a run: how it stands, and the command that makes it."""
    from emosphere_sb.results.provenance import recipe_command

    for cell, state in states.items():
        reason = f" ({state.reason})" if state.reason else ""
        print(f"{state.kind}{reason}\t{recipe_command(cell.corpus, cell.command())}")


def _origin() -> str:
    from emosphere_sb.results.metrics_json import machine, versions
    from emosphere_sb.results.provenance import commit

    kept = ("emosphere_sb", "python", "torch", "speechbrain", "transformers")
    found = versions()
    text = ", ".join(f"{name} {found[name]}" for name in kept)
    code = commit() or "unknown"
    return f"commit {code[:12]}{code[40:]}; {text}; {machine()}"


def _stop(_number, _frame) -> None:
    raise KeyboardInterrupt

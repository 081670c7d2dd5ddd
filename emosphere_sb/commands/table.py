"""``emosphere table NAME``: run the missing experiments of a table and write it."""

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
from emosphere_sb.tables.spec import (
    TABLES_FILE,
    Table,
    cell_training_corpus,
    read_seeds,
    read_table_spec,
    table_names,
)

logger = logging.getLogger(__name__)

DESCRIPTION = """\
Run all missing experiments for a table, resume interrupted ones and skip finished ones. The table
is written to RESULTS_FOLDER/tables/ as NAME.md, .tex, .html, .png, .pdf, .csv (one line per run)
and .summary.csv (one line per row and column).
"""
EPILOG = """\
Any other --key=value is a key of emosphere.yaml or a run option, and applies to all runs.

On a Slurm cluster (requires the "slurm" extra), using submitit parameters:
  --launcher=slurm --slurm="{timeout_min: 600, gpus_per_node: 1, slurm_partition: gpu}"

Exit status: 0 if the table is complete; 1 if runs failed or cells are incomplete; 2 if the command
line or the data are invalid; 75 after SIGTERM and 130 after Ctrl-C (re-run the same command to
resume).
"""

LAUNCHERS = ("local", "slurm")
RENAMED = {"--mend": "--rerun-damaged"}
"""Option names of earlier versions, mapped to their new names."""
CONFIDENCE = 0.95
"""Confidence level of the intervals."""


def run(argv: Sequence[str]) -> int:
    """Run ``emosphere table``.

    Arguments
    ---------
    argv : sequence of str
        Arguments after ``emosphere table``.

    Returns
    -------
    int
        Exit status, see the help text.

    Raises
    ------
    ValueError, OSError
        If the command line, a table or the data are invalid.
    """
    if not argv:
        build_table_parser().print_help()
        return 0
    options, overrides = parse_table_arguments(argv)
    tables = [read_table_spec(name, Path(options.tables)) for name in options.names]
    if options.seeds is not None:
        seeds = read_seeds(options.seeds.split(","), "--seeds")
        tables = [_with_seeds(table, seeds) for table in tables]
    previous_handler = signal.signal(signal.SIGTERM, _terminate)
    try:
        return _run_and_write(tables, options, overrides, argv)
    except KeyboardInterrupt as interrupt:
        from emosphere_sb.training.preemption import EXIT_INTERRUPTED, EXIT_STOPPED

        print("Interrupted. Re-run the same command to resume.", file=sys.stderr)
        return EXIT_STOPPED if isinstance(interrupt, _TerminatedError) else EXIT_INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, previous_handler)


def build_table_parser() -> CommandParser:
    """Build the argument parser of ``emosphere table``."""
    parser = CommandParser(
        "table", DESCRIPTION, epilog=EPILOG, allow_repeated=False,
        usage="%(prog)s NAME [NAME …] [--data_folder=PATH] [--key=value …]",
    )  # fmt: skip
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help=", ".join(table_names()))
    add("--data_folder", type=nonempty, metavar="PATH",
        help="folder of the corpus, for tables with a single corpus")  # fmt: skip
    add("--results_folder", type=nonempty, default="results", metavar="DIR",
        help="folder for runs and tables (default: results)")  # fmt: skip
    add("--preset", type=nonempty, metavar="NAME[+NAME]",
        help="presets to apply to all runs, after those of the table; the demo_small preset "
        "requires no data")  # fmt: skip
    add("--seeds", type=nonempty, metavar="1,2,3", help="seeds to use instead of the table's")
    add("--jobs", type=positive_int, metavar="N",
        help="number of parallel runs on this machine (default: number of GPUs, or 1)")  # fmt: skip
    add("--launcher", choices=LAUNCHERS, default="local", help="where to run (default: local)")
    add("--slurm", type=nonempty, metavar="MAPPING", help="submitit parameters of the Slurm jobs")
    add("--only_collect", action="store_true",
        help="write the table from finished runs without starting new ones")  # fmt: skip
    add("--rerun-damaged", "--rerun_damaged", action="store_true",
        help="also rerun runs whose predictions are missing or have been modified")  # fmt: skip
    add("--tables", type=nonempty, default=TABLES_FILE, metavar="FILE",
        help="file with table definitions (default: hparams/tables.yaml)")  # fmt: skip
    add("--resamples", type=positive_int, default=10_000, metavar="N",
        help="number of bootstrap resamples (default: 10000)")  # fmt: skip
    add("--list", action="store_true",
        help="list all runs with status and command; corpora are prepared if needed")  # fmt: skip
    group = parser.add_argument_group("corpus folders, for tables with several corpora")
    for corpus in CORPORA:
        group.add_argument(f"--{corpus}", dest=corpus, type=nonempty, metavar="PATH")
    return parser


def parse_table_arguments(argv: Sequence[str]) -> tuple[argparse.Namespace, dict[str, str]]:
    """Split the command line into options of this command and overrides for all runs.

    Returns
    -------
    options : argparse.Namespace
        Options of the command. ``corpus_folders`` contains the folders given as ``--CORPUS=PATH``.
    overrides : dict of str to str
        All other options: keys of ``emosphere.yaml`` and run options.

    Raises
    ------
    ValueError
        If no table is given, an option is repeated or has no value, or a flag has a value.

    Example
    -------
    >>> options, overrides = parse_table_arguments(["ablation", "--jobs=2", "--lr=0.1", "--list"])
    >>> options.names, options.jobs, options.list, overrides
    (['ablation'], 2, True, {'lr': '0.1'})
    """
    argv = [_with_corpus_name(argument) for argument in argv]
    parser = build_table_parser()
    given = dict.fromkeys(
        argument.partition("=")[0] for argument in argv if argument.startswith("--")
    )
    for old, new in RENAMED.items():
        if old in given:
            parser.error(f"{old} was renamed to {new}")
    others = [name for name in given if name not in parser.options and name != "--"]
    for name in others:
        parser.add_argument(name, dest=name, type=nonempty)
    found = vars(parser.parse_intermixed_args(argv))
    overrides = {name.removeprefix("--"): found.pop(name) for name in others}
    folders = {corpus: found.pop(corpus) for corpus in CORPORA}
    if not found["names"]:
        raise ValueError(f"The name of a table is required: {', '.join(table_names())}.")
    found["names"] = list(dict.fromkeys(found["names"]))
    found["corpus_folders"] = {corpus: path for corpus, path in folders.items() if path}
    return argparse.Namespace(**found), overrides


def _with_corpus_name(argument: str) -> str:
    """Correct the case of a corpus name: ``--iemocap=PATH`` becomes ``--IEMOCAP=PATH``."""
    name, equals, value = argument.partition("=")
    for corpus in CORPORA:
        if name.casefold() == f"--{corpus}".casefold():
            return f"--{corpus}{equals}{value}"
    return argument


def data_folders(
    tables: Sequence[Table], corpus_folders: Mapping[str, str], data_folder: str | None = None
) -> dict[str, str]:
    """Return the folder of each corpus that the tables use.

    Arguments
    ---------
    tables : sequence of Table
        Tables to write.
    corpus_folders : mapping of str to str
        Corpus name to folder, from ``--CORPUS=PATH``.
    data_folder : str, optional
        Value of ``--data_folder``.

    Raises
    ------
    ValueError
        If ``--data_folder`` is given for tables with several corpora, or if a folder is given for a
        corpus that no table uses.
    """
    needed = list(dict.fromkeys(name for table in tables for name in table.corpora()))
    for name in corpus_folders:
        if name not in needed:
            raise ValueError(
                f"--{name} is not used: the tables use only {', '.join(needed)}. Omit the option."
            )
    if data_folder is None:
        return dict(corpus_folders)
    if len(needed) > 1 or corpus_folders:
        raise ValueError(
            f"--data_folder can only be used with a single corpus; the tables use "
            f"{', '.join(needed)}. Use {' '.join(f'--{name}=PATH' for name in needed)} instead."
        )
    return {needed[0]: data_folder}


def _run_and_write(
    tables: Sequence[Table], options: argparse.Namespace, overrides: Mapping, argv: Sequence[str]
) -> int:
    """Start the missing runs, collect the results and write the tables."""
    from emosphere_sb.report.stats.bootstrap import check_bootstrap_settings
    from emosphere_sb.tables.cells import Cells
    from emosphere_sb.tables.collect import collect
    from emosphere_sb.tables.jobs import Preparations, create_jobs, inspect_all, problems, run_jobs
    from emosphere_sb.tables.status import FINISHED
    from emosphere_sb.tables.write import write_table

    check_bootstrap_settings(options.resamples, CONFIDENCE)  # fail early: runs may take days
    results, preset = Path(options.results_folder), options.preset or ""
    folders = data_folders(tables, options.corpus_folders, options.data_folder)
    collecting = options.only_collect
    launcher = _launcher(options, results)  # invalid options fail before anything is written
    if not collecting:
        folders = _with_demo_corpora(tables, folders, preset, results, overrides)
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
        _print_states(states)
        return 0
    jobs = [] if collecting else create_jobs(states, rerun_damaged=options.rerun_damaged)
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
        changed = [cell for cell in wanted if cell.folder in touched]
        states |= inspect_all(changed, cells, preparations)
    missing = problems(states, failed)
    command, origin = shlex.join(["emosphere", "table", *argv]), _software_versions()
    incomplete = 0
    for table in tables:
        collected = collect(table, cells, states, missing, resamples=options.resamples)
        paths = write_table(collected, results / "tables", command=command, origin=origin)
        print(f"\n{paths[0].read_text(encoding='utf-8')}")
        print("Written: " + " ".join(map(str, paths)))
        incomplete += collected.count_incomplete()
    if incomplete:
        hint = "" if collecting else " Use --rerun-damaged to rerun damaged runs."
        print(
            f"Runs without results: {incomplete}. See the notes below the table.{hint}",
            file=sys.stderr,
        )
    return 1 if incomplete else 0


def _with_demo_corpora(tables, folders, preset, results, overrides) -> dict[str, str]:
    """Generate synthetic corpora for cross-corpus tests; runs generate only training corpora."""
    pairs = [pair for table in tables for pair in table.pairs()]
    tested = {g.tested_on for row, g in pairs if cell_training_corpus(row, g) != g.tested_on}
    missing = sorted(tested - folders.keys())
    if not missing:
        return folders
    from emosphere_sb.fileio.yaml_tree import scalars
    from emosphere_sb.recipe.command_line import read_command
    from emosphere_sb.recipe.workspace import find_corpus
    from emosphere_sb.tables.cells import HPARAMS_FILE

    names = dict.fromkeys(part for part in (*(t.preset for t in tables), preset) if part)
    presets = [f"--preset={'+'.join(names)}"] if names else []
    argv = [HPARAMS_FILE, *presets, f"--results_folder={results}"]
    # Other overrides apply to the runs. Their effect depends on rows and groups.
    argv += [f"--{key}={value}" for key, value in overrides.items() if key == "synthetic_corpus"]
    demo = {c: str(find_corpus(scalars(read_command(argv, corpus=c).tree), c)) for c in missing}
    return {**folders, **demo}


def _launcher(options: argparse.Namespace, results: Path):
    from emosphere_sb.tables.launcher import LocalLauncher, SlurmLauncher, visible_gpus

    if options.launcher == "slurm":
        return SlurmLauncher(results / "tables" / "slurm", _slurm_parameters(options.slurm or ""))
    gpus = visible_gpus()
    return LocalLauncher(options.jobs or max(1, len(gpus)), gpus)


def _slurm_parameters(text: str) -> dict:
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


def _print_states(states) -> None:
    """Print the status and the command of each run."""
    from emosphere_sb.results.provenance import recipe_command

    for cell, state in states.items():
        reason = f" ({state.reason})" if state.reason else ""
        print(f"{state.kind}{reason}\t{recipe_command(cell.corpus, cell.command())}")


def _software_versions() -> str:
    """Return the commit, the package versions and the machine on one line."""
    from emosphere_sb.results.metrics_json import machine_description, package_versions
    from emosphere_sb.results.provenance import git_commit

    names = ("emosphere_sb", "python", "torch", "speechbrain", "transformers")
    installed = package_versions()
    text = ", ".join(f"{name} {installed[name]}" for name in names)
    code = git_commit() or "unknown"
    return f"commit {code[:12]}{code[40:]}; {text}; {machine_description()}"


class _TerminatedError(KeyboardInterrupt):
    """Raised on SIGTERM, which stops the runs like Ctrl-C."""


def _terminate(_number, _frame) -> None:
    raise _TerminatedError

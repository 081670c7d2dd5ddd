"""``emosphere table NAME``: run what is missing, then write the table."""

from __future__ import annotations

import logging
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from emosphere_sb.recipe.corpora import CORPORA, corpus_name
from emosphere_sb.tables.spec import FILE, Table, read_seeds, read_table, table_names, trained_on

logger = logging.getLogger(__name__)

USAGE = """\
usage: emosphere table NAME [NAME …] [--data_folder=PATH] [--key=value …]

Runs what is missing of a table's runs, leaves what is finished, goes on with what was interrupted,
and writes RESULTS_FOLDER/tables/NAME.md, .tex, .csv (all runs), .summary.csv, .html, .png, .pdf.

  NAME                  {tables}
  --data_folder=PATH    the corpus, of a table that reads one
  --CORPUS=PATH         the same by name, of a table that reads several: --IEMOCAP=/path
  --results_folder=DIR  where runs and tables lie (results)
  --preset=NAME[+NAME] presets for every run, behind the table's own: --preset=demo_small needs no data
  --seeds=1,2,3         in place of the table's
  --jobs=N              runs at a time on this machine (one a GPU; without GPUs 1)
  --launcher=slurm      runs as jobs of a Slurm cluster (needs the extra slurm), with
  --slurm="{{timeout_min: 600, gpus_per_node: 1, slurm_partition: gpu}}"   submitit's parameters
  --only_collect        run nothing: write the table of what is there
  --mend                also run again what is damaged (predictions that are gone or changed)
  --tables=FILE         another file than hparams/tables.yaml
  --resamples=N         of the bootstrap (10000)
  --list                how each run stands: corpora are prepared, nothing is trained
  --key=value           a key of emosphere.yaml or a run option, for every run

Exit status: 0; 1 where runs failed or cells are marked; 2 where the command or the data are at
fault; 75 where it was told to stop (the same command goes on).
"""

FLAGS = ("only_collect", "mend", "list")
OWN = ("data_folder", "results_folder", "preset", "seeds", "jobs", "launcher", "slurm", "tables",
       "resamples")  # fmt: skip
LAUNCHERS = ("local", "slurm")
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
    if not words or {"-h", "--help"} & set(words):
        print(USAGE.format(tables=", ".join(table_names())))
        return 0
    names, options, overrides = parse(words)
    file = Path(options.get("tables", FILE))
    tables = [read_table(name, file) for name in names]
    if "seeds" in options:
        seeds = read_seeds(options["seeds"].split(","), "--seeds")
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


def parse(words: Sequence[str]) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """Names of tables, this command's options, and what goes to every run.

    Raises
    ------
    ValueError
        If no table is named, an option stands twice or has no value, or a flag has one.

    Example
    -------
    >>> parse(["ablation", "--jobs=2", "--lr=0.1", "--mend"])
    (['ablation'], {'jobs': '2', 'mend': 'True'}, {'lr': '0.1'})
    """
    names, options, overrides = [], {}, {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("--"):
            names.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        corpus = _is_corpus(name)
        target = options if corpus or name in (*FLAGS, *OWN) else overrides
        key = corpus or name
        if key in options or key in overrides:
            raise ValueError(f"--{name} stands twice; say it once.")
        if name in FLAGS:
            if equals:
                raise ValueError(f"--{name} takes no value; found {value!r}.")
            value = "True"
        elif not equals:
            value = next(rest, "")
        if not value or value.startswith("--"):
            raise ValueError(f"--{name} needs a value: --{name}=VALUE.")
        target[key] = value
    if not names:
        raise ValueError(f"Name a table: {', '.join(table_names())}.")
    return list(dict.fromkeys(names)), options, overrides


def _is_corpus(name: str) -> str | None:
    return next((c for c in CORPORA if c.casefold() == name.casefold()), None)


def data_folders(tables: Sequence[Table], options: Mapping[str, str]) -> dict[str, str]:
    """Where each corpus lies that the tables read.

    Raises
    ------
    ValueError
        If ``--data_folder`` is given and there are several corpora, or a folder of a corpus that no
        table reads.
    """
    needed = list(dict.fromkeys(name for table in tables for name in table.corpora()))
    found = {corpus_name(k): v for k, v in options.items() if _is_corpus(k)}
    for name in found:
        if name not in needed:
            raise ValueError(f"--{name}: the tables read {', '.join(needed)} alone; leave it out.")
    if "data_folder" in options:
        if len(needed) > 1 or found:
            raise ValueError(
                f"--data_folder is for a table of one corpus; these read {', '.join(needed)}: say "
                f"{' '.join(f'--{name}=PATH' for name in needed)}."
            )
        found[needed[0]] = options["data_folder"]
    return found


def _make(
    tables: Sequence[Table], options: Mapping[str, str], overrides: Mapping, words: Sequence[str]
) -> int:
    """Run, collect, write."""
    from emosphere_sb.report.stats.bootstrap import check_settings
    from emosphere_sb.tables.cells import Cells
    from emosphere_sb.tables.collect import collect
    from emosphere_sb.tables.jobs import Preparations, inspect_all, jobs_of, marks, run_jobs
    from emosphere_sb.tables.status import FINISHED
    from emosphere_sb.tables.write import write_table

    resamples = _whole(options, "resamples", 10_000)
    check_settings(resamples, LEVEL)  # not after days of runs
    results = Path(options.get("results_folder", "results"))
    preset = options.get("preset", "")
    folders = data_folders(tables, options)
    collecting = "only_collect" in options
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
    if "list" in options:
        _list(states)
        return 0
    jobs = [] if collecting else jobs_of(states, mend="mend" in options)
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
        found = collect(table, cells, states, wrong, resamples=resamples)
        paths = write_table(found, results / "tables", command=command, origin=origin)
        print(f"\n{paths[0].read_text(encoding='utf-8')}")
        print("Written: " + " ".join(map(str, paths)))
        marked += found.marked()
    if marked:
        hint = "" if collecting else " Damaged ones are run again with --mend."
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
    words += [f"--{key}={value}" for key, value in overrides.items()]
    made = {c: str(find_corpus(scalars(read_command(words, corpus=c).tree), c)) for c in lacking}
    return {**folders, **made}


def _launcher(options: Mapping[str, str], results: Path):
    from emosphere_sb.tables.launcher import LocalLauncher, SlurmLauncher, visible_gpus

    name = options.get("launcher", "local")
    if name not in LAUNCHERS:
        raise ValueError(f"--launcher must be {' or '.join(LAUNCHERS)}; found {name!r}.")
    if name == "slurm":
        return SlurmLauncher(results / "tables" / "slurm", _parameters(options.get("slurm", "")))
    gpus = visible_gpus()
    return LocalLauncher(_whole(options, "jobs", max(1, len(gpus))), gpus)


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


def _whole(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name, str(default))
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"--{name} must be a whole number from 1; found {text!r}.")
    return int(text)


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

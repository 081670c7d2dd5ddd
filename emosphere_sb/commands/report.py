"""``emosphere report``: figures with intervals, slices, plots and a page of a run or a CSV."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from emosphere_sb.commands.arguments import CommandParser

KINDS = ("affine", "least_squares", "isotonic")
"""Of corrections; those of ``emosphere_sb.report.stats.calibration``, not to be imported here."""

FOLDER = "report"

DESCRIPTION = """\
Reads predictions and writes report.json, report.html and plots; prints the figures.

SOURCE is a finished run's folder, a folder whose folders are runs (seeds), or a CSV of predictions,
anybody's. Several are taken as runs of one system: figures are means over them.

  emosphere report results/MSP-Podcast-1.11/published/official/7
  emosphere report results/MSP-Podcast-1.11/published/official --compare results/…/official
  emosphere report mine.csv --labels labels_consensus.csv --label_low=1 --label_high=7 --only_common
"""


def run(words: Sequence[str]) -> int:
    """Run the command.

    Arguments
    ---------
    words : sequence of str
        What stands behind ``emosphere report``.

    Returns
    -------
    int
        0.

    Raises
    ------
    ValueError, OSError
        If the command line, a source, or what lies in it is at fault.
    """
    options = parser().parse_args(words)
    from emosphere_sb.report import ensemble
    from emosphere_sb.report.assembly import Request, assemble
    from emosphere_sb.report.read.runs import as_one_set, read_run, read_source
    from emosphere_sb.report.text import report_text

    if options.seed < 0:
        raise ValueError(f"--seed must be a whole number from 0; found {options.seed}.")
    csv = csv_settings(options)
    runs = as_one_set([one for source in options.sources for one in read_source(source, csv)])
    folder = report_folder(options, runs)
    if options.average:
        ensemble.write(options.out, runs)
        runs = [read_run(options.out)]
    request = Request(
        sets=options.set, resamples=options.resamples, seed=options.seed, correct=options.correct,
        fit=None if options.fit is None else _fit_table(options.fit, csv),
        reference=[one for other in options.compare for one in read_source(other, csv)],
    )  # fmt: skip
    report = assemble(runs, request)
    write(folder, report, runs, plots=not options.no_plots)
    print(report_text(report.facts))
    print(f"\nReport: {folder / 'report.html'}")
    return 0


def write(folder: Path, report, runs: Sequence, *, plots: bool = True) -> list[Path]:
    """Write ``report.json``, ``report.html``, plots, and ``correction.json`` where there is one.

    Arguments
    ---------
    folder : Path
        Made where it is missing.
    report : emosphere_sb.report.assembly.Report
        What to write.
    runs : sequence of Run
        Whose report it is: the training curves are shown where it is one.
    plots : bool
        Whether plots are written as files too; the page holds them in any case.

    Returns
    -------
    list of Path
        What was written.
    """
    from emosphere_sb.fileio.atomic import atomic_write
    from emosphere_sb.report.html.page import run_page, write_plots
    from emosphere_sb.report.plots.registry import pictures
    from emosphere_sb.report.read.training_log import read_log
    from emosphere_sb.results.scores import write_json

    # It tells of every table of every font that it cuts down for a PDF.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    path = runs[0].folder / "train_log.txt" if len(runs) == 1 and runs[0].folder else None
    log = read_log(path) if path is not None and path.is_file() else None
    written = [folder / "report.json", folder / "report.html"]
    write_json(report.facts, written[0])
    if report.corrections:
        written.append(folder / "correction.json")
        maps = {run.name: one.to_dict() for run, one in zip(runs, report.corrections, strict=True)}
        write_json(maps, written[-1])
    everything = (report.facts, report.tables)
    drawn = list(pictures(*everything, log))  # once, for the page and for the files
    atomic_write(written[1], run_page(*everything, log, drawn=drawn))
    if plots:
        written += write_plots(*everything, folder / "plots", log, drawn=drawn)
    return written


def report_folder(options: argparse.Namespace, runs: Sequence) -> Path:
    """Where the report goes: ``--out``, or ``report/`` in the folder that was named.

    Raises
    ------
    ValueError
        If it must be said and is not, or an average would lie among its own members.
    """
    if options.average:
        if options.out is None:
            raise ValueError("An average is a run of its own: say where with --out=FOLDER.")
        inside = [run for run in runs if run.folder and _lies_in(options.out, run.folder.parent)]
        if inside:
            raise ValueError(
                f"--out must not lie among the runs that are averaged, where it would be taken for "
                f"one of them; found {options.out} in {inside[0].folder.parent}."
            )
        return Path(options.out) / FOLDER
    if options.out is not None:
        return Path(options.out)
    if len(options.sources) > 1:
        raise ValueError(
            f"A report on {len(options.sources)} sources needs a folder: say where with "
            "--out=FOLDER."
        )
    source = Path(options.sources[0])
    return source / FOLDER if source.is_dir() else source.with_name(f"{source.stem}_{FOLDER}")


def csv_settings(options: argparse.Namespace):
    """How CSV files are to be read.

    Raises
    ------
    ValueError
        If only one end of a scale is given, or ``--columns`` cannot be read.
    """
    from emosphere_sb.report.read.runs import CsvSettings

    turned = [name.strip() for name in options.reversed_dimensions.split(",") if name.strip()]
    scale = _scale(options.label_low, options.label_high, "label", turned)
    predicted = _scale(options.predicted_low, options.predicted_high, "predicted", ())
    if turned and scale is None:
        raise ValueError("--reversed_dimensions needs --label_low and --label_high.")
    return CsvSettings(
        scale, predicted, parse_columns(options.columns), options.labels, options.only_common
    )


def parse_columns(text: str | None) -> dict[str, str]:
    """``ours=theirs, …`` as a mapping.

    Raises
    ------
    ValueError
        If a part is not of this form, or a column is named twice.

    Example
    -------
    >>> parse_columns("ID=clip, valence_predicted=V1")
    {'ID': 'clip', 'valence_predicted': 'V1'}
    """
    columns: dict[str, str] = {}
    for part in (text or "").split(","):
        ours, equals, theirs = (word.strip() for word in part.partition("="))
        if not part.strip():
            continue
        if not (ours and equals and theirs) or ours in columns:
            raise ValueError(
                "--columns must be written 'ours=theirs, …', each of ours once, such as "
                f"'ID=clip, valence_predicted=V1'; found {part.strip()!r}."
            )
        columns[ours] = theirs
    return columns


def parser() -> CommandParser:
    """The command line."""
    made = CommandParser("report", DESCRIPTION)
    add = made.add_argument
    add("sources", nargs="+", metavar="SOURCE", help="run, folder of runs, or CSV")
    add("--out", metavar="FOLDER", help="default: report/ in the run, FILE_report beside a CSV")
    add("--set", action="append", default=[], metavar="NAME", help="only this set; may be repeated")
    add("--compare", nargs="+", default=[], metavar="OTHER", help="runs or CSVs of another system")
    add("--correct", choices=KINDS, help="also show figures after a correction")
    add("--fit", metavar="DEV.csv", help="learn it from this file; default: the run's set valid")
    add("--average", action="store_true", help="average the runs into a run in --out, report on it")
    add("--resamples", type=int, default=10_000, metavar="N", help="of the bootstrap")
    add("--seed", type=int, default=0, metavar="N", help="of the bootstrap")
    add("--no_plots", action="store_true", help="no plots as files; the page has them anyway")
    csv = made.add_argument_group("CSV files of others")
    add = csv.add_argument
    add("--labels", metavar="FILE", help="CSV with the truth, found by id")
    add("--columns", metavar="LIST", help="what is called otherwise: 'ours=theirs, …'")
    for kind in ("label", "predicted"):
        text = "of the labels" if kind == "label" else "of predictions on another scale"
        add(f"--{kind}_low", type=float, metavar="X", help=f"low end of the scale {text}")
        add(f"--{kind}_high", type=float, metavar="X", help="its high end")
    add("--reversed_dimensions", default="", metavar="LIST", help="labels stored upside down")
    add("--only_common", action="store_true", help="leave out ids in one file only, and count them")
    return made


def _scale(low: float | None, high: float | None, kind: str, turned: Sequence[str]):
    from emosphere_sb.scale import Scale

    if low is None and high is None:
        return None
    if low is None or high is None:
        raise ValueError(f"A scale has two ends: say --{kind}_low and --{kind}_high.")
    return Scale(low, high, tuple(turned))


def _fit_table(path: str, csv):
    from emosphere_sb.report.assembly import DEVELOPMENT
    from emosphere_sb.report.read.runs import read_source

    runs = read_source(path, csv)
    tables = runs[0].tables
    table = tables.get(DEVELOPMENT) if runs[0].folder else next(iter(tables.values()))
    if len(runs) > 1 or table is None:
        raise ValueError(f"--fit must be one run's predictions of the development set; not {path}.")
    return table


def _lies_in(path: str, folder: Path) -> bool:
    return folder.resolve() in Path(path).resolve().parents

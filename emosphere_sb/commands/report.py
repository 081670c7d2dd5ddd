"""``emosphere report``: metrics with confidence intervals, plots, and an HTML report."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from emosphere_sb.commands.arguments import CommandParser

KINDS = ("affine", "least_squares", "isotonic")
"""Kinds of corrections. Duplicates ``report.stats.calibration.KINDS``, which is slow to import."""

REPORT_FOLDER = "report"

DESCRIPTION = """\
Read predictions, print their metrics, and write report.json, report.html and plots.

SOURCE is the folder of a run, a folder of runs (one per seed), or a CSV file with predictions from
any system. Multiple sources are treated as runs of the same system; their metrics are averaged. The
report on an unfinished run is marked as such; it has the training curves and any finished
predictions.

  emosphere report results/MSP-Podcast-1.11/published/official/7
  emosphere report results/MSP-Podcast-1.11/published/official --compare results/…/official
  emosphere report mine.csv --labels labels_consensus.csv --label_low=1 --label_high=7 --only_common
"""


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Arguments
    ---------
    argv : sequence of str
        Arguments after ``emosphere report``.

    Returns
    -------
    int
        Exit status 0.

    Raises
    ------
    ValueError, OSError
        If an option or a source is invalid.
    """
    options = build_report_parser().parse_args(argv)
    from emosphere_sb.report import ensemble
    from emosphere_sb.report.assembly import ReportRequest, assemble_report
    from emosphere_sb.report.read.runs import read_run, read_source
    from emosphere_sb.report.text import report_text

    if options.seed < 0:
        raise ValueError(f"--seed must be an integer >= 0; found {options.seed}.")
    csv = csv_settings(options)
    runs = read_sources(options, csv)
    folder = report_folder(options, runs)
    if options.average:
        ensemble.write_average(options.out, runs)
        runs = [read_run(options.out)]
    request = ReportRequest(
        sets=options.set, resamples=options.resamples, seed=options.seed, correct=options.correct,
        fit=None if options.fit is None else _fit_table(options.fit, csv),
        reference=[one for other in options.compare for one in read_source(other, csv)],
    )  # fmt: skip
    report = assemble_report(runs, request)
    write_report(folder, report, runs, plots=not options.no_plots)
    print(report_text(report.content))
    print(f"\nReport: {folder / 'report.html'}")
    return 0


def read_sources(options: argparse.Namespace, csv) -> list:
    """Read the runs to report on; a single source may be an unfinished run.

    Raises
    ------
    ValueError
        If a source is invalid, or an option requires a finished run.
    """
    from emosphere_sb.report.read.runs import read_source, unify_set_names
    from emosphere_sb.report.read.unfinished import is_unfinished, read_unfinished

    source = options.sources[0]
    if len(options.sources) > 1 or not is_unfinished(source):
        return unify_set_names([one for path in options.sources for one in read_source(path, csv)])
    for name in ("compare", "average", "correct"):
        if getattr(options, name):
            raise ValueError(
                f"--{name} requires finished runs; {source} is not finished. Re-run the training "
                f"command to finish it, or remove --{name}."
            )
    return [read_unfinished(source)]


def read_log(run) -> dict | None:
    """Read the training log of a run; None if it does not exist yet."""
    from emosphere_sb.report.read.training_log import read_train_log
    from emosphere_sb.report.read.unfinished import LOG_FILE, read_started_log

    if run.unfinished is not None:
        return read_started_log(run.folder)
    path = run.folder / LOG_FILE if run.folder else None
    return read_train_log(path) if path is not None and path.is_file() else None


def write_report(folder: Path, report, runs: Sequence, *, plots: bool = True) -> list[Path]:
    """Write ``report.json``, ``report.html``, plots, and ``correction.json`` if applicable.

    Arguments
    ---------
    folder : Path
        Output folder; created if missing.
    report : emosphere_sb.report.assembly.Report
        Report to write.
    runs : sequence of Run
        Runs of the report. Training curves are included only for a single run.
    plots : bool
        Whether to write the plots as separate files. The HTML report always contains them.

    Returns
    -------
    list of Path
        Written files.
    """
    from emosphere_sb.fileio.atomic import atomic_write
    from emosphere_sb.report.html.page import run_page, write_plots
    from emosphere_sb.report.plots.registry import draw_plots
    from emosphere_sb.results.scores import write_json

    # fontTools logs every table of every font that is embedded in a PDF.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    log = read_log(runs[0]) if len(runs) == 1 else None
    written = [folder / "report.json", folder / "report.html"]
    write_json(report.content, written[0])
    if report.corrections:
        written.append(folder / "correction.json")
        maps = {run.name: one.to_dict() for run, one in zip(runs, report.corrections, strict=True)}
        write_json(maps, written[-1])
    drawn = list(draw_plots(report.content, report.tables, log))  # shared by page and files
    atomic_write(written[1], run_page(report.content, report.tables, log, drawn=drawn))
    if plots:
        written += write_plots(report.content, report.tables, folder / "plots", log, drawn=drawn)
    return written


def report_folder(options: argparse.Namespace, runs: Sequence) -> Path:
    """Return the output folder: ``--out``, or ``report/`` in the folder of the source.

    Raises
    ------
    ValueError
        If ``--out`` is required but missing, or is inside the folder of the averaged runs.
    """
    if options.average:
        if options.out is None:
            raise ValueError("--average requires an output folder: add --out=FOLDER.")
        inside = [run for run in runs if run.folder and _is_inside(options.out, run.folder.parent)]
        if inside:
            raise ValueError(
                f"--out must be outside the folder of the averaged runs; {options.out} is in "
                f"{inside[0].folder.parent} and would be read as one of them."
            )
        return Path(options.out) / REPORT_FOLDER
    if options.out is not None:
        return Path(options.out)
    if len(options.sources) > 1:
        raise ValueError(
            f"A report on several sources ({len(options.sources)}) requires an output folder: add "
            "--out=FOLDER."
        )
    source = Path(options.sources[0])
    return (
        source / REPORT_FOLDER
        if source.is_dir()
        else source.with_name(f"{source.stem}_{REPORT_FOLDER}")
    )


def csv_settings(options: argparse.Namespace):
    """Build the settings for reading CSV files from the options.

    Raises
    ------
    ValueError
        If only one end of a scale is given, or ``--columns`` is invalid.
    """
    from emosphere_sb.report.read.runs import CsvSettings

    inverted = [name.strip() for name in options.reversed_dimensions.split(",") if name.strip()]
    scale = _scale(options.label_low, options.label_high, "label", inverted)
    predicted = _scale(options.predicted_low, options.predicted_high, "predicted", ())
    if inverted and scale is None:
        raise ValueError("--reversed_dimensions requires --label_low and --label_high.")
    return CsvSettings(
        scale, predicted, parse_columns(options.columns), options.labels, options.only_common
    )


def parse_columns(text: str | None) -> dict[str, str]:
    """Parse ``name=column, …`` into a mapping.

    Raises
    ------
    ValueError
        If an entry is malformed, or a name is given twice.

    Example
    -------
    >>> parse_columns("ID=clip, valence_predicted=V1")
    {'ID': 'clip', 'valence_predicted': 'V1'}
    """
    columns: dict[str, str] = {}
    for part in (text or "").split(","):
        name, equals, column = (word.strip() for word in part.partition("="))
        if not part.strip():
            continue
        if not (name and equals and column) or name in columns:
            raise ValueError(
                "--columns must have the form 'name=column, …' with unique names, such as "
                f"'ID=clip, valence_predicted=V1'; found {part.strip()!r}."
            )
        columns[name] = column
    return columns


def build_report_parser() -> CommandParser:
    """Build the parser of the command line."""
    parser = CommandParser("report", DESCRIPTION)
    add = parser.add_argument
    add("sources", nargs="+", metavar="SOURCE", help="folder of a run, folder of runs, or CSV file")
    add("--out", metavar="FOLDER",
        help="output folder (default: report/ in the run, FILE_report next to a CSV)")  # fmt: skip
    add("--set", action="append", default=[], metavar="NAME",
        help="report only this set; may be repeated")  # fmt: skip
    add("--compare", nargs="+", default=[], metavar="OTHER",
        help="runs or CSV files of another system")  # fmt: skip
    add("--correct", choices=KINDS, help="also report metrics after this correction")
    add("--fit", metavar="DEV.csv",
        help="fit the correction on this file (default: the 'valid' set)")  # fmt: skip
    add("--average", action="store_true",
        help="average the predictions of the runs, save them to --out, and report on "
        "the average")  # fmt: skip
    add("--resamples", type=int, default=10_000, metavar="N",
        help="number of bootstrap resamples (default: 10000)")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N",
        help="seed for the bootstrap (default: 0)")  # fmt: skip
    add("--no_plots", action="store_true", help="do not write plots as separate files")
    csv = parser.add_argument_group("CSV files from other systems")
    add = csv.add_argument
    add("--labels", metavar="FILE", help="CSV file with the true labels, matched by ID")
    add("--columns", metavar="LIST", help="column mapping: 'name=column, …'")
    for kind in ("label", "predicted"):
        text = "label scale" if kind == "label" else "prediction scale, if different"
        add(f"--{kind}_low", type=float, metavar="X", help=f"lower end of the {text}")
        add(f"--{kind}_high", type=float, metavar="X", help=f"upper end of the {text}")
    add(
        "--reversed_dimensions",
        default="",
        metavar="LIST",
        help="dimensions whose labels run in the opposite direction (low values mean high valence, "
        "arousal or dominance)",
    )
    add("--only_common", action="store_true", help="drop IDs that are not in both files")
    return parser


def _scale(low: float | None, high: float | None, kind: str, inverted: Sequence[str]):
    from emosphere_sb.scale import Scale

    if low is None and high is None:
        return None
    if low is None or high is None:
        raise ValueError(f"--{kind}_low and --{kind}_high must be given together.")
    return Scale(low, high, tuple(inverted))


def _fit_table(path: str, csv):
    from emosphere_sb.report.assembly import DEVELOPMENT_SET
    from emosphere_sb.report.read.runs import read_source

    runs = read_source(path, csv)
    tables = runs[0].tables
    table = tables.get(DEVELOPMENT_SET) if runs[0].folder else next(iter(tables.values()))
    if len(runs) > 1 or table is None:
        raise ValueError(
            f"--fit must be a CSV file or a single run with predictions for the set "
            f"{DEVELOPMENT_SET!r}; found {path}."
        )
    return table


def _is_inside(path: str, folder: Path) -> bool:
    return folder.resolve() in Path(path).resolve().parents

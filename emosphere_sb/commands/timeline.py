"""``emosphere timeline``: predict emotion over time for a recording; write a table and a plot."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from emosphere_sb.commands.arguments import (
    CommandParser,
    add_channel_option,
    add_runtime_options,
    check_runtime,
    load_model,
)
from emosphere_sb.commands.predict import (
    explain_out_of_memory,
    line_printer,
    progress_bar,
)

logger = logging.getLogger(__name__)

PLOT_SUFFIXES = (".png", ".pdf")

DESCRIPTION = """\
Predict valence, arousal and dominance over time for a long recording, window by window.

The file is read block by block, so memory use does not depend on its length. The output file is
replaced when the command ends, or with the rows written so far after Ctrl-C; after an error, its
old version is kept, or the rows written so far if there is none. The summary shows the
duration-weighted mean over all predicted windows; skipped windows are excluded.

  emosphere timeline MODEL interview.wav --out=interview.csv --plot=interview.png --skip_silence=25
"""


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Arguments
    ---------
    argv : sequence of str
        Arguments after ``emosphere timeline``.

    Returns
    -------
    int
        Exit status 0.

    Raises
    ------
    ValueError, OSError, MemoryError
        If the command line, the model or the recording is invalid, or GPU memory is insufficient.
    """
    options = build_timeline_parser().parse_args(argv)
    validate_timeline_options(options)
    from emosphere_sb.audio.check import check_audio
    from emosphere_sb.inference.output.table_file import locked_output

    check_audio(options.file)  # fail before the model is loaded
    model = load_model(options)
    with explain_out_of_memory(), locked_output(options.out):
        summary, traces = write_timeline(options, model)
    if options.out:
        logger.info("Table: %s", options.out)
    for line in timeline_summary_lines(summary, model.info.scale):
        print(line)
    print(f"engine: {model.engine}")
    for line in timeline_legend(summary, model.info):
        print(line)
    if options.plot:
        write_plot(options, model, traces)
        logger.info("Plot: %s", options.plot)
    return 0


def write_timeline(options: argparse.Namespace, model: Any) -> tuple[Any, Any]:
    """Write the table; return the summary and the traces for the plot."""
    from emosphere_sb.fileio.interrupts import defer_interrupt
    from emosphere_sb.inference.output import files
    from emosphere_sb.inference.output.screen import TimelineConsoleTable
    from emosphere_sb.inference.output.traces import Traces
    from emosphere_sb.inference.timeline import TimelineSummary, timeline

    steps = timeline(
        model, options.file, window=options.window, hop=options.hop,
        skip_silence=options.skip_silence, batch_size=options.batch_size,
        channel=options.channel,
    )  # fmt: skip
    summary, traces = TimelineSummary(), Traces(options.hop)
    bar_format = "{percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s [{elapsed}<{remaining}]"
    with ExitStack() as stack:
        bar = stack.enter_context(progress_bar(0, "s", quiet=options.quiet, bar_format=bar_format))
        row = partial(timeline_row, with_kind=options.skip_silence is not None)
        if options.out is None:
            table = TimelineConsoleTable(model.info.scale, line_printer(bar))
        elif files.check_suffix(options.out) == ".jsonl":
            table = files.JsonLinesWriter(options.out, row)
        else:
            table = files.CsvWriter(options.out, row)
        stack.enter_context(table)
        for one in steps:
            with defer_interrupt():
                table.write(one)
            summary.add(one)
            traces.add(one)
            if bar is not None:
                bar.total = one.duration
                bar.update(one.end - bar.n)
    return summary, traces


def timeline_row(prediction, *, with_kind: bool) -> dict[str, Any]:
    """Convert the prediction for one window to a row of the table.

    Arguments
    ---------
    prediction : Prediction
        Prediction for one window.
    with_kind : bool
        Whether silence detection was enabled. If not, ``kind`` is empty.
    """
    from emosphere_sb.inference.output.files import plain_row
    from emosphere_sb.inference.timeline import is_silence
    from emosphere_sb.scale import DIMENSIONS

    values = plain_row(prediction)
    silent = is_silence(prediction)
    names = ("start", "end", *DIMENSIONS, *(f"{name}_on_scale" for name in DIMENSIONS), "region")
    row = {name: values[name] for name in names}
    row["kind"] = "" if not with_kind else "silence" if silent else "speech"
    row["warnings"] = [text for text in prediction.warnings if text != "silence"]
    row |= {"model": values["model"], "engine": values["engine"]}
    return row


def timeline_summary_lines(summary, scale) -> list[str]:
    """Format the summary for the console.

    Arguments
    ---------
    summary : TimelineSummary
        Summary of a timeline.
    scale : Scale
        Label scale.
    """
    from emosphere_sb.console import format_table
    from emosphere_sb.inference.output.traces import clock
    from emosphere_sb.scale import DIMENSIONS

    head = f"{summary.windows:,} windows, {clock(summary.end)}"
    if summary.silent:
        head += f" ({summary.silent:,} silent, skipped)"
    lines = [head]
    if not summary.weight:
        return [*lines, "No predictions: all windows are below the level set by --skip_silence."]
    heads = ["", "mean", "SD", f"mean ({scale.low:g} to {scale.high:g})"]
    values = zip(DIMENSIONS, summary.mean, summary.sd, summary.mean_on_scale, strict=True)
    rows = [[n, f"{mean:+.2f}", f"{sd:.2f}", f"{scaled:.2f}"] for n, mean, sd, scaled in values]
    columns = slice(3 if scale.is_normalised else 4)  # without the same mean twice
    lines += format_table(heads[columns], [row[columns] for row in rows]).splitlines()
    shares = list(summary.shares().items())
    text = ", ".join(f"{name} {share:.0%}" for name, share in shares[:4])
    lines.append(f"regions: {text}" + (f", {len(shares) - 4} more" if len(shares) > 4 else ""))
    return lines + [
        f"{count:,} window{'s' if count > 1 else ''}: {text}"
        for text, count in summary.warnings.items()
    ]


def timeline_legend(summary: Any, info: Any) -> list[str]:
    """Return the legend of the table and the summary, with the most frequent regions first."""
    from emosphere_sb.inference.output.screen import legend

    regions = {name: summary.descriptions[name] for name in summary.shares()}
    return ["", *legend(info.scale, regions, synthetic=info.synthetic)]


def write_plot(options: argparse.Namespace, model: Any, traces: Any) -> None:
    """Write the plot of a timeline."""
    from pathlib import Path

    from emosphere_sb.fileio.atomic import atomic_write
    from emosphere_sb.inference.output.timeline_plot import timeline_plot
    from emosphere_sb.report.plots.style import render_pdf, render_png

    figure = timeline_plot(
        traces, about=model.info, title=Path(options.file).name, window=options.window
    )
    write = render_pdf if Path(options.plot).suffix.lower() == ".pdf" else render_png
    atomic_write(options.plot, write(figure))


def validate_timeline_options(options: argparse.Namespace) -> None:
    """Validate options before the model is loaded.

    Raises
    ------
    ValueError
        If an option is invalid or an output file cannot be written.
    """
    from pathlib import Path

    from emosphere_sb.inference.output.files import check_suffix

    if options.out is not None:
        check_suffix(options.out)
    if options.plot is not None:
        if Path(options.plot).suffix.lower() not in PLOT_SUFFIXES:
            raise ValueError(
                f"--plot must end with {' or '.join(PLOT_SUFFIXES)}; found {options.plot}."
            )
        folder = Path(options.plot).parent
        if not folder.is_dir():
            raise ValueError(f"Output folder {folder} does not exist. Create it first.")
    check_runtime(options)


def build_timeline_parser() -> CommandParser:
    """Build the parser of the command line."""
    parser = CommandParser("timeline", DESCRIPTION)
    add = parser.add_argument
    add("model", metavar="MODEL", help="folder of a released model, or its name on the Hub")
    add("file", metavar="FILE", help="audio file")
    add("--out", metavar="FILE", help="output table, .csv or .jsonl (default: print a table)")
    add(
        "--plot", metavar="FILE", help="output plot of the three dimensions over time, .png or .pdf"
    )
    add("--window", type=float, default=4.0, metavar="S",
        help="window length in seconds (default: 4)")  # fmt: skip
    add("--hop", type=float, default=1.0, metavar="S",
        help="time between window starts in seconds (default: 1)")  # fmt: skip
    add("--skip_silence", type=float, metavar="DB",
        help="skip windows more than DB decibels below the recording's speech level, for example "
        "25 (default: predict all windows)")  # fmt: skip
    add_channel_option(parser)
    add_runtime_options(parser, "windows")
    add("--quiet", action="store_true", help="suppress the progress bar")
    return parser

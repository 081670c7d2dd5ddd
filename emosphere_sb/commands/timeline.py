"""``emosphere timeline``: a recording of any length to a table over time, and a plot."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from emosphere_sb.commands.arguments import CommandParser, add_runtime_options, check_runtime
from emosphere_sb.commands.predict import (
    load_model,
    printer,
    progress,
    room_for_batches,
)

logger = logging.getLogger(__name__)

PLOTS = (".png", ".pdf")

DESCRIPTION = """\
Predicts valence, arousal and dominance over the time of a recording, window by window.

The file is read as it is needed: a day takes as little memory as a minute. The table is written as
it goes; what was written before a fault stays. The last lines are the mean over the windows, each
weighted by its duration; skipped silence does not count.

  emosphere timeline MODEL interview.wav --out=interview.csv --plot=interview.png --skip_silence=25
"""


def run(words: Sequence[str]) -> int:
    """Run the command.

    Arguments
    ---------
    words : sequence of str
        What stands behind ``emosphere timeline``.

    Returns
    -------
    int
        0.

    Raises
    ------
    ValueError, OSError, MemoryError
        If the command line, the model or the recording is at fault.
    """
    options = parser().parse_args(words)
    refuse_senseless(options)
    from emosphere_sb.audio.header import read_header

    read_header(options.file)  # before the model is loaded
    model = load_model(options.model, device=options.device, onnx=options.onnx, int8=options.int8)
    try:
        with room_for_batches():
            summary, traces = predict(options, model)
    finally:
        if options.out:
            logger.info("Table: %s", options.out)
    for line in summary_lines(summary, model.about.scale):
        print(line)
    if options.plot:
        draw(options, model, traces)
        logger.info("Plot: %s", options.plot)
    return 0


def predict(options: argparse.Namespace, model: Any) -> tuple[Any, Any]:
    """Write the table; the summary, and the traces that a plot needs."""
    from emosphere_sb.inference.output import files
    from emosphere_sb.inference.output.screen import TimeScreen
    from emosphere_sb.inference.output.traces import Traces
    from emosphere_sb.inference.timeline import Summary, timeline

    steps = timeline(
        model, options.file, window=options.window, hop=options.hop,
        skip_silence=options.skip_silence, batch_size=options.batch_size,
    )  # fmt: skip
    summary, traces = Summary(), Traces(options.hop)
    form = "{percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s [{elapsed}<{remaining}]"
    with ExitStack() as stack:
        bar = stack.enter_context(progress(0, "s", quiet=options.quiet, bar_format=form))
        row = partial(timeline_row, asked=options.skip_silence is not None)
        if options.out is None:
            table = TimeScreen(model.about.scale, printer(bar))
        elif files.suffix_of(options.out) == ".jsonl":
            table = files.JsonLines(options.out, row)
        else:
            table = files.CsvTable(options.out, row)
        stack.enter_context(table)
        for one in steps:
            table.write(one)
            summary.add(one)
            traces.add(one)
            if bar is not None:
                bar.total = one.duration
                bar.update(one.end - bar.n)
    return summary, traces


def timeline_row(prediction, *, asked: bool) -> dict[str, Any]:
    """The columns of a timeline.

    Arguments
    ---------
    prediction : Prediction
        Of one window.
    asked : bool
        Whether silence was looked for: else ``kind`` stays empty, for nobody knows.
    """
    from emosphere_sb.inference.output.files import plain_row
    from emosphere_sb.inference.timeline import is_silence
    from emosphere_sb.scale import DIMENSIONS

    whole = plain_row(prediction)
    silent = is_silence(prediction)
    names = ("start", "end", *DIMENSIONS, *(f"{name}_on_scale" for name in DIMENSIONS), "region")
    row = {name: whole[name] for name in names}
    row["kind"] = "" if not asked else "silence" if silent else "speech"
    row["warnings"] = "; ".join(text for text in prediction.warnings if text != "silence")
    return row


def summary_lines(summary, scale) -> list[str]:
    """The summary in a few lines for the screen.

    Arguments
    ---------
    summary : Summary
        Of a timeline.
    scale : Scale
        Of the labels.
    """
    from emosphere_sb.console import format_table
    from emosphere_sb.inference.output.traces import clock
    from emosphere_sb.scale import DIMENSIONS

    head = f"{clock(summary.end)} in {summary.windows:,} windows"
    if summary.silent:
        head += f", {summary.silent:,} of them silence"
    lines = [head]
    if not summary.weight:
        return [*lines, "Nothing was predicted: all of it lies below the level of --skip_silence."]
    ends = f"{scale.low:g} to {scale.high:g}"
    values = zip(DIMENSIONS, summary.mean, summary.deviation, summary.mean_on_scale, strict=True)
    rows = [[n, f"{mean:+.2f}", f"{sd:.2f}", f"{scaled:.2f}"] for n, mean, sd, scaled in values]
    lines += format_table(["", "mean", "deviation", ends], rows).splitlines()
    shares = list(summary.shares().items())
    text = ", ".join(f"{name} {share:.0%}" for name, share in shares[:4])
    lines.append(f"regions: {text}" + (f", {len(shares) - 4} more" if len(shares) > 4 else ""))
    return lines + [f"{count:,} windows: {text}" for text, count in summary.warnings.items()]


def draw(options: argparse.Namespace, model: Any, traces: Any) -> None:
    """Write the plot."""
    from pathlib import Path

    from emosphere_sb.inference.output.timeline_plot import timeline_plot
    from emosphere_sb.report.plots.style import pdf, png

    figure = timeline_plot(
        traces, about=model.about, title=Path(options.file).name, window=options.window
    )
    write = pdf if Path(options.plot).suffix.lower() == ".pdf" else png
    Path(options.plot).write_bytes(write(figure))


def refuse_senseless(options: argparse.Namespace) -> None:
    """Refuse names of files that cannot be written, before hours are predicted.

    Raises
    ------
    ValueError
        Naming the option.
    """
    from pathlib import Path

    from emosphere_sb.inference.output.files import suffix_of

    if options.out is not None:
        suffix_of(options.out)
    if options.plot is not None:
        if Path(options.plot).suffix.lower() not in PLOTS:
            raise ValueError(f"--plot must end with {' or '.join(PLOTS)}; found {options.plot}.")
        folder = Path(options.plot).parent
        if not folder.is_dir():
            raise ValueError(f"{folder} must be a folder, for the plot; make it.")
    check_runtime(options)


def parser() -> CommandParser:
    """The command line."""
    made = CommandParser("timeline", DESCRIPTION)
    add = made.add_argument
    add("model", metavar="MODEL", help="folder of a released model, or its name on the hub")
    add("file", metavar="FILE", help="the recording")
    add("--out", metavar="FILE", help=".csv or .jsonl; default: a table on the screen")
    add("--plot", metavar="FILE", help=".png or .pdf: the three dimensions over time")
    add("--window", type=float, default=4.0, metavar="S", help="seconds of a window (default 4)")
    add("--hop", type=float, default=1.0, metavar="S", help="seconds between them (default 1)")
    add("--skip_silence", type=float, metavar="DB",
        help="do not predict windows that lie DB below the recording's speech level, such as 25; "
        "default: predict all")  # fmt: skip
    add_runtime_options(made, "windows")
    add("--quiet", action="store_true", help="no progress bar")
    return made

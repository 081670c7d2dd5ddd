"""``emosphere predict``: predict emotion from audio files and write a table."""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

from emosphere_sb.commands.arguments import (
    CommandParser,
    add_channel_option,
    add_runtime_options,
    check_runtime,
    load_model,
)
from emosphere_sb.commands.columns import ColumnsAction

logger = logging.getLogger(__name__)

EXIT_FILES_FAILED = 2
"""Exit status if at least one file could not be predicted."""
BATCHES_PER_CHUNK = 4
"""Number of batches per chunk. Files are sorted by length within each chunk."""

DESCRIPTION = """\
Predict valence, arousal and dominance for audio files.

MODEL is the folder of a released model, or its name on the Hugging Face Hub. INPUT is a file, a
folder (searched recursively), a glob pattern, or - to read a list of files from standard input.

  emosphere predict MODEL speech.wav
  emosphere predict MODEL recordings/ --out=predictions.csv --embedding
  emosphere predict MODEL recordings/ --out=predictions.csv --engine=torch --precision=bf16
  find . -name '*.flac' | emosphere predict MODEL - --out=predictions.jsonl --words=3

On a machine without a GPU, a model with an ONNX copy runs on ONNX Runtime, which starts faster and
differs by at most 1e-4. The column `engine` states the engine and precision.

`emosphere predict --columns` describes the columns of the table.

Unreadable files are reported on standard error and in the column `error`; the exit status is
then 2. The output file is replaced when the command ends; after an error, or if no file could be
predicted, its old version is kept, and after Ctrl-C, it has the rows written so far.

Files that are longer than the limit used to evaluate the model are predicted as the mean over
windows of this length, whose number the column `windows` gives:

  emosphere predict MODEL interview.wav                            (mean over windows)
  emosphere predict MODEL interview.wav --max_seconds=evaluation   (one pass, truncated)
  emosphere predict MODEL interview.wav --window=4                 (windows of another length)

For predictions over time, use `emosphere timeline`.
"""


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Arguments
    ---------
    argv : sequence of str
        Arguments after ``emosphere predict``.

    Returns
    -------
    int
        Exit status: 0, or 2 if files could not be predicted.

    Raises
    ------
    ValueError, OSError, MemoryError
        If the command line, the model or the input is invalid, or GPU memory is insufficient.
    """
    options = build_predict_parser().parse_args(argv)
    validate_predict_options(options)
    from emosphere_sb.inference.output.table_file import locked_output

    with locked_output(options.out):
        return predict_to_output(options)


def predict_to_output(options: argparse.Namespace) -> int:
    """Predict all files and write the table; return the exit status."""
    from emosphere_sb.inference.find_audio import find_audio
    from emosphere_sb.results.constants import SYNTHETIC_MODEL_NOTE

    found = find_audio(options.inputs, sys.stdin.buffer if "-" in options.inputs else None)
    for text in found.notes:
        logger.warning("%s", text)
    model = load_model(options)
    if model.info.synthetic:
        logger.warning("%s", SYNTHETIC_MODEL_NOTE)
    if not options.quiet:
        logger.info("Engine: %s", model.engine)
    with explain_out_of_memory(), ExitStack() as stack:
        results = predict_files(model, found.files, options)
        first = next(results)  # invalid options fail here, before an existing table is overwritten
        bar = stack.enter_context(progress_bar(len(found.files), "file", quiet=options.quiet))
        tables = open_tables(options, found.files, model, stack, line_printer(bar))
        counts = write_results(zip(found.files, chain([first], results), strict=True), tables, bar)
    failed, predicted = counts["failed"], len(found.files) - counts["failed"]
    if counts["windows"] and options.window is None and not options.quiet:
        logger.info("%s", windows_note(counts["windows"], model))
    if counts["empty"]:
        logger.warning(
            "%s without values: speech_share is below %g", _files(counts["empty"]),
            options.min_speech_share,
        )  # fmt: skip
    target = f": {options.out}" if options.out else ""
    if failed or not options.quiet:
        failed_text = f", {failed:,} failed (see messages above)" if failed else ""
        logger.warning("%s predicted%s%s", _files(predicted), failed_text, target)
    return EXIT_FILES_FAILED if failed else 0


def predict_files(model: Any, files: Sequence[str], options: argparse.Namespace) -> Iterator:
    """Yield a prediction or an AudioError for each file."""
    settings = {
        "batch_size": options.batch_size,
        "words": options.words,
        "channel": options.channel,
        "clip": options.clip,
        "speech_detection": options.speech_detection,
        "min_speech_share": options.min_speech_share,
    }
    settings |= {
        "max_seconds": options.max_seconds,
        "chunk": BATCHES_PER_CHUNK * options.batch_size,
    }
    if options.window is not None:
        overlap = 0.5 if options.overlap is None else options.overlap
        settings |= {"window": options.window, "overlap": overlap}
    elif options.overlap is not None:
        raise ValueError("--overlap requires --window=SECONDS.")
    return model.predict_each(files, **settings)


def windows_note(count: int, model: Any) -> str:
    """Return a note about files that were predicted as means over windows."""
    return (
        f"{_files(count)} longer than {model.pass_seconds:g} s: mean over windows of "
        f"{model.window_seconds:g} s (column windows; --max_seconds=evaluation: one pass)"
    )


def write_results(results: Iterable[tuple[str, Any]], tables: Sequence, bar: Any) -> Counter[str]:
    """Write the predictions and errors of files.

    Returns
    -------
    Counter
        Number of unreadable files (``failed``), and of files predicted as means over windows
        (``windows``).
    """
    from emosphere_sb.audio.errors import AudioError
    from emosphere_sb.fileio.interrupts import defer_interrupt

    counts = Counter()
    for file, result in results:
        if isinstance(result, AudioError):
            counts["failed"] += 1
            line_printer(bar, sys.stderr)(f"not predicted: {_printable(str(result))}")
            with defer_interrupt():
                for table in tables:
                    table.write_error(file, result.reason)
        else:
            counts["windows"] += result.windows > 1
            counts["empty"] += not result.has_values
            with defer_interrupt():  # all tables have the same rows
                for table in tables:
                    table.write(result)
        if bar is not None:
            bar.update()
    return counts


def open_tables(options, files: Sequence[str], model: Any, stack: ExitStack, print_line) -> list:
    """Open the writers: the console or a file, and an npz file if embeddings go next to a CSV."""
    from emosphere_sb.inference.output import files as writers
    from emosphere_sb.inference.output.screen import ConsoleTable

    if options.out is None:
        table = ConsoleTable(files, model.info.scale, print_line, with_legend=not options.quiet)
        return [stack.enter_context(table)]
    if writers.check_suffix(options.out) == ".jsonl":
        row = partial(writers.row_with_error, embedding=options.embedding)
        return [stack.enter_context(writers.JsonLinesWriter(options.out, row))]
    replaces = Path(options.out).exists()
    columns = writers.prediction_columns(model.info, words=options.words)
    tables = [stack.enter_context(writers.CsvWriter(options.out, writers.row_with_error, columns))]
    if options.embedding:
        npz_path = Path(options.out).with_suffix(".npz")
        embeddings = writers.EmbeddingWriter(npz_path, replaces=replaces)
        tables.append(stack.enter_context(embeddings))
    return tables


def validate_predict_options(options: argparse.Namespace) -> None:
    """Validate options before the model is loaded.

    Raises
    ------
    ValueError
        If an option is invalid or has no effect.
    """
    from emosphere_sb.inference.output.files import check_suffix

    if options.out is not None:
        check_suffix(options.out)
    elif options.embedding:
        raise ValueError("--embedding requires --out=FILE.csv or --out=FILE.jsonl.")
    check_runtime(options)
    for name, minimum in (("batch_size", 1), ("words", 0)):
        if (value := getattr(options, name, minimum)) < minimum:
            raise ValueError(f"--{name} must be at least {minimum}; found {value}.")
    if (share := options.min_speech_share) is not None and not 0 <= share <= 1:
        raise ValueError(f"--min_speech_share must be from 0 to 1; found {share:g}.")


@contextmanager
def explain_out_of_memory() -> Iterator[None]:
    """Replace PyTorch's out-of-memory error with a message that suggests a remedy.

    Raises
    ------
    MemoryError
        If GPU memory is insufficient.
    """
    try:
        yield
    except RuntimeError as error:
        if (
            type(error).__name__ != "OutOfMemoryError"
        ):  # defined by torch, which is not imported here
            raise
        raise MemoryError(
            f"Not enough GPU memory ({str(error).splitlines()[0]}). Use a smaller --batch_size, "
            f"or --device=cpu."
        ) from error


def progress_bar(total: float, unit: str, *, quiet: bool, **settings: Any):
    """Create a progress bar on standard error if it is a terminal."""
    # tqdm may be missing in installations without torch
    if quiet or not sys.stderr.isatty() or find_spec("tqdm") is None:
        return nullcontext()
    from tqdm import tqdm

    return tqdm(total=total, unit=unit, file=sys.stderr, dynamic_ncols=True, **settings)


def line_printer(bar: Any, stream: Any = None) -> Callable[[str], None]:
    """Return a function that prints lines without breaking the progress bar."""
    if bar is None:
        return lambda line: print(line, file=stream or sys.stdout, flush=True)
    return lambda line: bar.write(line, file=stream or sys.stdout)


def _printable(text: str) -> str:
    """Make a text printable on standard error, whatever file names it contains."""
    from emosphere_sb.inference.output.files import escape_unencodable, replace_unprintable

    return escape_unencodable(replace_unprintable(text), sys.stderr.encoding or "utf-8")


def _files(count: int) -> str:
    return f"{count:,} file{'s' * (count != 1)}"


def seconds_or_word(text: str) -> float | str | None:
    """Parse ``--max_seconds``: a number, ``auto``, ``evaluation`` or ``none``.

    Raises
    ------
    argparse.ArgumentTypeError
        If the value is anything else.

    Example
    -------
    >>> seconds_or_word("12"), seconds_or_word("none"), seconds_or_word("evaluation")
    (12.0, None, 'evaluation')
    """
    if text in ("auto", "evaluation"):
        return text
    try:
        return None if text.lower() == "none" else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be a number of seconds, 'auto', 'evaluation' or 'none'; found {text!r}"
        ) from error


def build_predict_parser() -> CommandParser:
    """Build the parser of the command line."""
    parser = CommandParser("predict", DESCRIPTION)
    add = parser.add_argument
    add("model", metavar="MODEL", help="folder of a released model, or its name on the Hub")
    add(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="file, folder, glob pattern, or - for a list on stdin",
    )
    add("--out", metavar="FILE", help="output file, .csv or .jsonl (default: print a table)")
    add("--embedding", action="store_true",
        help="also write embeddings (with .csv: to a separate .npz file)")  # fmt: skip
    add("--words", type=int, default=0, metavar="N", help="also output the N nearest emotion words")
    add("--max_seconds", type=seconds_or_word, default="auto", metavar="S",
        help="inputs longer than the limit used to evaluate the model: mean over windows of this "
        "length ('auto', default); one pass, truncated to this limit ('evaluation') or to S "
        "seconds, as in --max_seconds=30; or one pass over everything ('none')")  # fmt: skip
    add("--window", type=float, metavar="S",
        help="average all predictions over windows of S seconds, as in --window=4")  # fmt: skip
    add("--overlap", type=float, metavar="X",
        help="overlap between windows of --window, as a fraction (default: 0.5)")  # fmt: skip
    add("--clip", action="store_true",
        help="clip predictions to the label scale, as in --clip --out=clipped.csv; the warning "
        "'off scale' remains (default: they are not clipped)")  # fmt: skip
    add("--speech_detection", choices=("auto", "on", "off"), default="auto",
        help="warn about files without speech: on, off, or auto (default: on if the extra 'speech' "
        "is installed), as in --speech_detection=off")  # fmt: skip
    add("--min_speech_share", type=float, metavar="X",
        help="leave the values of files empty in which less than this share of the time is speech, "
        "as in --min_speech_share=0.2 (default: predict all files)")  # fmt: skip
    add_channel_option(parser)
    add_runtime_options(parser, "files")
    add("--columns", action=ColumnsAction,
        help="describe each column with its unit and range, and exit; with the label scale and "
        "classes of a model: emosphere predict MODEL --columns")  # fmt: skip
    add("--quiet", action="store_true", help="suppress the progress bar, legend and summary")
    return parser

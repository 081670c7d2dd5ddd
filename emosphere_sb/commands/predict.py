"""``emosphere predict``: files, folders, patterns or a list to a table of predictions."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

from emosphere_sb.commands.arguments import CommandParser, add_runtime_options, check_runtime

logger = logging.getLogger(__name__)

FAULT = 2
"""Exit status where a file could not be predicted."""
CHUNKS = 4
"""Batches that are sorted by length together: results come after so many."""

DESCRIPTION = """\
Predicts valence, arousal and dominance of audio files.

MODEL is the folder of a released model, or its name on the HuggingFace hub. INPUT is a file, a
folder (searched to any depth), a pattern, or - for a list of files on the standard input.

  emosphere predict MODEL speech.wav
  emosphere predict MODEL recordings/ --out=predictions.csv --embedding
  find . -name '*.flac' | emosphere predict MODEL - --out=predictions.jsonl --words=3

A file that cannot be heard is reported on the standard error stream and left out; the exit status
is 2 then. Recordings of minutes and hours: --window here (one value each), or emosphere timeline.
"""


def run(words: Sequence[str]) -> int:
    """Run the command.

    Arguments
    ---------
    words : sequence of str
        What stands behind ``emosphere predict``.

    Returns
    -------
    int
        0; 2 where files could not be predicted.

    Raises
    ------
    ValueError, OSError, MemoryError
        If the command line, the model or all of the input is at fault.
    """
    options = parser().parse_args(words)
    refuse_senseless(options)
    from emosphere_sb.inference.find_audio import find_audio

    found = find_audio(options.inputs, sys.stdin.buffer if "-" in options.inputs else None)
    for text in found.notes:
        logger.warning("%s", text)
    model = load_model(options.model, device=options.device, onnx=options.onnx, int8=options.int8)
    with room_for_batches(), ExitStack() as stack:
        answers = ask(model, found.files, options)
        first = next(answers)  # options that the model refuses leave an old table as it is
        bar = stack.enter_context(progress(len(found.files), "file", quiet=options.quiet))
        tables = open_tables(options, found.files, model, stack, printer(bar))
        failed = write(chain([first], answers), tables, bar)
    predicted = len(found.files) - failed
    where = f": {options.out}" if options.out else ""
    if failed or not options.quiet:
        refused = f", {failed:,} not (reasons above)" if failed else ""
        logger.warning("%s predicted%s%s", _files(predicted), refused, where)
    return FAULT if failed else 0


def ask(model: Any, files: Sequence[str], options: argparse.Namespace) -> Iterator:
    """A prediction or an AudioError for each file."""
    settings = {"batch_size": options.batch_size, "words": options.words}
    settings |= {"max_seconds": options.max_seconds, "chunk": CHUNKS * options.batch_size}
    if options.window is not None:
        overlap = 0.5 if options.overlap is None else options.overlap
        settings |= {"window": options.window, "overlap": overlap}
    elif options.overlap is not None:
        raise ValueError("--overlap is that of windows, so it needs --window=SECONDS.")
    return model.predict_each(files, **settings)


def write(answers: Iterable, tables: Sequence, bar: Any) -> int:
    """Write the predictions and report what could not be heard; how many those are."""
    from emosphere_sb.audio.errors import AudioError

    failed = 0
    for answer in answers:
        if isinstance(answer, AudioError):
            failed += 1
            printer(bar, sys.stderr)(f"not predicted: {_safe(str(answer))}")
        else:
            for table in tables:
                table.write(answer)
        if bar is not None:
            bar.update()
    return failed


def open_tables(options, files: Sequence[str], model: Any, stack: ExitStack, say) -> list:
    """What takes the predictions: a file, the screen, embeddings beside a CSV."""
    from emosphere_sb.inference.output import files as tables_out
    from emosphere_sb.inference.output.screen import Screen

    if options.out is None:
        return [stack.enter_context(Screen(files, model.about.scale, say))]
    if tables_out.suffix_of(options.out) == ".jsonl":
        row = partial(tables_out.plain_row, embedding=options.embedding)
        return [stack.enter_context(tables_out.JsonLines(options.out, row))]
    tables = [stack.enter_context(tables_out.CsvTable(options.out))]
    if options.embedding:
        beside = Path(options.out).with_suffix(".npz")
        tables.append(stack.enter_context(tables_out.Embeddings(beside)))
    return tables


def refuse_senseless(options: argparse.Namespace) -> None:
    """Refuse what would do nothing, before anything is loaded.

    Raises
    ------
    ValueError
        Naming the option.
    """
    from emosphere_sb.inference.output.files import suffix_of

    if options.out is not None:
        suffix_of(options.out)
    elif options.embedding:
        raise ValueError("--embedding needs --out=FILE.csv (it goes beside) or --out=FILE.jsonl.")
    check_runtime(options)
    for name, least in (("batch_size", 1), ("words", 0)):
        if getattr(options, name, least) < least:
            raise ValueError(f"--{name} must be at least {least}; found {getattr(options, name)}.")


def load_model(
    source: str, *, device: str | None = None, onnx: bool = False, int8: bool = False
) -> Any:
    """A model that answers: with torch, or without it as ONNX.

    Arguments
    ---------
    source : str
        A folder or a name on the hub; with ``onnx`` the folder of an exported model.
    device : str, optional
        Of torch.
    onnx : bool
        Whether to run it on onnxruntime. torch is not imported then.
    int8 : bool
        With ``onnx``: the smaller, faster, slightly different one.

    Raises
    ------
    ValueError
        If it cannot be loaded.
    """
    if onnx:
        from emosphere_sb.onnx_export.predictor import OnnxEmoSphere

        return OnnxEmoSphere.from_pretrained(source, int8=int8)
    from emosphere_sb.inference.interface import EmoSphere

    return EmoSphere.from_pretrained(source, device=device)


@contextmanager
def room_for_batches() -> Iterator[None]:
    """Say what to do where the memory of a GPU does not do.

    Raises
    ------
    MemoryError
        In place of torch's own error.
    """
    try:
        yield
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's, which is not imported here
            raise
        raise MemoryError(
            f"The GPU's memory does not do ({str(error).splitlines()[0]}). Take a smaller "
            f"--batch_size, or --device=cpu."
        ) from error


def progress(total: float, unit: str, *, quiet: bool, **settings: Any):
    """A progress bar on the standard error stream; nothing where nobody looks at it."""
    # tqdm is not among what a model without torch needs
    if quiet or not sys.stderr.isatty() or find_spec("tqdm") is None:
        return nullcontext()
    from tqdm import tqdm

    return tqdm(total=total, unit=unit, file=sys.stderr, dynamic_ncols=True, **settings)


def printer(bar: Any, stream: Any = None) -> Callable[[str], None]:
    """What prints a line and leaves the progress bar whole."""
    if bar is None:
        return lambda line: print(line, file=stream or sys.stdout, flush=True)
    return lambda line: bar.write(line, file=stream or sys.stdout)


def _safe(text: str) -> str:
    """A text that a terminal can show, whatever names are in it."""
    from emosphere_sb.inference.output.files import on_one_line, readable

    return readable(on_one_line(text), sys.stderr.encoding or "utf-8")


def _files(count: int) -> str:
    return f"{count:,} file{'s' * (count != 1)}"


def seconds_or_word(text: str) -> float | str | None:
    """``--max_seconds``: a number, ``evaluation``, or ``none``.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is anything else.

    Example
    -------
    >>> seconds_or_word("12"), seconds_or_word("none"), seconds_or_word("evaluation")
    (12.0, None, 'evaluation')
    """
    if text == "evaluation":
        return text
    try:
        return None if text.lower() == "none" else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be a number of seconds, evaluation or none; found {text!r}"
        ) from error


def parser() -> CommandParser:
    """The command line."""
    made = CommandParser("predict", DESCRIPTION)
    add = made.add_argument
    add("model", metavar="MODEL", help="folder of a released model, or its name on the hub")
    add("inputs", nargs="+", metavar="INPUT", help="file, folder, pattern, or - for a list")
    add("--out", metavar="FILE", help=".csv or .jsonl; default: a table on the screen")
    add("--embedding", action="store_true", help="also write embeddings: FILE.npz beside a CSV")
    add("--words", type=int, default=0, metavar="N", help="the N nearest emotion words")
    add("--max_seconds", type=seconds_or_word, default="evaluation", metavar="S",
        help="cut longer files to this; none: hear all; default: evaluation, as the model was "
        "tested")  # fmt: skip
    add("--window", type=float, metavar="S", help="hear all, as the mean over windows of S seconds")
    add("--overlap", type=float, metavar="X", help="of windows, a share (default .5)")
    add_runtime_options(made, "files")
    add("--quiet", action="store_true", help="no progress, no closing line")
    return made

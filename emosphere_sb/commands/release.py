"""``emosphere release``: package a trained model for distribution."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from emosphere_sb.commands.arguments import CommandParser

logger = logging.getLogger(__name__)

DESCRIPTION = """\
Package the model of a finished run in a self-contained folder: safetensors weights, JSON settings,
a model card with metrics and confidence intervals, and checksums. Using the model requires neither
the corpus nor any download.

  emosphere release results/MSP-Podcast-1.11/published/official/7 models/emosphere

If the extra `onnx` is installed, the folder also gets model.onnx, a copy for ONNX Runtime, which
`emosphere predict` uses on machines without a GPU. It is as large as the weights and is compared
with the model before the folder is created. --int8 adds a smaller copy with 8-bit weights:

  emosphere release RUN OUT --int8
  emosphere predict OUT speech.wav --onnx --int8

If the corpus still exists, the folder also gets the range of the training data (durations, levels
and embeddings), and predictions warn about recordings outside it. Up to 1,000 training utterances
are read, on a GPU if available; another number, or none:

  emosphere release RUN OUT --training_sample=200
  emosphere release RUN OUT --training_sample=0

OUT must either not exist yet or be empty; it is written atomically. RUN/hyperparams.yaml is
executed as in training, so release only runs that you trust. Before you share the model, read the
section "Licence and terms" of OUT/README.md.
"""


def run(argv: Sequence[str]) -> int:
    """Run ``emosphere release``.

    Arguments
    ---------
    argv : sequence of str
        Arguments after ``emosphere release``.

    Returns
    -------
    int
        Exit status 0.

    Raises
    ------
    ValueError, OSError
        If the run cannot be released or the output folder cannot be written.
    """
    options = build_release_parser().parse_args(argv)
    if options.int8 and options.no_onnx:
        raise ValueError("--int8 cannot be combined with --no-onnx.")
    from emosphere_sb.release.training_range import MIN_UTTERANCES

    if options.training_sample and options.training_sample < MIN_UTTERANCES:
        raise ValueError(
            f"--training_sample must be 0 or at least {MIN_UTTERANCES}; found "
            f"{options.training_sample}."
        )
    from emosphere_sb.onnx_export.export import check_export_dependencies
    from emosphere_sb.release.load import load_released
    from emosphere_sb.release.release import release

    if options.int8:
        check_export_dependencies()
    out = release(
        options.run, options.out, name=options.name,
        finish=lambda folder: finish_folder(folder, options),
    )  # fmt: skip
    _, info = load_released(out)  # check that the written model can be loaded
    if info.synthetic:
        print("Synthetic speech: do not draw conclusions about human speech from this model.")
    print(f"{info.name}: {out}")
    print(f"Licence: {info.licence}")
    print(f"Usage: emosphere predict {out} speech.wav")
    return 0


def finish_folder(folder: Path, options: argparse.Namespace) -> None:
    """Add the optional parts of a released model: its training range and an ONNX copy."""
    add_training_range(folder, options)
    add_copy(folder, options)


def add_training_range(folder: Path, options: argparse.Namespace) -> None:
    """Add the range of the training data to a released model, or state why it has none."""
    from emosphere_sb.inference.measure_range import measure_training_range, store_training_range
    from emosphere_sb.inference.torch_predictor import TorchPredictor
    from emosphere_sb.recipe.training_files import find_training_files

    if not options.training_sample:
        return
    try:
        files = find_training_files(Path(options.run))
        model = TorchPredictor.from_pretrained(folder)
        count = min(options.training_sample, len(files.paths))
        logger.info("Measuring the range of %s training utterances", f"{count:,}")
        found = measure_training_range(
            model, files.paths, files.durations, sample=options.training_sample,
            channel=files.channel, progress=with_progress,
        )  # fmt: skip
    except (FileNotFoundError, ValueError) as error:
        logger.warning(
            "The released model will not warn about recordings that differ from its training "
            "data: %s", error,
        )  # fmt: skip
        return
    store_training_range(folder, found)


def with_progress(paths: Sequence[str]) -> Iterable[str]:
    """Show a progress bar on standard error if it is a terminal."""
    from tqdm import tqdm

    return tqdm(paths, unit="file", disable=not sys.stderr.isatty(), leave=False)


def add_copy(folder: Path, options: argparse.Namespace) -> None:
    """Add an ONNX copy to a released model, or state why it has none."""
    from emosphere_sb.onnx_export.export import add_onnx
    from emosphere_sb.onnx_export.onnx_model import NotExportableError

    if options.no_onnx:
        return
    try:
        add_onnx(folder, int8=options.int8)
    except (ImportError, NotExportableError) as error:
        if options.int8:
            raise
        logger.warning("The released model has no ONNX copy: %s", error)


def build_release_parser() -> CommandParser:
    """Build the argument parser of ``emosphere release``."""
    parser = CommandParser("release", DESCRIPTION)
    parser.add_argument("run", metavar="RUN", help="folder of a finished run")
    parser.add_argument("out", metavar="OUT", help="new or empty folder for the released model")
    parser.add_argument("--name", help="name of the model (default: corpus and preset)")
    parser.add_argument("--training_sample", type=int, default=1000, metavar="N",
        help="number of training utterances from which the range of the training data is measured, "
        "as in --training_sample=200; 0: none (default: 1000)")  # fmt: skip
    parser.add_argument("--int8", action="store_true", help="also write an 8-bit ONNX copy")
    parser.add_argument("--no-onnx", action="store_true", help="write no ONNX copy")
    return parser

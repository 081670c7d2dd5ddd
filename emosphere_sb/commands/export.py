"""``emosphere export``: export a released model to ONNX and compare the two."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosphere_sb.commands.arguments import CommandParser

if TYPE_CHECKING:
    import numpy as np

PATH_COLUMNS = ("file", "wav")
"""Columns of the ``--labels`` table that may contain the audio path."""

DESCRIPTION = """\
Export a released model to ONNX: model.onnx (inputs waveform and lengths; outputs vad, embedding and
logits), model description, model card and checksums. The exported model runs on ONNX Runtime
without PyTorch:

  emosphere export MODEL OUT
  emosphere predict OUT speech.wav --onnx

The exported model is first compared with the original on the --check files, or on generated test
audio. If their outputs differ by more than 1e-4, the command fails and writes nothing. --int8 also
writes model_int8.onnx, which is smaller and faster, and prints how much its outputs differ from
those of the original model. --labels prints the CCC of all versions; it requires a CSV file with
the columns file (or wav), valence, arousal and dominance. Paths in the file may be
absolute, or relative to the working directory or to the CSV file; labels must be on the same scale
as the training labels.
"""


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Arguments
    ---------
    argv : sequence of str
        Arguments after ``emosphere export``.

    Returns
    -------
    int
        Exit status 0.

    Raises
    ------
    ValueError, OSError, ImportError
        If the command line, the model or a file is invalid, or a package required for export is not
        installed.
    """
    options = build_export_parser().parse_args(argv)
    from emosphere_sb.onnx_export.export import TOLERANCE, check_export_dependencies, export

    check_export_dependencies()
    labels = None
    if options.labels is not None:
        labels = read_labelled_files(options.labels)
    found = export(options.model, options.out, int8=options.int8, check=load_check_files(options))
    audio = f"{len(options.check)} files" if options.check else "generated test audio"
    print(
        f"Exported to {found.path}. Differences from the original model on {audio}, processed one "
        f"by one and as one batch:"
    )
    for name, differences in found.deviations.items():
        print(f"  {name}  {found.sizes[name] / 1e6:.1f} MB  {format_differences(differences)}")
    print(f"The maximum allowed difference for the float32 model is {TOLERANCE:g}.")
    if labels is not None:
        print_ccc(options, *labels)
    return 0


def build_export_parser() -> CommandParser:
    """Build the parser of the command line."""
    parser = CommandParser("export", DESCRIPTION)
    add = parser.add_argument
    add("model", metavar="MODEL", help="folder of a released model, or its name on the Hub")
    add("out", metavar="OUT", help="new or empty output folder")
    add("--int8", action="store_true", help="also write model_int8.onnx")
    add("--check", nargs="+", metavar="FILE", default=[],
        help="audio files for the comparison (default: generated test audio)")  # fmt: skip
    add("--labels", metavar="CSV", help="print the CCC of each version on these labelled files")
    return parser


def load_check_files(options: argparse.Namespace) -> list[Any] | None:
    """Load the ``--check`` files, truncated to 30 s each; return ``None`` if none are given."""
    if not options.check:
        return None
    from emosphere_sb.inference.waveform import MAX_INPUT_SECONDS, load_file

    # The model is not loaded yet, so its limit is unknown. 30 s are enough for a comparison.
    seconds = min(MAX_INPUT_SECONDS, 30.0)
    return [load_file(path, seconds=seconds, tensors=False).signal for path in options.check]


def format_differences(differences: Mapping[str, float]) -> str:
    """Format the difference of each output."""
    return ", ".join(f"{name} differs by {value:.1e}" for name, value in differences.items())


def read_labelled_files(path: str | os.PathLike) -> tuple[list[str], np.ndarray]:
    """Read audio paths and labels from a table in the format of the OwnData recipe.

    Arguments
    ---------
    path : path
        Path of a CSV file with the columns ``file`` or ``wav``, ``valence``, ``arousal`` and
        ``dominance``. Paths are relative to the working directory; if a file is not found
        there, relative to the folder of the CSV file.

    Returns
    -------
    paths : list of str
        Paths of the audio files.
    labels : numpy.ndarray
        Labels of shape (files, 3); NaN for missing values.

    Raises
    ------
    ValueError
        If a column is missing, a row is malformed, a label is not a number, or there are fewer than
        two rows.
    """
    import numpy as np

    from data_prep.own_data.labels import parse_labels, read_labels
    from emosphere_sb.fileio.path_index import locate_file

    path, paths, labels = Path(path), [], []
    for line, row, problem in read_labels(path, path_columns=PATH_COLUMNS):
        if problem:
            raise ValueError(f"{path}: {problem}.")
        try:
            labels.append(parse_labels(row))
        except ValueError as error:
            raise ValueError(
                f"{path}, line {line}: labels must be numbers or empty; {error}."
            ) from error
        paths.append(locate_file(row["file"], ["", os.fspath(path.parent)]))
    if len(paths) < 2:
        raise ValueError(f"{path} must list at least two labelled files; found {len(paths)}.")
    return paths, np.array(labels, dtype=float)


def print_ccc(options: argparse.Namespace, paths: Sequence[str], labels: np.ndarray) -> None:
    """Print the CCC of the original and exported models on labelled files."""
    from emosphere_sb.inference.torch_predictor import TorchPredictor
    from emosphere_sb.onnx_export.export import ccc_on_files
    from emosphere_sb.onnx_export.predictor import OnnxEmoSphere
    from emosphere_sb.results.constants import SYNTHETIC_MODEL_NOTE

    models = {"torch": TorchPredictor.from_pretrained(options.model, device="cpu")}
    for int8 in (False, True)[: 1 + options.int8]:
        models["int8" if int8 else "float32"] = OnnxEmoSphere.from_pretrained(
            Path(options.out), int8=int8
        )
    scores = {name: ccc_on_files(model, paths, labels) for name, model in models.items()}
    print(f"CCC on {len(paths)} files of {options.labels}:")
    if models["torch"].info.synthetic:
        print(SYNTHETIC_MODEL_NOTE)
    for name, row in scores.items():
        loss = "" if name == "torch" else f"  (loss {scores['torch']['mean'] - row['mean']:+.4f})"
        cells = "  ".join(f"{key} {value:.4f}" for key, value in row.items())
        print(f"  {name:<8} {cells}{loss}")

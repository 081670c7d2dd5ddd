"""``emosphere export``: a released model as ONNX, checked against itself."""

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
"""Columns of the table of ``--labels`` that may hold the path."""

DESCRIPTION = """\
Writes a released model as ONNX: model.onnx (inputs waveform and lengths, outputs vad, embedding and
logits), its description, card and checksums. It runs on onnxruntime without torch:

  emosphere export MODEL OUT
  emosphere predict OUT speech.wav --onnx

What is written is compared with the model first, on the files of --check or on made sound; a
difference above 1e-4 is an error, and nothing is written. --int8 adds model_int8.onnx, smaller and
faster, whose difference is printed. --labels says what it costs in CCC: a CSV with the columns file
(or wav: a path, as it is or from the CSV's folder), valence, arousal and dominance on the scale of
the model's training labels.
"""


def run(words: Sequence[str]) -> int:
    """Run the command.

    Arguments
    ---------
    words : sequence of str
        What stands behind ``emosphere export``.

    Returns
    -------
    int
        0.

    Raises
    ------
    ValueError, OSError, ImportError
        If the command line, the model or a file is at fault, or what exports is not installed.
    """
    options = parser().parse_args(words)
    from emosphere_sb.onnx_export.export import TOLERANCE, export, require

    require()
    labels = None
    if options.labels is not None:
        labels = read_labelled_files(options.labels)
    found = export(options.model, options.out, int8=options.int8, check=heard(options))
    what = f"{len(options.check)} files" if options.check else "made sound"
    print(f"Exported to {found.path}, compared with the model on {what}, alone and in one batch:")
    for name, differences in found.deviations.items():
        print(f"  {name}  {found.sizes[name] / 1e6:.1f} MB  {listed(differences)}")
    print(f"A float32 graph may differ by {TOLERANCE:g} at the most.")
    if labels is not None:
        print_ccc(options, *labels)
    return 0


def parser() -> CommandParser:
    """The command line."""
    made = CommandParser("export", DESCRIPTION)
    made.add_argument("model", metavar="MODEL", help="the folder of a released model, or its name")
    made.add_argument("out", metavar="OUT", help="a new or empty folder")
    made.add_argument("--int8", action="store_true", help="write model_int8.onnx too")
    made.add_argument(
        "--check", nargs="+", metavar="FILE", default=[], help="audio to compare on (default: made)"
    )
    made.add_argument("--labels", metavar="CSV", help="what each graph's CCC is on these files")
    return made


def heard(options: argparse.Namespace) -> list[Any] | None:
    """The files of ``--check``, up to the length that the model hears; ``None`` for none."""
    if not options.check:
        return None
    from emosphere_sb.inference.waveform import LONGEST, hear_file

    # No model is loaded yet: half a minute of each tells as much as all of it.
    seconds = min(LONGEST, 30.0)
    return [hear_file(path, seconds=seconds, tensors=False).signal for path in options.check]


def listed(differences: Mapping[str, float]) -> str:
    """Differences in words."""
    return ", ".join(f"{name} differs by {value:.1e}" for name, value in differences.items())


def read_labelled_files(path: str | os.PathLike) -> tuple[list[str], np.ndarray]:
    """Audio files and their labels from a table such as the corpus OwnData has.

    Arguments
    ---------
    path : path
        A CSV with the columns ``file`` or ``wav``, ``valence``, ``arousal``, ``dominance``. Paths
        are taken as they are or, where there is no such file, from the CSV's folder.

    Returns
    -------
    paths : list of str
        Of the audio files.
    labels : numpy.ndarray
        Shape (file, 3), NaN where the table has no value.

    Raises
    ------
    ValueError
        If a column is missing, a row is damaged, a label is no number, or there are fewer than two
        rows.
    """
    import numpy as np

    from data_prep.own_data.reader import parse_labels, read_labels

    path, paths, labels = Path(path), [], []
    for line, row, problem in read_labels(path, path_columns=PATH_COLUMNS):
        if problem:
            raise ValueError(f"{path}: {problem}.")
        try:
            labels.append(parse_labels(row))
        except ValueError as error:
            raise ValueError(
                f"{path}, line {line}: labels must be numbers, or empty; {error}."
            ) from error
        given = Path(row["file"])
        paths.append(os.fspath(given if given.exists() else path.parent / given))
    if len(paths) < 2:
        raise ValueError(f"{path} must have two labelled files at least; found {len(paths)}.")
    return paths, np.array(labels, dtype=float)


def print_ccc(options: argparse.Namespace, paths: Sequence[str], labels: np.ndarray) -> None:
    """CCC of the model and of each graph on labelled files, and what a graph loses."""
    from emosphere_sb.inference.interface import EmoSphere
    from emosphere_sb.onnx_export.export import ccc_on_files
    from emosphere_sb.onnx_export.predictor import OnnxEmoSphere

    models = {"torch": EmoSphere.from_pretrained(options.model, device="cpu")}
    for int8 in (False, True)[: 1 + options.int8]:
        models["int8" if int8 else "float32"] = OnnxEmoSphere.from_pretrained(
            Path(options.out), int8=int8
        )
    figures = {name: ccc_on_files(model, paths, labels) for name, model in models.items()}
    print(f"CCC on {len(paths)} files of {options.labels}:")
    for name, row in figures.items():
        lost = "" if name == "torch" else f"  (loss {figures['torch']['mean'] - row['mean']:+.4f})"
        cells = "  ".join(f"{key} {value:.4f}" for key, value in row.items())
        print(f"  {name:<8} {cells}{lost}")

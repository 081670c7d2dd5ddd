"""``emosphere evaluate``: evaluate a released or public model on a corpus."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emosphere_sb.commands.arguments import CommandParser, add_precision_options

DESCRIPTION = """\
Evaluate a released or public model on the test sets of a corpus. Write predictions/<set>.csv and
metrics.json to a folder that `emosphere report` and `emosphere submission` accept in place of a run
folder. Predictions are converted to the label scale of the corpus.

MODEL is a folder written by `emosphere release`, a name on the Hugging Face Hub, or the folder of a
public checkpoint (audeering, Odyssey 2024 baseline, Vox-Profile).
CORPUS is MSP-Podcast, IEMOCAP, MSP-IMPROV or OwnData.

  emosphere evaluate released/ MSP-Podcast --data_folder=/path/to/MSP-PODCAST --set=test1
  emosphere evaluate audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim IEMOCAP --data_folder=…
  emosphere evaluate my_model OwnData --data_folder=… --test_options="{label_low: 1, label_high: 7}"
"""


def run(argv: Sequence[str]) -> int:
    """Run ``emosphere evaluate``.

    Arguments
    ---------
    argv : sequence of str
        Arguments after ``emosphere evaluate``.

    Returns
    -------
    int
        Exit status 0.

    Raises
    ------
    ValueError, OSError
        If the command line, the corpus or the model is invalid.
    """
    options = build_evaluate_parser().parse_args(argv)
    if options.batch_size < 1:
        raise ValueError(f"--batch_size must be at least 1; found {options.batch_size}.")
    from emosphere_sb.inference.evaluation import check_output_folder, evaluate, select_sets
    from emosphere_sb.inference.torch_predictor import TorchPredictor
    from emosphere_sb.recipe.corpora import corpus_name
    from emosphere_sb.recipe.cross_corpus import OtherCorpus, prepare_test_corpus
    from emosphere_sb.recipe.run import check_device

    check_device({"device": options.device})
    corpus = corpus_name(options.corpus)
    summary, given = prepare_test_corpus(settings_of(options), corpus, option="--data_folder")
    rows = select_sets(summary, options.set, option="--data_folder")
    if options.out is not None:
        check_output_folder(Path(options.out))
    model = TorchPredictor.from_pretrained(
        options.model, device=options.device, precision=options.precision,
        revision=options.revision,
    )  # fmt: skip
    folder = Path(options.out or default_evaluation_folder(options, summary, model.info.name))
    metrics = evaluate(
        model, OtherCorpus(corpus, summary, rows, given), folder, source=options.model,
        batch_size=options.batch_size, command=shlex.join(["emosphere", "evaluate", *argv]),
    )  # fmt: skip
    print(evaluation_summary(metrics))
    return 0


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings for preparing the corpus: ``emosphere.yaml`` with the given options."""
    from emosphere_sb.fileio.yaml_tree import read_tree, scalars
    from emosphere_sb.recipe.cross_corpus import HPARAMS_FILE

    return {
        **scalars(read_tree(HPARAMS_FILE)),
        "test_data_folder": options.data_folder,
        "test_options": options.test_options,
        "results_folder": options.results_folder,
    }


def default_evaluation_folder(options: argparse.Namespace, summary, name: str) -> Path:
    """Return ``<results_folder>/<corpus>[-<release>]/evaluated/<model>``."""
    corpus = summary.corpus + (f"-{summary.release}" if summary.release else "")
    return Path(options.results_folder, corpus, "evaluated", folder_name(name))


def folder_name(name: str) -> str:
    """Convert the name of a model to a valid folder name.

    Example
    -------
    >>> folder_name("audeering/wav2vec2"), folder_name("MSP-Podcast 1.11 demo"), folder_name("..")
    ('audeering--wav2vec2', 'MSP-Podcast_1.11_demo', 'model')
    """
    folder = re.sub(r"[^\w.+-]+", "_", name.replace("/", "--")).strip(".")
    return folder or "model"


def evaluation_summary(metrics: Mapping[str, Any]) -> str:
    """Return the console output: model, licence, notes and table of metrics."""
    from emosphere_sb.console import ccc_table
    from emosphere_sb.results.constants import (
        NON_SET_KEYS,
        SYNTHETIC_MODEL_NOTE,
        SYNTHETIC_WARNING,
    )

    protocol = metrics["protocol"]
    model, sets = protocol["evaluated_model"], protocol["utterances"]
    results = {name: row for name, row in metrics.items() if name not in NON_SET_KEYS}
    corpus = " ".join(str(protocol[key]) for key in ("corpus", "release") if protocol[key])
    lines = [
        f"{model['name']} on {corpus}",
        f"Model licence: {model['licence'] or 'not specified'}",
        f"Conversion: {protocol['conversion']}",
    ]
    if protocol["note"]:
        lines.append(f"Note: {protocol['note']}")
    for name, reasons in protocol.get("left_out", {}).items():
        lines.append(f"Skipped in {name}: {len(reasons)} utterances, listed in metrics.json")
    if unlabelled := [name for name in sets if name not in results]:
        lines.append(f"No metrics for {', '.join(unlabelled)}: no labels are available")
    parts = [SYNTHETIC_WARNING] if protocol["synthetic"] else []
    if model["trained_on_synthetic_speech"]:
        lines.insert(1, SYNTHETIC_MODEL_NOTE)
    parts += ["\n".join(lines), *([ccc_table(results)] if results else [])]
    folder = metrics["run"]["folder"]
    parts.append(f"Results: {folder}\nNext: emosphere report '{folder}'")
    return "\n\n".join(parts)


def build_evaluate_parser() -> CommandParser:
    """Build the argument parser of ``emosphere evaluate``."""
    parser = CommandParser("evaluate", DESCRIPTION)
    add = parser.add_argument
    add("model", metavar="MODEL", help="folder or Hub name of the model")
    add("corpus", metavar="CORPUS", help="name of the corpus")
    add("--data_folder", required=True, metavar="FOLDER", help="folder of the corpus")
    add("--set", action="append", default=[], metavar="NAME",
        help="set to evaluate, or 'all'; may be repeated (default: the test sets)")  # fmt: skip
    add("--test_options", metavar="MAPPING", help="settings for the corpus: '{name: value, …}'")
    add("--out", metavar="FOLDER",
        help="output folder (default: RESULTS/CORPUS/evaluated/MODEL)")  # fmt: skip
    add("--results_folder", default="results", metavar="RESULTS",
        help="folder for results and manifests (default: results)")  # fmt: skip
    add("--batch_size", type=int, default=16, metavar="N",
        help="number of utterances per batch (default: 16)")  # fmt: skip
    add_precision_options(parser)
    add("--revision", metavar="NAME", help="branch, tag or commit of a model on the Hub")
    return parser

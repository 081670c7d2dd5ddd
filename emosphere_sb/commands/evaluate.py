"""``emosphere evaluate``: a released or public model on a corpus, as a run that reports take."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emosphere_sb.commands.arguments import CommandParser

DESCRIPTION = """\
Predicts the sets of a corpus with a released or a public model, and writes predictions/<set>.csv
and metrics.json into a folder that `emosphere report`, --compare, --average and `emosphere
submission` take as a run. Outputs are brought from the model's scale to the corpus's.

MODEL is a folder that `emosphere release` wrote, a name on the HuggingFace hub, or the folder of a
public checkpoint (audeering, Odyssey 2024 baseline, Vox-Profile).
CORPUS is MSP-Podcast, IEMOCAP, MSP-IMPROV or OwnData.

  emosphere evaluate released/ MSP-Podcast --data_folder=/path/to/MSP-PODCAST --set=test1
  emosphere evaluate audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim IEMOCAP --data_folder=…
  emosphere evaluate my_model OwnData --data_folder=… --test_options="{label_low: 1, label_high: 7}"
"""


def run(words: Sequence[str]) -> int:
    """Run the command.

    Arguments
    ---------
    words : sequence of str
        What stands behind ``emosphere evaluate``.

    Returns
    -------
    int
        0.

    Raises
    ------
    ValueError, OSError
        If the command line, the corpus or the model is at fault.
    """
    options = parser().parse_args(words)
    if options.batch_size < 1:
        raise ValueError(f"--batch_size must be at least 1; found {options.batch_size}.")
    from emosphere_sb.inference.evaluation import chosen_sets, claim, evaluate
    from emosphere_sb.inference.interface import EmoSphere
    from emosphere_sb.recipe.corpora import corpus_name
    from emosphere_sb.recipe.cross_corpus import OtherCorpus, prepare_tested
    from emosphere_sb.recipe.run import check_device

    check_device({"device": options.device})
    corpus = corpus_name(options.corpus)
    summary, given = prepare_tested(settings_of(options), corpus, said_by="--data_folder")
    rows = chosen_sets(summary, options.set, said_by="--data_folder")
    if options.out is not None:
        claim(Path(options.out))
    model = EmoSphere.from_pretrained(
        options.model, device=options.device, revision=options.revision
    )
    folder = Path(options.out or default_folder(options, summary, model.about.name))
    metrics = evaluate(
        model, OtherCorpus(corpus, summary, rows, given), folder, source=options.model,
        batch_size=options.batch_size, command=shlex.join(["emosphere", "evaluate", *words]),
    )  # fmt: skip
    print(text_of(metrics))
    return 0


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that the preparation of a corpus asks for: those of ``emosphere.yaml``."""
    from emosphere_sb.fileio.yaml_tree import read_tree, scalars
    from emosphere_sb.recipe.cross_corpus import FILE

    return {
        **scalars(read_tree(FILE)),
        "test_data_folder": options.data_folder,
        "test_options": options.test_options,
        "results_folder": options.results_folder,
    }


def default_folder(options: argparse.Namespace, summary, name: str) -> Path:
    """``<results_folder>/<corpus>[-<release>]/evaluated/<model>``."""
    corpus = summary.corpus + (f"-{summary.release}" if summary.release else "")
    return Path(options.results_folder, corpus, "evaluated", folder_name(name))


def folder_name(name: str) -> str:
    """A model's name as a folder's.

    Example
    -------
    >>> folder_name("audeering/wav2vec2"), folder_name("MSP-Podcast 1.11 demo"), folder_name("..")
    ('audeering--wav2vec2', 'MSP-Podcast_1.11_demo', 'model')
    """
    made = re.sub(r"[^\w.+-]+", "_", name.replace("/", "--")).strip(".")
    return made or "model"


def text_of(metrics: Mapping[str, Any]) -> str:
    """What the command prints: whose figures, under which licence, what to mind, the table."""
    from emosphere_sb.console import ccc_table
    from emosphere_sb.results.constants import NON_SET_KEYS, SYNTHETIC

    protocol = metrics["protocol"]
    model, sets = protocol["evaluated_model"], protocol["utterances"]
    results = {name: row for name, row in metrics.items() if name not in NON_SET_KEYS}
    corpus = " ".join(str(protocol[key]) for key in ("corpus", "release") if protocol[key])
    lines = [
        f"{model['name']} on {corpus}",
        f"Licence of the model: {model['licence'] or 'it names none'}",
        f"Conversion: {protocol['conversion']}",
    ]
    if protocol["note"]:
        lines.append(f"Note: {protocol['note']}")
    for name, reasons in protocol.get("left_out", {}).items():
        lines.append(f"Left out of {name}: {len(reasons)} utterances, named in metrics.json")
    if unlabelled := [name for name in sets if name not in results]:
        lines.append(f"No figures for {', '.join(unlabelled)}: no labels")
    parts = [SYNTHETIC] if protocol["synthetic"] else []
    parts += ["\n".join(lines), *([ccc_table(results)] if results else [])]
    folder = metrics["run"]["folder"]
    parts.append(f"Predictions and figures: {folder}\nA report: emosphere report '{folder}'")
    return "\n\n".join(parts)


def parser() -> CommandParser:
    """The command line."""
    made = CommandParser("evaluate", DESCRIPTION)
    add = made.add_argument
    add("model", metavar="MODEL", help="a folder, or a name on the hub")
    add("corpus", metavar="CORPUS", help="one that recipes know")
    add("--data_folder", required=True, metavar="FOLDER", help="where the corpus is")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME",
        help="only this set, or all; repeat it",
    )
    add("--test_options", metavar="MAPPING", help="settings of the corpus, '{name: value, …}'")
    add("--out", metavar="FOLDER", help="default: RESULTS/CORPUS/evaluated/MODEL")
    add("--results_folder", default="results", metavar="RESULTS", help="manifests lie there too")
    add("--batch_size", type=int, default=16, metavar="N", help="utterances that run together")
    add("--device", metavar="NAME", help="cpu, cuda, cuda:1, … (default: a GPU where there is one)")
    add("--revision", metavar="NAME", help="of a model on the hub: branch, tag or commit")
    return made

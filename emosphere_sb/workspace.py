"""Where a run's things are on disk: demo corpus, manifests, corpus statistics, output folder."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import logging
from pathlib import Path
from types import ModuleType

from ruamel.yaml.comments import CommentedMap

from data_prep.manifest import Summary, prepare
from emosphere_sb.data import corpus_statistics, read_rows
from emosphere_sb.hparams import differences, dump, read_tree

logger = logging.getLogger(__name__)

# A corpus is one file in data_prep/ and its name here.
CORPORA = {"MSP-Podcast": "data_prep.msp_podcast", "OwnData": "data_prep.table"}


def corpus_module(corpus: str) -> ModuleType:
    """The module that reads a corpus's label files."""
    if corpus not in CORPORA:
        raise ValueError(f"Unknown corpus {corpus!r}. Allowed: {', '.join(CORPORA)}.")
    return importlib.import_module(CORPORA[corpus])


def find_corpus(settings: dict, corpus: str) -> Path:
    """The corpus's folder; where there is none but ``demo_size`` is set, the demo corpus is made."""
    if settings["data_folder"] is not None:
        return Path(str(settings["data_folder"]))
    if settings["demo_size"] is None:
        raise ValueError(
            f"Say where {corpus} is: --data_folder=/path/to/it. Without data, --row=demo trains on "
            f"synthetic speech that it makes first."
        )
    from data_prep import demo

    folder = Path(settings["results_folder"]) / "demo_corpus" / corpus / str(settings["demo_size"])
    logger.info("Synthetic speech in the layout of %s: %s", corpus, folder)
    demo.write(corpus, folder, size=settings["demo_size"])
    return folder


def prepare_corpus(settings: dict, corpus: str) -> Summary:
    """Write the manifests, or find them unchanged.

    A reader is given those settings that its ``read`` takes; each set of settings has a folder.
    """
    module = corpus_module(corpus)
    folder = find_corpus(settings, corpus)
    takes = inspect.signature(module.read).parameters
    options = {  # null means the reader's own default
        key: value
        for key, value in settings.items()
        if key in takes and key != "data_folder" and value is not None
    }
    limits = {key: settings[key] for key in ("min_duration", "max_duration")}
    key = json.dumps([str(folder.absolute()), limits, options], sort_keys=True)
    name = hashlib.sha256(key.encode()).hexdigest()[:12]
    return prepare(
        module,
        folder,
        Path(settings["results_folder"]) / corpus / "manifests" / name,
        skip=settings["skip_prep"],
        **limits,
        **options,
    )


def training_statistics(summary: Summary, *, workers: int = 2) -> tuple[float, float]:
    """Mean and deviation over the samples of the training files, kept beside the manifest.

    They are computed again when the manifest has changed.
    """
    manifest = summary.sets["train"]
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    path = manifest.with_name("statistics.json")
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["manifest"] == digest:
            return kept["mean"], kept["deviation"]
    logger.info("Mean and deviation over all training files (once; kept in %s)", path)
    mean, deviation = corpus_statistics(read_rows(manifest, summary.data_root), workers=workers)
    partial = path.with_suffix(".partial")
    partial.write_text(
        json.dumps({"manifest": digest, "mean": mean, "deviation": deviation}), encoding="utf-8"
    )
    partial.replace(path)
    return mean, deviation


def claim_folder(tree: CommentedMap, settings: dict, summary: Summary) -> Path:
    """Create the run's folder and save the merged hyperparameters in it.

    Raises
    ------
    ValueError
        If the folder holds a run whose hyperparameters differ in anything that changes the
        result, unless ``output_folder`` was given.
    """
    given = settings["output_folder"]
    folder = Path(str(given)) if given else default_folder(settings, summary)
    saved = folder / "hyperparams.yaml"
    if saved.is_file() and not given:
        different = differences(tree, read_tree(saved))
        if different:
            raise ValueError(
                f"{folder} holds a run with other values of {', '.join(different)}. Give this one "
                f"a folder of its own with --output_folder=…, or delete the old one."
            )
    folder.mkdir(parents=True, exist_ok=True)
    saved.write_text(dump(tree), encoding="utf-8")
    return folder


def default_folder(settings: dict, summary: Summary) -> Path:
    """``<results_folder>/<corpus>[-<release>]/<row>/<partition>/<seed>``."""
    corpus = summary.corpus + (f"-{summary.release}" if summary.release else "")
    partition = str(summary.protocol.get("partition", "given"))
    return Path(settings["results_folder"], corpus, settings["row"], partition, str(settings["seed"]))

"""Evaluate a released or public model on a corpus, and write the results as a run folder."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data_prep.manifest import TRAINING_SETS, Summary, read_manifest_rows
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.data.unreadable import MAX_UNREADABLE_SHARE
from emosphere_sb.inference.predictor import Predictor
from emosphere_sb.inference.torch_predictor import TorchPredictor
from emosphere_sb.recipe.cross_corpus import OtherCorpus, sets_to_test
from emosphere_sb.recipe.data_identity import TRAINING_DATA_KEY, count_shared, label_digests
from emosphere_sb.recipe.hparams import SAVED
from emosphere_sb.recipe.protocol import demo_upper_bound
from emosphere_sb.recipe.renamed_keys import unknown_name
from emosphere_sb.recipe.workspace import is_synthetic
from emosphere_sb.release.model import ModelInfo
from emosphere_sb.report.read.runs import METRICS_FILE
from emosphere_sb.results.metrics_json import (
    machine_description,
    prediction_digests,
    write_and_score_sets,
    write_metrics,
)
from emosphere_sb.results.predictions import predictions_table
from emosphere_sb.results.provenance import git_commit
from emosphere_sb.scale import Scale

logger = logging.getLogger(__name__)

EVALUATED_MODEL_KEY = "evaluated_model"
"""Key in the protocol that distinguishes evaluation folders from run folders."""


def select_sets(summary: Summary, names: Sequence[str], *, option: str) -> dict[str, dict]:
    """Return the manifest rows of the requested sets.

    Arguments
    ---------
    summary : Summary
        Summary of the corpus.
    names : sequence of str
        Names of sets, or ``all``. If empty, the official test sets are selected, or all utterances
        if the corpus has no official split.
    option : str
        Name of the command-line option for the corpus folder, used in messages.

    Raises
    ------
    ValueError
        If the corpus does not have one of the sets.
    """
    if not names:
        return sets_to_test(summary, option=option)
    rows = {
        name: read_manifest_rows(path, data_root=summary.data_root)
        for name, path in summary.sets.items()
    }
    rows["all"] = {key: row for part in rows.values() for key, row in part.items()}
    for name in names:
        if name not in rows:
            raise ValueError(f"--set: {unknown_name('set', name, rows)}")
    return {name: rows[name] for name in names}


def evaluate(
    model: TorchPredictor,
    tested: OtherCorpus,
    folder: Path,
    *,
    source: str = "",
    batch_size: int = 16,
    command: str = "",
) -> dict[str, Any]:
    """Predict all utterances on the corpus's label scale, and write the predictions and metrics.

    Arguments
    ---------
    model : TorchPredictor
        Model to evaluate.
    tested : OtherCorpus
        Corpus and manifest rows of its sets.
    folder : Path
        Output folder for ``predictions/<set>.csv`` and ``metrics.json``; see
        :func:`check_output_folder`.
    source : str
        Path or Hub name from which the model was loaded.
    batch_size : int
        Batch size. It changes predictions by at most 1e-5.
    command : str
        Command line, stored in ``metrics.json``.

    Returns
    -------
    dict
        Content of ``metrics.json``.

    Raises
    ------
    ValueError
        If more than 1% of a set cannot be read, or the folder contains other files.
    """
    check_output_folder(folder)
    about, summary, tables, skipped = model.info, tested.summary, {}, {}
    for name, rows in tested.rows.items():
        vad, scores, reasons = predict_set(model, name, rows, batch_size=batch_size)
        tables[name] = predictions_table(
            {key: row for key, row in rows.items() if key in vad}, vad,
            scale=summary.scale, regions=about.regions,
            probabilities=scores if about.head != "none" else None,
            classes=about.classes, head=about.head,
        )  # fmt: skip
        if reasons:
            skipped[name] = reasons
    remove_previous_results(folder)  # not before the new predictions are complete
    results = write_and_score_sets(folder, tables)
    protocol = {
        **evaluation_protocol(about, tested, source, precision=model.precision),
        **({"left_out": skipped} if skipped else {}),
    }
    metadata = {
        "folder": str(folder), "command": command, "commit": git_commit(),
        "machine": machine_description(),
        "predictions": prediction_digests(folder, tables),
    }  # fmt: skip
    extra = {"cap": demo_upper_bound(summary, tested.rows)}
    return write_metrics(folder / METRICS_FILE, results, protocol, metadata, extra)


def predict_set(
    model: Predictor, name: str, rows: Mapping[str, Mapping], *, batch_size: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, str]]:
    """Predict the utterances of a set.

    Returns
    -------
    vad : dict
        Valence, arousal and dominance (3,), nominally in [-1, 1] (not clipped), by utterance id.
    scores : dict
        Probabilities (classes,) of the class head by utterance id.
    reasons : dict
        Reasons for skipped utterances by utterance id.

    Raises
    ------
    ValueError
        If more than 1% of the utterances cannot be read.
    """
    vad, scores, reasons = {}, {}, {}
    results = model.predict_each(
        [row["wav"] for row in rows.values()], batch_size=batch_size, max_seconds="evaluation"
    )
    with_bar = tqdm(results, desc=name, total=len(rows), disable=not sys.stderr.isatty())
    for key, result in zip(rows, with_bar, strict=True):
        if isinstance(result, AudioError):
            logger.warning("Skipping utterance %s of %s: %s", key, name, result)
            reasons[key] = str(result)
        else:
            vad[key], scores[key] = result.vad, np.array(list(result.probabilities.values()))
    if len(reasons) > MAX_UNREADABLE_SHARE * len(rows):
        listed = "; ".join(f"{key}: {reason}" for key, reason in list(reasons.items())[:5])
        raise ValueError(
            f"{len(reasons)} of {len(rows)} utterances of {name} could not be read (limit: "
            f"{MAX_UNREADABLE_SHARE:.0%}): {listed}. Fix the audio files and re-run the command."
        )
    return vad, scores, reasons


def evaluation_protocol(
    about: ModelInfo, tested: OtherCorpus, source: str, *, precision: str = "fp32"
) -> dict[str, Any]:
    """Return the evaluation protocol, which must be reported together with the results."""
    summary = tested.summary
    metadata = tested.metadata()
    return {
        "corpus": metadata.pop("corpus"),
        "release": metadata.pop("release"),
        "scale": metadata.pop("scale"),
        "synthetic": is_synthetic(summary),
        **summary.protocol,
        **metadata,
        EVALUATED_MODEL_KEY: {
            "name": about.name,
            "source": source,
            "licence": about.licence,
            "scale": about.scale.to_dict(),
            "trained_on": training_corpus(about),
            "trained_on_synthetic_speech": about.synthetic,
        },
        "conversion": describe_conversion(about.scale, summary.scale),
        "note": training_note(about, summary, tested.rows),
        "max_seconds": about.max_seconds,
        "precision": precision,
        "heads": dict.fromkeys(tested.rows, None if about.head == "none" else about.head),
        "regions": {"step": about.region_step, "centre_radius": about.centre_radius},
    }


def training_corpus(about: ModelInfo) -> str:
    """Return the name and release of the training corpus; empty if the model does not state them.

    Example
    -------
    >>> training_corpus(ModelInfo("m", Scale(1, 7), facts={"protocol": {"corpus": "MSP-Podcast"}}))
    'MSP-Podcast'
    """
    protocol = about.facts.get("protocol", {})
    return " ".join(str(protocol[key]) for key in ("corpus", "release") if protocol.get(key))


def describe_conversion(own: Scale, corpus: Scale) -> str:
    """Describe how model outputs were converted to the corpus's label scale.

    Example
    -------
    >>> describe_conversion(Scale(0, 1), Scale(1, 5, ("arousal",)))
    "linear, from the model's scale (0 to 1) to the corpus's scale (1 to 5, arousal reversed)"
    """
    if own == corpus:
        return f"none: model and corpus have the same scale ({_scale_text(own)})"
    return (
        f"linear, from the model's scale ({_scale_text(own)}) to the corpus's scale "
        f"({_scale_text(corpus)})"
    )


def training_note(
    about: ModelInfo, summary: Summary, sets: Sequence[str] | Mapping[str, Mapping]
) -> str:
    """Return a note if the model was, or may have been, trained on the tested data.

    The label files and utterances are compared with those that the model records. The names of the
    corpora are compared for models without this record (public models, and version 0.1).

    Arguments
    ---------
    about : ModelInfo
        Description of the model.
    summary : Summary
        Summary of the tested corpus.
    sets : mapping or sequence of str
        Manifest rows of the tested sets by name and id; or only the names.

    Returns
    -------
    str
        The note for readers; empty if the model was trained on other data.
    """
    trained = training_corpus(about)
    if not trained:
        return "The training corpus of the model is unknown; it may be this corpus."
    identity = about.facts["protocol"].get(TRAINING_DATA_KEY)
    if identity and isinstance(sets, Mapping):
        return _note_on_same_data(trained, identity, summary, sets)
    if about.facts["protocol"]["corpus"] != summary.corpus or about.synthetic != is_synthetic(
        summary
    ):
        return ""
    if published := about.facts.get("published_as"):
        note = (
            f"The model has the architecture of {published}, which was trained on {trained}. It "
            f"may have been trained on the same corpus."
        )
    else:
        note = f"The model was trained on {trained}."
    learned = [name for name in sets if name in (*TRAINING_SETS, "all")]
    if learned:
        note += f" Results on {', '.join(learned)} do not show how well it generalises."
    else:
        note += " Test sets of another release or partition may overlap with its training data."
    return note


def _note_on_same_data(
    trained: str, identity: Mapping, summary: Summary, sets: Mapping[str, Mapping]
) -> str:
    """Return a note on the tested utterances that the model was trained on or selected with."""
    counts = {name: count_shared(identity, rows) for name, rows in sets.items()}
    learned = [name for name, (shared, _) in counts.items() if shared]
    if not learned and not set(identity["label_files"]) & set(label_digests(summary)):
        return ""
    note = f"The model was trained on {trained}."
    if not learned:
        return f"{note} The label files are the same, but the tested utterances are different."
    shares = [
        f"{shared:,} of the {compared:,} utterances of {name} compared"
        for name, (shared, compared) in counts.items()
        if shared
    ]
    return (
        f"{note} Results on {', '.join(learned)} do not show how well it generalises, because "
        f"training or model selection used {' and '.join(shares)}."
    )


def check_output_folder(folder: Path) -> None:
    """Check that the output folder is new, empty, or from an earlier evaluation.

    Raises
    ------
    ValueError
        If it contains anything else.
    """
    from emosphere_sb.release.checksums import read_json

    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    path = folder / METRICS_FILE
    known = folder.is_dir() and not (folder / SAVED).exists() and path.is_file()
    if not known or EVALUATED_MODEL_KEY not in read_json(path).get("protocol", {}):
        raise ValueError(
            f"--out must be a new or empty folder, or the folder of an earlier evaluation; "
            f"{folder} contains other files."
        )


def remove_previous_results(folder: Path) -> None:
    """Remove the files of an earlier evaluation, which may have used other sets."""
    (folder / METRICS_FILE).unlink(missing_ok=True)
    for path in (folder / "predictions").glob("*.csv"):
        path.unlink()


def _scale_text(scale: Scale) -> str:
    reversed_text = f", {' and '.join(scale.reversed)} reversed" if scale.reversed else ""
    return f"{scale.low:g} to {scale.high:g}{reversed_text}"

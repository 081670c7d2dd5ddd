"""A released or public model on the sets of a corpus, left behind as a run's folder."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data_prep.manifest import LEARNED_FROM, Summary, read_rows
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.data.unreadable import LIMIT
from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.recipe.cross_corpus import OtherCorpus, sets_to_test
from emosphere_sb.recipe.hparams import SAVED
from emosphere_sb.recipe.protocol import demo_cap
from emosphere_sb.recipe.renamed_keys import unknown_name
from emosphere_sb.recipe.workspace import is_synthetic
from emosphere_sb.release.model import About
from emosphere_sb.report.read.runs import METRICS
from emosphere_sb.results.metrics_json import (
    machine,
    predictions_digests,
    report_sets,
    write_metrics,
)
from emosphere_sb.results.predictions import predictions_table
from emosphere_sb.results.provenance import commit
from emosphere_sb.scale import Scale

logger = logging.getLogger(__name__)

KEY = "evaluated_model"
"""Of the protocol: what tells an evaluation's folder from a run's."""


def chosen_sets(summary: Summary, names: Sequence[str], *, said_by: str) -> dict[str, dict]:
    """Manifest rows of the sets that are asked for.

    Arguments
    ---------
    summary : Summary
        Of the corpus.
    names : sequence of str
        Its sets, or ``all``; where there is none, the official test sets, or all where the corpus
        has no official split.
    said_by : str
        What the user calls the corpus's folder, for messages.

    Raises
    ------
    ValueError
        If the corpus has no such set.
    """
    if not names:
        return sets_to_test(summary, said_by=said_by)
    rows = {
        name: read_rows(path, data_root=summary.data_root) for name, path in summary.sets.items()
    }
    rows["all"] = {key: row for part in rows.values() for key, row in part.items()}
    for name in names:
        if name not in rows:
            raise ValueError(f"--set: {unknown_name('set', name, rows)}")
    return {name: rows[name] for name in names}


def evaluate(
    model: EmoSphere,
    tested: OtherCorpus,
    folder: Path,
    *,
    source: str = "",
    batch_size: int = 16,
    command: str = "",
) -> dict[str, Any]:
    """Predict all utterances, on the corpus's scale, and write figures.

    Arguments
    ---------
    model : EmoSphere
        Any.
    tested : OtherCorpus
        The corpus and the rows of its sets.
    folder : Path
        Gets ``predictions/<set>.csv`` and ``metrics.json``; see :func:`claim`.
    source : str
        Where the model came from.
    batch_size : int
        Utterances that run together; it changes no figure by more than 1e-5.
    command : str
        That made it.

    Returns
    -------
    dict
        What stands in ``metrics.json``.

    Raises
    ------
    ValueError
        If more than 1% of a set cannot be heard, or the folder holds something else.
    """
    claim(folder)
    about, summary, tables, left_out = model.about, tested.summary, {}, {}
    for name, rows in tested.rows.items():
        vad, scores, reasons = predict_set(model, name, rows, batch_size=batch_size)
        tables[name] = predictions_table(
            {key: row for key, row in rows.items() if key in vad}, vad,
            scale=summary.scale, regions=about.regions,
            probabilities=scores if about.head != "none" else None,
            classes=about.classes, head=about.head,
        )  # fmt: skip
        if reasons:
            left_out[name] = reasons
    clear(folder)  # only now: what was there stays until there is something in its place
    results = report_sets(folder, tables)
    protocol = {
        **protocol_of(about, tested, source),
        **({"left_out": left_out} if left_out else {}),
    }
    facts = {
        "folder": str(folder), "command": command, "commit": commit(), "machine": machine(),
        "predictions": predictions_digests(folder, tables),
    }  # fmt: skip
    beside = {"cap": demo_cap(summary, tested.rows)}
    return write_metrics(folder / METRICS, results, protocol, facts, beside)


def predict_set(
    model: EmoSphere, name: str, rows: Mapping[str, Mapping], *, batch_size: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, str]]:
    """Predictions of a set.

    Returns
    -------
    tuple
        By id: VAD (3,) in [-1, 1], unclipped; the class head's probabilities (classes,); and why
        an utterance is left out.

    Raises
    ------
    ValueError
        If more than 1% of the utterances cannot be heard.
    """
    vad, scores, reasons = {}, {}, {}
    answers = model.predict_each([row["wav"] for row in rows.values()], batch_size=batch_size)
    shown = tqdm(answers, desc=name, total=len(rows), disable=not sys.stderr.isatty())
    for key, answer in zip(rows, shown, strict=True):
        if isinstance(answer, AudioError):
            logger.warning("Utterance %s of %s is left out: %s", key, name, answer)
            reasons[key] = str(answer)
        else:
            vad[key], scores[key] = answer.vad, np.array(list(answer.probabilities.values()))
    if len(reasons) > LIMIT * len(rows):
        listed = "; ".join(f"{key}: {reason}" for key, reason in list(reasons.items())[:5])
        raise ValueError(
            f"The audio of {len(reasons)} of {len(rows)} utterances of {name} cannot be heard, "
            f"more than {LIMIT:.0%}: {listed}. Mend the files and start the command again."
        )
    return vad, scores, reasons


def protocol_of(about: About, tested: OtherCorpus, source: str) -> dict[str, Any]:
    """What the figures must be quoted with."""
    summary = tested.summary
    facts = tested.facts()
    return {
        "corpus": facts.pop("corpus"),
        "release": facts.pop("release"),
        "scale": facts.pop("scale"),
        "synthetic": is_synthetic(summary),
        **summary.protocol,
        **facts,
        KEY: {
            "name": about.name,
            "source": source,
            "licence": about.licence,
            "scale": about.scale.to_dict(),
            "trained_on": trained_on(about),
            "trained_on_synthetic_speech": about.synthetic,
        },
        "conversion": conversion_text(about.scale, summary.scale),
        "note": training_note(about, summary, tuple(tested.rows)),
        "max_seconds": about.max_seconds,
        "precision": "fp32",
        "heads": dict.fromkeys(tested.rows, None if about.head == "none" else about.head),
        "regions": {"step": about.region_step, "centre_radius": about.centre_radius},
    }


def trained_on(about: About) -> str:
    """The corpus and its release, as far as the model says.

    Example
    -------
    >>> trained_on(About("m", Scale(1, 7), facts={"protocol": {"corpus": "MSP-Podcast"}}))
    'MSP-Podcast'
    """
    protocol = about.facts.get("protocol", {})
    return " ".join(str(protocol[key]) for key in ("corpus", "release") if protocol.get(key))


def conversion_text(own: Scale, corpus: Scale) -> str:
    """How outputs became values on the corpus's scale.

    Example
    -------
    >>> conversion_text(Scale(0, 1), Scale(1, 5, ("arousal",)))
    "from the model's scale, 0 to 1, to the corpus's, 1 to 5 (arousal upside down): ends to ends, \
middle to middle"
    """
    if own == corpus:
        return f"none: the model's scale, {_ends(own)}, is the corpus's"
    return (
        f"from the model's scale, {_ends(own)}, to the corpus's, {_ends(corpus)}: ends to ends, "
        f"middle to middle"
    )


def training_note(about: About, summary: Summary, sets: Sequence[str]) -> str:
    """What a reader must know where the model learned, or may have, from the corpus itself.

    Returns
    -------
    str
        Empty where it was trained on something else.
    """
    trained = trained_on(about)
    if not trained:
        return "Nothing says what the model was trained on: it may have been on this corpus."
    if about.facts["protocol"]["corpus"] != summary.corpus or about.synthetic != is_synthetic(
        summary
    ):
        return ""
    if published := about.facts.get("published_as"):
        said = f"{published}, in whose layout the model is, was trained on {trained}; so may it."
    else:
        said = f"The model was trained on {trained}."
    learned = [name for name in sets if name in (*LEARNED_FROM, "all")]
    if learned:
        said += f" Figures on {', '.join(learned)} say nothing about speech that it has not met."
    else:
        said += " Another release or partition may test on what it learned from."
    return said


def claim(folder: Path) -> None:
    """See that a folder may be written: new, empty, or of an earlier evaluation.

    Raises
    ------
    ValueError
        If it holds anything else.
    """
    from emosphere_sb.release.checksums import read_json

    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    path = folder / METRICS
    known = folder.is_dir() and not (folder / SAVED).exists() and path.is_file()
    if not known or KEY not in read_json(path).get("protocol", {}):
        raise ValueError(
            f"--out must be a new or an empty folder, or one of an earlier evaluation; {folder} "
            f"holds something else."
        )


def clear(folder: Path) -> None:
    """Take an earlier evaluation's files away: it may have had other sets."""
    (folder / METRICS).unlink(missing_ok=True)
    for path in (folder / "predictions").glob("*.csv"):
        path.unlink()


def _ends(scale: Scale) -> str:
    turned = f" ({', '.join(scale.reversed)} upside down)" if scale.reversed else ""
    return f"{scale.low:g} to {scale.high:g}{turned}"

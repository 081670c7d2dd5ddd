"""The YAML header of a model card: what the HuggingFace hub reads of it."""

from __future__ import annotations

import math
from typing import Any

import yaml

from emosphere_sb.release.card_tables import CHOSEN_ON
from emosphere_sb.release.model import About
from emosphere_sb.release.origin import corpus_of, hub_name
from emosphere_sb.report.read.runs import Run
from emosphere_sb.scale import DIMENSIONS

TAGS = (
    "speechbrain", "speech", "audio", "emotion-recognition", "speech-emotion-recognition",
    "valence", "arousal", "dominance", "emosphere",
)  # fmt: skip


def header(about: About, run: Run) -> str:
    """The header between its two lines of dashes.

    Figures of a model that was trained on synthetic speech are left out: a list of results would
    show them without the warning.
    """
    facts: dict[str, Any] = {
        "library_name": "speechbrain",
        "pipeline_tag": "audio-classification",
        "license": "other",
        "license_name": "see-model-card",
        "tags": [*TAGS, *(["synthetic"] if about.synthetic else [])],
    }
    backbone = str(run.protocol["backbone"])
    if hub_name(backbone):
        facts["base_model"] = backbone
    if language := getattr(corpus_of(run.protocol), "LANGUAGE", ""):
        facts["language"] = language
    if not about.synthetic:
        facts["datasets"] = [slug(run.protocol["corpus"])]
        facts["metrics"] = ["ccc"]
        facts["model-index"] = [{"name": about.name, "results": results(run)}]
    text = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)
    return f"---\n{text}---"


def results(run: Run) -> list[dict[str, Any]]:
    """CCC of every labelled set but the one on which the weights were chosen, in the hub's form."""
    protocol = run.protocol
    title = " ".join(filter(None, (protocol["corpus"], protocol["release"])))
    found = []
    for name in (name for name in run.labelled if name != CHOSEN_ON):
        row = run.metrics[name]
        values = {d: row[d]["ccc"] for d in DIMENSIONS} | {"mean": row["mean_ccc"]}
        metrics = [
            {"type": "ccc", "name": f"CCC, {d}", "value": round(float(value), 4)}
            for d, value in values.items()
            if value is not None and math.isfinite(value)
        ]
        dataset = {"name": f"{title}, {name}", "type": slug(protocol["corpus"]), "split": name}
        task = {"type": "audio-classification", "name": "valence, arousal, dominance"}
        if metrics:
            found.append({"task": task, "dataset": dataset, "metrics": metrics})
    return found


def slug(corpus: str) -> str:
    """A corpus's name as hubs write it.

    Example
    -------
    >>> slug("MSP-Podcast")
    'msp-podcast'
    """
    return "-".join(corpus.lower().split())

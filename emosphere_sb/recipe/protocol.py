"""Metadata to report with the metrics of a run, and the upper limit on synthetic speech."""

from __future__ import annotations

import torch

from emosphere_sb.data.dataset import normalised_vad
from emosphere_sb.fileio.json_file import read_json_mapping
from emosphere_sb.recipe.corpora import corpus_module
from emosphere_sb.recipe.data_identity import TRAINING_DATA_KEY, training_data
from emosphere_sb.recipe.workspace import STAMP, Summary, is_synthetic
from emosphere_sb.scale import Scale
from emosphere_sb.training.brain import EmoSphereBrain


def demo_upper_bound(summary: Summary, rows: dict[str, dict]) -> dict[str, dict]:
    """Return the upper bound on the metrics on synthetic speech; empty for a real corpus.

    The bound results from the noise of the simulated raters. It is known per split or per session;
    in the latter case, it is returned only for sets that consist of a single session.
    """
    if not is_synthetic(summary):
        return {}
    names = getattr(corpus_module(summary.corpus), "SETS", {})
    remedy = "Delete the folder of the synthetic corpus to generate it again."
    cap = read_json_mapping(summary.data_root / STAMP, remedy=remedy, keys=["cap"])["cap"]
    cap = {names.get(part.lower(), part): values for part, values in cap.items()}
    sessions = {name: {row["session"] for row in part.values()} for name, part in rows.items()}
    part_of = {name: name if name in cap else "+".join(sorted(sessions[name])) for name in rows}
    return {name: cap[part] for name, part in part_of.items() if part in cap}


def emotion_centroids(rows: dict[str, dict], scale: Scale) -> dict[str, dict]:
    """Return the mean VAD in [-1, 1] and the number of utterances for each emotion.

    Utterances with an unknown dimension are excluded.
    """
    vad_by_emotion: dict[str, list] = {}
    for row in rows.values():
        vad = normalised_vad(row, scale)
        if row["emotion"] and bool(vad.isfinite().all()):
            vad_by_emotion.setdefault(row["emotion"], []).append(vad)
    return {
        emotion: {
            "vad": [round(float(value), 6) for value in torch.stack(found).mean(dim=0)],
            "utterances": len(found),
        }
        for emotion, found in sorted(vad_by_emotion.items())
    }


def protocol_metadata(summary: Summary, settings: dict, brain: EmoSphereBrain, rows: dict) -> dict:
    """Return the ``protocol`` section of ``metrics.json``: corpus, partition, settings, scale."""
    keys = ("preset", "seed", "max_seconds", "normalisation", "backbone", "shuffle_labels")
    return {
        "corpus": summary.corpus,
        "release": summary.release,
        "scale": summary.scale.to_dict(),
        "synthetic": is_synthetic(summary),
        **summary.protocol,
        "utterances": {name: len(part) for name, part in rows.items()},
        "classes_kept": {
            name: sorted({row["emotion"] for row in part.values()} - {""})
            for name, part in rows.items()
        },
        "emotions": emotion_centroids(rows["train"], summary.scale),
        **{key: settings[key] for key in keys},
        "precision": brain.precision,  # may differ from the setting: fp16 requires a GPU
        **brain.checkpoint_metadata(),
        TRAINING_DATA_KEY: training_data(summary, rows),
    }

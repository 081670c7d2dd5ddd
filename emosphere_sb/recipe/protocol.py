"""What the figures of a run must be quoted with, and held against."""

from __future__ import annotations

import json

import torch

from emosphere_sb.data.dataset import vad_of
from emosphere_sb.recipe.corpora import corpus_module
from emosphere_sb.recipe.workspace import STAMP, Summary, is_synthetic
from emosphere_sb.scale import Scale
from emosphere_sb.training.brain import EmoSphereBrain


def demo_cap(summary: Summary, rows: dict[str, dict]) -> dict[str, dict]:
    """What the simulated raters' noise lets a perfect model reach; empty for a real corpus.

    It is known for each split, or for each session: then for the sets that are one session.
    """
    if not is_synthetic(summary):
        return {}
    names = getattr(corpus_module(summary.corpus), "SETS", {})
    cap = json.loads((summary.data_root / STAMP).read_text(encoding="utf-8"))["cap"]
    cap = {names.get(part.lower(), part): values for part, values in cap.items()}
    sessions = {name: {row["session"] for row in part.values()} for name, part in rows.items()}
    part_of = {name: name if name in cap else "+".join(sorted(sessions[name])) for name in rows}
    return {name: cap[part] for name, part in part_of.items() if part in cap}


def emotion_places(rows: dict[str, dict], scale: Scale) -> dict[str, dict]:
    """Where the utterances of each emotion lie on average: VAD in [-1, 1], and how many they are.

    Utterances with an unknown dimension do not count.
    """
    places: dict[str, list] = {}
    for row in rows.values():
        vad = vad_of(row, scale)
        if row["emotion"] and bool(vad.isfinite().all()):
            places.setdefault(row["emotion"], []).append(vad)
    return {
        emotion: {
            "vad": [round(float(value), 6) for value in torch.stack(found).mean(dim=0)],
            "utterances": len(found),
        }
        for emotion, found in sorted(places.items())
    }


def protocol_facts(summary: Summary, settings: dict, brain: EmoSphereBrain, rows: dict) -> dict:
    """What a figure must be quoted with."""
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
        "emotions": emotion_places(rows["train"], summary.scale),
        **{key: settings[key] for key in keys},
        "precision": brain.precision,  # fp16 is asked for and not to be had without a GPU
        **brain.checkpoint_metadata(),
    }

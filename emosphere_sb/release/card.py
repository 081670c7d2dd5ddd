"""The model card of a released model, generated from its run: nothing in it is typed by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import yaml

from emosphere_sb.release.card_tables import (
    CHOSEN_ON,
    calibration_table,
    fact_lines,
    figures_table,
    quoted,
    words_table,
)
from emosphere_sb.release.model import About
from emosphere_sb.release.origin import corpus_of, hub_name, public_command, public_name
from emosphere_sb.report.read.runs import Run
from emosphere_sb.results.number_format import seconds_text
from emosphere_sb.scale import DIMENSIONS

TAGS = (
    "speechbrain", "speech", "audio", "emotion-recognition", "speech-emotion-recognition",
    "valence", "arousal", "dominance", "emosphere",
)  # fmt: skip
SYNTHETIC = (
    "> **SYNTHETIC SPEECH.** This model was trained and tested on speech that a program made. None "
    "of its figures says anything about human speech, and neither do its predictions."
)
SHUFFLED = (
    "> **SHUFFLED LABELS.** This model was trained on labels that were dealt out anew, as a check "
    "for leaks. It has learned nothing, and must not."
)
LIMITS = """\
- Its output is how listeners of the training data would rate the sound of an utterance, on average.
  It is not what a person feels, and no fact about a person.
- Not for decisions about people: not in medicine, not at work or in school, not by police or at
  borders. Where speakers do not know and have not agreed, it must not be used on them.
- Other languages, ages, ways of speaking, rooms and microphones than those of the training data
  give other errors than those above, mostly larger ones.
- Values are not clipped and may lie outside of [-1, 1]. Predictions lie closer together than true
  ratings where the slope above is below 1.
- An utterance of a few seconds is what it was trained on; of longer recordings take windows."""
CITATION = """\
```bibtex
@inproceedings{cho2025emosphere,
  title = {EmoSphere-SER: Enhancing Speech Emotion Recognition Through Spherical Representation with Auxiliary Classification},
  author = {Cho and Oh and Kim and Lee},
  booktitle = {Interspeech}, year = {2025}, pages = {4653--4657},
  doi = {10.21437/Interspeech.2025-1391}
}
```"""  # noqa: E501


def model_card(about: About, run: Run, *, resamples: int = 10_000, seed: int = 0) -> str:
    """A model card in the HuggingFace hub's format, as Markdown with a YAML header.

    Arguments
    ---------
    about : About
        What is known of the model.
    run : emosphere_sb.report.read.runs.Run
        The finished run that it was trained in.
    resamples, seed : int
        Of the bootstrap for the intervals.

    Returns
    -------
    str
        Of a model trained on synthetic speech it says so first of all.
    """
    protocol = run.protocol
    sections = [
        yaml_header(about, run),
        f"# {quoted(about.name)}",
        *_warnings(about, protocol),
        _summary(about, protocol),
        "## Use",
        _use(about),
        "## Training data and protocol",
        _data(about, protocol),
        "## Figures",
        *figures_table(run, resamples=resamples, seed=seed),
        "## Calibration",
        *calibration_table(run),
        *words_table(about),
        "## Limits",
        _limits(protocol),
        "## Licence and terms",
        f"{about.licence}\n\nThe code of emosphere-sb is under Apache-2.0.",
        "## Citation",
        CITATION,
        "## Where it comes from",
        _origin(run),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def yaml_header(about: About, run: Run) -> str:
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


def _warnings(about: About, protocol: Mapping[str, Any]) -> list[str]:
    said = [SYNTHETIC] if about.synthetic else []
    return said + ([SHUFFLED] if protocol.get("shuffle_labels") else [])


def _summary(about: About, protocol: Mapping[str, Any]) -> str:
    low, high = about.scale.low, about.scale.high
    text = (
        f"Valence, arousal and dominance from speech: EmoSphere-SER on "
        f"{public_name(protocol['backbone'])}. A prediction is a point around neutral, each "
        f"dimension in [-1, 1] and on the training data's own scale of {low:g} to {high:g}, with "
        f"its region of the sphere and an embedding of the utterance."
    )
    if about.head == "none":
        return f"{text} It has no class head: none was in training at these weights."
    return (
        f"{text} Its class head gives probabilities of {about.head}s: {', '.join(about.classes)}."
    )


def _use(about: About) -> str:
    return (
        "```python\n"
        "from emosphere_sb import EmoSphere\n\n"
        'model = EmoSphere.from_pretrained("path/to/this/folder")  # or its name on the hub\n'
        'said = model.predict("speech.wav")\n'
        "said.valence, said.arousal, said.dominance, said.region, said.embedding\n"
        "```\n\n"
        "```\n"
        "emosphere predict path/to/this/folder speech.wav\n"
        "```\n\n"
        "The folder holds tensors and plain data, no code."
    )


def _data(about: About, protocol: Mapping[str, Any]) -> str:
    speech = getattr(corpus_of(protocol), "SPEECH", "")
    if about.synthetic:
        speech = "synthetic speech in that corpus's layout, none of its recordings"
    cut = "whole" if about.max_seconds is None else f"first {about.max_seconds:g} s"
    facts = {
        "corpus": f"{protocol['corpus']} ({speech})" if speech else protocol["corpus"],
        "release": protocol["release"],
        "partition": protocol.get("partition"),
        "fold": protocol.get("fold"),
        "utterances": protocol["utterances"],
        "emotions left out": protocol.get("drop") or {},
        "emotions kept in training": protocol.get("classes_kept", {}).get("train"),
        "heard of an utterance": cut,
        "normalisation of the waveform": protocol.get("normalisation"),
        "label scale": about.scale.to_dict(),
        "row of the configuration": protocol["preset"],
        "seed": protocol.get("seed"),
        "precision of training and test": protocol.get("precision"),
        "epoch of the weights": protocol.get("best_epoch"),
        "epochs that the weights are the mean of": protocol.get("averaged_epochs"),
    }
    return fact_lines({name: value for name, value in facts.items() if value is not None})


def _limits(protocol: Mapping[str, Any]) -> str:
    speech = getattr(corpus_of(protocol), "SPEECH", "")
    told = "synthetic speech" if protocol["synthetic"] else speech
    return f"- Trained on {told or protocol['corpus']}.\n{LIMITS}"


def _origin(run: Run) -> str:
    facts, protocol = run.metrics["run"], run.protocol
    own = {
        "command": public_command(facts.get("command") or ""),
        "commit": facts.get("commit"),
        "versions": protocol.get("versions"),
        "trained on": facts.get("machine"),
        "training took": seconds_text(facts["training_seconds"])
        if facts.get("training_seconds")
        else None,
    }
    return fact_lines({name: value for name, value in own.items() if value})

"""Model card of a released model, generated from the results of its run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import yaml

from emosphere_sb.release.card_tables import (
    CHOSEN_ON,
    calibration_table,
    classes_table,
    fact_lines,
    metrics_table,
    quoted,
    words_table,
)
from emosphere_sb.release.model import ModelInfo
from emosphere_sb.release.origin import corpus_of, is_hub_name, public_command, public_name
from emosphere_sb.report.read.runs import Run
from emosphere_sb.results.number_format import format_duration
from emosphere_sb.scale import DIMENSIONS

TAGS = (
    "speechbrain", "speech", "audio", "emotion-recognition", "speech-emotion-recognition",
    "valence", "arousal", "dominance", "emosphere",
)  # fmt: skip
SYNTHETIC = (
    "> **SYNTHETIC SPEECH.** This model was trained and tested on computer-generated speech. Its "
    "metrics and predictions are meaningless for human speech."
)
SHUFFLED = (
    "> **SHUFFLED LABELS.** This model was trained on randomly shuffled labels, to check for "
    "information leaks. It should not perform better than chance."
)
LIMITS = """\
- The model predicts how the raters of the training data would perceive an utterance on average. It
  does not measure what a person feels, and its output is not a fact about a person.
- Do not use it for decisions about people, for example in medicine, employment, education, policing
  or border control. Do not use it on speakers without their knowledge and consent.
- Expect larger errors for languages, age groups, speaking styles, rooms and microphones that differ
  from those in the training data.
- Values are not clipped and can be outside [-1, 1]. If the scale ratio in the table above is
  below 1, predictions vary less than the true ratings.
- The model was trained on utterances of a few seconds. Process longer recordings in windows."""
CITATION = """\
```bibtex
@inproceedings{cho2025emosphere,
  title = {EmoSphere-SER: Enhancing Speech Emotion Recognition Through Spherical Representation with Auxiliary Classification},
  author = {Cho and Oh and Kim and Lee},
  booktitle = {Interspeech}, year = {2025}, pages = {4653--4657},
  doi = {10.21437/Interspeech.2025-1391}
}
```"""  # noqa: E501


def model_card(info: ModelInfo, run: Run, *, resamples: int = 10_000, seed: int = 0) -> str:
    """Generate a model card in the format of the Hugging Face Hub.

    Arguments
    ---------
    info : ModelInfo
        Metadata of the model.
    run : emosphere_sb.report.read.runs.Run
        Finished run in which the model was trained.
    resamples, seed : int
        Number of resamples and random seed of the bootstrap for the confidence intervals.

    Returns
    -------
    str
        Markdown with a YAML header. The card of a model trained on synthetic speech begins with a
        warning.
    """
    protocol = run.protocol
    sections = [
        yaml_header(info, run),
        f"# {quoted(info.name)}",
        *_warnings(info, protocol),
        _summary(info, protocol),
        "## Usage",
        _usage(info),
        "## Training data and protocol",
        _data(info, protocol),
        "## Evaluation results",
        *metrics_table(run, resamples=resamples, seed=seed),
        *classes_table(run, info),
        "## Calibration",
        *calibration_table(run),
        *words_table(info),
        "## Limitations",
        _limits(protocol),
        "## Licence and terms",
        f"{info.licence}\n\nThe code of emosphere-sb is licensed under Apache-2.0.",
        "## Citation",
        CITATION,
        "## Training run",
        _origin(run),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def yaml_header(info: ModelInfo, run: Run) -> str:
    """Return the YAML header of the card.

    Results on synthetic speech are omitted, because the Hub would show them without the warning.
    """
    metadata: dict[str, Any] = {
        "library_name": "speechbrain",
        "pipeline_tag": "audio-classification",
        "license": "other",
        "license_name": "see-model-card",
        "tags": [*TAGS, *(["synthetic"] if info.synthetic else [])],
    }
    backbone = str(run.protocol["backbone"])
    if is_hub_name(backbone):
        metadata["base_model"] = backbone
    if language := getattr(corpus_of(run.protocol), "LANGUAGE", ""):
        metadata["language"] = language
    if not info.synthetic:
        metadata["datasets"] = [slug(run.protocol["corpus"])]
        metadata["metrics"] = ["ccc"]
        metadata["model-index"] = [{"name": info.name, "results": results(run)}]
    text = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)
    return f"---\n{text}---"


def results(run: Run) -> list[dict[str, Any]]:
    """Return the CCC of all labelled sets except the development set, in the format of the Hub."""
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
    """Convert the name of a corpus to an identifier for the Hub.

    Example
    -------
    >>> slug("MSP-Podcast")
    'msp-podcast'
    """
    return "-".join(corpus.lower().split())


def _warnings(info: ModelInfo, protocol: Mapping[str, Any]) -> list[str]:
    synthetic = [SYNTHETIC] if info.synthetic else []
    return synthetic + ([SHUFFLED] if protocol.get("shuffle_labels") else [])


def _summary(info: ModelInfo, protocol: Mapping[str, Any]) -> str:
    low, high = info.scale.low, info.scale.high
    text = (
        f"EmoSphere-SER model based on {public_name(protocol['backbone'])}. It predicts "
        f"valence, arousal and dominance from speech, both on a scale from -1 to 1 (0 = neutral) "
        f"and on the label scale of the training data ({low:g} to {high:g}). It also returns the "
        f"region of the sphere and an embedding of the utterance."
    )
    if info.head == "none":
        return f"{text} The model has no class head."
    text += f" A class head predicts {info.head} probabilities: {', '.join(info.classes)}."
    last, tested = (protocol.get("auxiliary_head") or {}).get("epoch"), tested_epoch(protocol)
    if last is None or tested is None or last >= tested:
        return text
    return (
        f"{text} The head was last trained in epoch {last}, before the last tested epoch "
        f"{tested}, so its probabilities may be inaccurate."
    )


def tested_epoch(protocol: Mapping[str, Any]) -> int | None:
    """Return the last epoch whose weights were tested; None if it is not recorded."""
    epochs = protocol.get("averaged_epochs") or [protocol.get("best_epoch")]
    return epochs[-1]


def _usage(info: ModelInfo) -> str:
    return (
        "```python\n"
        "from emosphere_sb import EmoSphere\n\n"
        'model = EmoSphere.from_pretrained("path/to/this/folder")  # or a name on the Hub\n'
        'prediction = model.predict("speech.wav")\n'
        "prediction.valence, prediction.arousal, prediction.dominance, prediction.region\n"
        "```\n\n"
        "```\n"
        "emosphere predict path/to/this/folder speech.wav\n"
        "```\n\n"
        "The folder contains tensors, JSON data and in most cases a copy for ONNX Runtime, but no "
        "code."
    )


def _data(info: ModelInfo, protocol: Mapping[str, Any]) -> str:
    speech = getattr(corpus_of(protocol), "SPEECH", "")
    if info.synthetic:
        speech = "synthetic speech in the layout of this corpus, without original recordings"
    used = "all" if info.max_seconds is None else f"first {info.max_seconds:g} s"
    facts = {
        "corpus": f"{protocol['corpus']} ({speech})" if speech else protocol["corpus"],
        "release": protocol["release"],
        "partition": protocol.get("partition"),
        "fold": protocol.get("fold"),
        "utterances": protocol["utterances"],
        "excluded emotions": protocol.get("drop") or {},
        "emotions in the training set": protocol.get("classes_kept", {}).get("train"),
        "used part of each utterance": used,
        "waveform normalisation": protocol.get("normalisation"),
        "label scale": info.scale.to_dict(),
        "preset": protocol["preset"],
        "seed": protocol.get("seed"),
        "precision": protocol.get("precision"),
        "best epoch": protocol.get("best_epoch"),
        "averaged epochs": protocol.get("averaged_epochs"),
    }
    return fact_lines({name: value for name, value in facts.items() if value is not None})


def _limits(protocol: Mapping[str, Any]) -> str:
    speech = getattr(corpus_of(protocol), "SPEECH", "")
    data = "synthetic speech" if protocol["synthetic"] else speech
    return f"- The model was trained on {data or protocol['corpus']}.\n{LIMITS}"


def _origin(run: Run) -> str:
    facts, protocol = run.metrics["run"], run.protocol
    own = {
        "command": public_command(facts.get("command") or ""),
        "commit": facts.get("commit"),
        "versions": protocol.get("versions"),
        "machine": facts.get("machine"),
        "training time": format_duration(facts["training_seconds"])
        if facts.get("training_seconds")
        else None,
    }
    return fact_lines({name: value for name, value in own.items() if value})

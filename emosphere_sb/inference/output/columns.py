"""Descriptions of the columns that ``emosphere predict`` writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from emosphere_sb.release.model_info import ModelInfo


class Column(NamedTuple):
    """Description of a column.

    Arguments
    ---------
    name : str
        Name; ``CLASS`` stands for the name of a class.
    unit : str
        Unit, or ``text``, ``list`` or ``–`` (a number without a unit).
    range : str
        Range or label scale of the values; empty if it is not limited.
    meaning : str
        Description of the values.
    """

    name: str
    unit: str
    range: str
    meaning: str


LABEL_SCALE = "label scale"
"""Range of a column on the label scale of the model."""
CLASS_COLUMN = "p_CLASS"
"""Name that stands for the columns of all classes."""

COLUMNS = (
    Column("file", "text", "", "path of the file"),
    Column("duration", "s", "> 0", "duration of the entire file"),
    Column("start", "s", ">= 0", "start of the predicted part of the file"),
    Column("end", "s", "> 0", "end of the predicted part of the file"),
    Column("windows", "–", ">= 1", "number of windows averaged; 1 for a single pass"),
    Column("valence", "–", "-1 to 1", "negative to positive; 0 is neutral, not clipped"),
    Column("arousal", "–", "-1 to 1", "calm to excited; 0 is neutral, not clipped"),
    Column("dominance", "–", "-1 to 1", "submissive to dominant; 0 is neutral, not clipped"),
    Column("valence_on_scale", "–", LABEL_SCALE, "valence on the label scale of the corpus"),
    Column("arousal_on_scale", "–", LABEL_SCALE, "arousal on the label scale of the corpus"),
    Column("dominance_on_scale", "–", LABEL_SCALE, "dominance on the label scale of the corpus"),
    Column("region", "text", "", "region of the VAD sphere that contains the point"),
    Column("radius", "–", "0 to 1.73", "distance from neutral"),
    Column("azimuth", "degrees", "-180 to 180", "angle around the valence axis, from +arousal"),
    Column("polar", "degrees", "0 to 180", "angle from the +valence axis"),
    Column(CLASS_COLUMN, "–", "0 to 1", "probability of a class, if the model has a class head"),
    Column("word", "text", "", "nearest emotion word (--words)"),
    Column("word_distance", "–", ">= 0", "distance of the point from this word"),
    Column("words", "list", "", "nearest words with their distances (--words=2 or more)"),
    Column("model", "text", "", "name of the model, marked if it was trained on SYNTHETIC speech"),
    Column("engine", "text", "", "engine and precision, such as onnx fp32"),
    Column("speech_share", "–", "0 to 1", "share of the time with speech; empty without detection"),
    Column("warnings", "list", "", "problems of the audio or of the prediction"),
    Column("embedding", "list", "", "utterance embedding (--embedding with .jsonl)"),
    Column("error", "text", "", "reason why the file could not be predicted; empty if it could"),
)
"""All columns, in order. In CSV files, lists are texts separated by semicolons."""


def describe_columns(info: ModelInfo | None = None) -> list[Column]:
    """Return the columns of the table of a model.

    Arguments
    ---------
    info : ModelInfo, optional
        Metadata of the model, for its label scale and classes.

    Example
    -------
    >>> {column.name: column.range for column in describe_columns()}["valence"]
    '-1 to 1'
    """
    if info is None:
        return list(COLUMNS)
    found = []
    for column in COLUMNS:
        if column.range == LABEL_SCALE:
            column = column._replace(range=f"{info.scale.low:g} to {info.scale.high:g}")
        if column.name != CLASS_COLUMN:
            found.append(column)
            continue
        for name in info.classes:
            meaning = f"probability of the {info.head} {name}"
            found.append(column._replace(name=f"p_{name}", meaning=meaning))
    return found

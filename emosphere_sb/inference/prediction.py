"""The prediction for one utterance or one window of a recording, and lists of predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from emosphere_sb.inference.locate import locate
from emosphere_sb.inference.output.notebook import predictions_frame, predictions_html
from emosphere_sb.inference.warning_texts import OFF_SCALE
from emosphere_sb.scale import DIMENSIONS

if TYPE_CHECKING:
    import pandas as pd

    from emosphere_sb.inference.speech_detection import SpeechCounts

OFF_SCALE_TOLERANCE = 1e-4
"""Largest excess over [-1, 1] without a warning; it covers the rounding of float32."""
MAX_PRINTED = 20
"""Maximum number of predictions that the text of a list shows."""


@dataclass(frozen=True, repr=False)
class Prediction:
    """Valence, arousal and dominance of an utterance, and values derived from them.

    It is printed on one line, and as a table in notebooks.

    Arguments
    ---------
    source : str
        Path of the file, or position in a list of arrays.
    duration : float
        Duration of the entire file in seconds.
    start, end : float
        Start and end of the predicted part in seconds.
    vad : numpy.ndarray
        Valence, arousal and dominance, shape (3,), float64, nominally in [-1, 1] (not clipped);
        neutral is 0.
    on_scale : numpy.ndarray
        Valence, arousal and dominance on the corpus's label scale, shape (3,).
    region : str
        Short name of the region of the sphere that contains the point.
    region_description : str
        Description of the region.
    radius, azimuth, polar : float
        Spherical coordinates around neutral. Angles are in degrees; the polar angle is measured
        from +valence.
    embedding : numpy.ndarray
        Utterance embedding, the input of the heads: shape (size,), float32.
    probabilities : mapping of str to float
        Class probabilities of the class head; empty if the model has none.
    head : str
        Type of the classes: ``region``, ``emotion`` or ``none``.
    words : sequence of (str, float)
        Nearest emotion words and their distances, if requested, in ascending order of distance.
    windows : int
        Number of windows over which the prediction is averaged; 1 for a single pass.
    warnings : tuple of str
        Warnings about the audio (for example that it is silent, clipped or truncated), and
        ``off scale`` if the prediction is outside the label scale.
    engine : str
        Engine and precision of the prediction, such as ``torch fp32`` or ``onnx int8``; empty if
        nothing was predicted.
    speech : SpeechCounts, optional
        Detected speech; ``None`` if the detection is off.
    model : str
        Name of the model.
    synthetic : bool
        Whether the model was trained on synthetic speech. Its predictions do not apply to human
        speech.
    """

    source: str
    duration: float
    start: float
    end: float
    vad: np.ndarray
    on_scale: np.ndarray
    region: str
    region_description: str
    radius: float
    azimuth: float
    polar: float
    embedding: np.ndarray
    probabilities: Mapping[str, float] = field(default_factory=dict)
    head: str = "none"
    words: Sequence[tuple[str, float]] = ()
    windows: int = 1
    warnings: tuple[str, ...] = ()
    engine: str = ""
    speech: SpeechCounts | None = None
    model: str = ""
    synthetic: bool = False

    @property
    def valence(self) -> float:
        """Valence, nominally in [-1, 1] (not clipped)."""
        return float(self.vad[0])

    @property
    def arousal(self) -> float:
        """Arousal, nominally in [-1, 1] (not clipped)."""
        return float(self.vad[1])

    @property
    def dominance(self) -> float:
        """Dominance, nominally in [-1, 1] (not clipped)."""
        return float(self.vad[2])

    @property
    def speech_share(self) -> float | None:
        """Share of the time with detected speech, in [0, 1]; ``None`` without the detection."""
        return None if self.speech is None else self.speech.share

    @property
    def has_values(self) -> bool:
        """Whether valence, arousal and dominance are known (see ``min_speech_share``)."""
        return bool(np.isfinite(self.vad).all())

    @property
    def model_label(self) -> str:
        """Name of the model, marked as ``SYNTHETIC`` if it was trained on synthetic speech."""
        return f"{self.model} (SYNTHETIC)".lstrip() if self.synthetic else self.model

    def to_dict(self, *, embedding: bool = False) -> dict[str, Any]:
        """Convert to a dictionary of plain types, for JSON.

        ``emosphere predict --columns`` describes the keys. ``warnings`` and ``words`` are lists.
        Values that are not known (see ``min_speech_share``) are ``None``.

        Arguments
        ---------
        embedding : bool
            Whether to include the embedding, as a list.
        """
        row: dict[str, Any] = {
            "file": self.source,
            "duration": round(self.duration, 3),
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "windows": self.windows,
        }
        row |= {name: float(value) for name, value in zip(DIMENSIONS, self.vad, strict=True)}
        scaled = zip(DIMENSIONS, self.on_scale, strict=True)
        row |= {f"{name}_on_scale": float(value) for name, value in scaled}
        row |= {"region": self.region, "radius": self.radius}
        row |= {"azimuth": self.azimuth, "polar": self.polar}
        row |= {f"p_{name}": value for name, value in self.probabilities.items()}
        if self.words:
            row |= {"word": self.words[0][0], "word_distance": self.words[0][1]}
        if len(self.words) > 1:
            row["words"] = [[word, distance] for word, distance in self.words if word]
        row |= {"model": self.model_label, "engine": self.engine}
        row |= {"speech_share": self.speech_share, "warnings": list(self.warnings)}
        row = {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in row.items()
        }
        if embedding:
            row["embedding"] = [float(value) for value in self.embedding]
        return row

    def to_frame(self, *, embedding: bool = False) -> pd.DataFrame:
        """Convert to a data frame with one row; see :meth:`Predictions.to_frame`."""
        return predictions_frame([self], embedding=embedding)

    def __repr__(self) -> str:
        values = ", ".join(
            f"{name}={value:+.2f}" for name, value in zip(DIMENSIONS, self.vad, strict=True)
        )
        part = (
            "" if self.end - self.start > self.duration - 0.01
            else f", start={self.start:.2f}, end={self.end:.2f}"
        )  # fmt: skip
        windows = f", windows={self.windows}" if self.windows > 1 else ""
        warnings = f", warnings={list(self.warnings)}" if self.warnings else ""
        synthetic = ", SYNTHETIC" if self.synthetic else ""
        return (
            f"Prediction({self.source!r}, duration={self.duration:.2f}{part}, {values}, "
            f"region={self.region!r}{windows}{warnings}{synthetic})"
        )

    def _repr_html_(self) -> str:
        return predictions_html([self])


class Predictions(list[Prediction]):
    """A list of predictions, with conversions to dictionaries and data frames.

    :meth:`emosphere_sb.inference.predictor.Predictor.predict` returns it for several utterances.
    It is printed with one line per prediction, and as a table in notebooks.

    Example
    -------
    >>> predictions = model.predict(["one.wav", "two.wav"])  # doctest: +SKIP
    >>> predictions.to_frame()[["file", "valence"]]  # doctest: +SKIP
          file   valence
    0  one.wav  0.312345
    1  two.wav -0.104000
    """

    def to_dict(self, *, embedding: bool = False) -> list[dict[str, Any]]:
        """Convert to a list of dictionaries; see :meth:`Prediction.to_dict`."""
        return [one.to_dict(embedding=embedding) for one in self]

    def to_frame(self, *, embedding: bool = False) -> pd.DataFrame:
        """Convert to a data frame with one row per prediction, in the same order.

        The columns are those of the CSV file of ``emosphere predict``, in which lists are text.
        This requires pandas.

        Arguments
        ---------
        embedding : bool
            Whether to include the embedding, as the columns ``embedding_0``, ``embedding_1``, …
        """
        return predictions_frame(self, embedding=embedding)

    def __getitem__(self, index):
        found = super().__getitem__(index)
        return Predictions(found) if isinstance(index, slice) else found

    def __repr__(self) -> str:
        lines = [repr(one) for one in self[:MAX_PRINTED]]
        if len(self) > MAX_PRINTED:
            lines.append(f"… and {len(self) - MAX_PRINTED:,} more")
        return f"[{(',' + chr(10) + ' ').join(lines)}]"

    def _repr_html_(self) -> str:
        return predictions_html(self)


def clip_prediction(prediction: Prediction, about: Any) -> Prediction:
    """Clip valence, arousal and dominance to [-1, 1].

    Arguments
    ---------
    prediction : Prediction
        Prediction; one without values is returned unchanged.
    about : ModelInfo
        Information about the model, from which the other values are computed again.
    """
    if not prediction.has_values:
        return prediction
    vad = np.clip(prediction.vad, -1, 1)
    return replace(prediction, **locate(vad, about, words=len(prediction.words)))


def without_values(prediction: Prediction, reason: str) -> Prediction:
    """Remove everything that was predicted, except the embedding, and add the reason as a warning.

    Numbers become NaN, and names of regions and words become empty.
    """
    unknown = np.full(3, np.nan)
    return replace(
        prediction, vad=unknown, on_scale=unknown, region="", region_description="",
        radius=math.nan, azimuth=math.nan, polar=math.nan,
        probabilities=dict.fromkeys(prediction.probabilities, math.nan),
        words=[("", math.nan) for _ in prediction.words],
        warnings=(*prediction.warnings, reason),
    )  # fmt: skip


def scale_warnings(vad: np.ndarray) -> tuple[str, ...]:
    """Return a warning if a prediction is outside the label scale.

    Arguments
    ---------
    vad : numpy.ndarray
        Valence, arousal and dominance in [-1, 1], shape (3,).

    Example
    -------
    >>> scale_warnings(np.array([0.3, -1.157, 0.0]))
    ('off scale',)
    >>> scale_warnings(np.array([0.3, -1.0, 1.0]))
    ()
    """
    return (OFF_SCALE,) if np.abs(vad).max() > 1 + OFF_SCALE_TOLERANCE else ()

"""Metadata of a released model; torch is not imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from emosphere_sb.release.training_range import TrainingRange
from emosphere_sb.scale import Scale

if TYPE_CHECKING:
    from emosphere_sb.sphere.regions import SphericalRegions


@dataclass(frozen=True)
class ModelInfo:
    """Metadata of a released model.

    Arguments
    ---------
    name : str
        Name of the model.
    scale : Scale
        Label scale of the training data.
    max_seconds : float or None
        Maximum duration of utterances in the evaluation, in seconds; ``None`` for no limit.
    region_step, centre_radius : int, float
        Partition of the sphere (see :class:`emosphere_sb.sphere.regions.SphericalRegions`).
    head : str
        Target of the class head: ``region``, ``emotion`` or ``none``.
    classes : tuple of str
        Names of the classes of the head.
    words : mapping of str to sequence of float
        Mean VAD over the training set by emotion word, (3,) in [-1, 1].
    licence : str
        Licence of the weights, on one line.
    synthetic : bool
        Whether the model was trained on synthetic speech.
    facts : mapping
        Further metadata: corpus, protocol and metrics.
    training_range : TrainingRange, optional
        Range of the training data, for warnings about recordings outside it. Models that were
        released without the training audio, or by earlier versions, do not have it.
    """

    name: str
    scale: Scale
    max_seconds: float | None = None
    region_step: int = 90
    centre_radius: float = 0.0
    head: str = "none"
    classes: tuple[str, ...] = ()
    words: Mapping[str, Sequence[float]] = field(default_factory=dict)
    licence: str = ""
    synthetic: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    training_range: TrainingRange | None = None

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON-compatible types."""
        fields = {**asdict(self), "scale": self.scale.to_dict(), "classes": list(self.classes)}
        del fields["training_range"]  # optional
        if self.training_range is not None:
            fields["training_range"] = self.training_range.to_dict()
        return fields

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> ModelInfo:
        """Create metadata from the result of :meth:`to_dict`.

        Raises
        ------
        ValueError
            If a field is missing, unknown or invalid.
        """
        try:
            _check(fields)
            values = {**fields, "scale": Scale.from_dict(fields["scale"])}
            if "training_range" in fields:
                values["training_range"] = _read_range(fields["training_range"])
            return cls(**{**values, "classes": tuple(fields.get("classes", ()))})
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"Invalid model description: {error}. Download the model again."
            ) from error

    @property
    def regions(self) -> SphericalRegions:
        """Partition of the sphere."""
        from emosphere_sb.sphere.regions import SphericalRegions  # imports torch

        return SphericalRegions(self.region_step, self.centre_radius)


def _check(fields: Mapping[str, Any]) -> None:
    """Validate the fields, as the file may come from an untrusted source."""
    for name, (fits, rule) in RULES.items():
        if name in fields and not fits(fields[name]):
            raise ValueError(
                f"Invalid model description: {name} must be {rule}; found {fields[name]!r}. "
                f"Download the model again."
            )
    classes, head = fields.get("classes", ()), fields.get("head", "none")
    if bool(classes) != (head != "none"):
        raise ValueError(
            f"Invalid model description: a model must have classes if and only if it has a class "
            f"head; found head {head} with {len(classes)} classes."
        )


def _read_range(fields: Any) -> TrainingRange:
    try:
        return TrainingRange.from_dict(fields)
    except ValueError as error:
        raise ValueError(
            f"Invalid model description: {error}. Download the model again."
        ) from error


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def _is_line(value: Any) -> bool:
    """Return whether a value is printable text without line breaks."""
    return isinstance(value, str) and value.isprintable()


def _are_names(value: Any) -> bool:
    """Return whether a value is a list of distinct, printable names."""
    found = isinstance(value, (list, tuple)) and all(_is_line(name) for name in value)
    return found and len(set(value)) == len(value)


def _is_point(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 3 and all(map(_is_number, value))


def _are_points(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        _is_line(w) and _is_point(p) for w, p in value.items()
    )


RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_is_line, "text without line breaks"),
    "licence": (_is_line, "text without line breaks"),
    "max_seconds": (lambda v: v is None or (_is_number(v) and v > 0), "a positive number or null"),
    "region_step": (_is_number, "a number of degrees"),
    "centre_radius": (_is_number, "a number"),
    "head": (lambda v: v in ("region", "emotion", "none"), "region, emotion or none"),
    "classes": (_are_names, "a list of distinct names without line breaks"),
    "words": (_are_points, "a mapping of words to lists of three numbers"),
    "synthetic": (lambda v: isinstance(v, bool), "true or false"),
    "facts": (lambda v: isinstance(v, Mapping), "a mapping"),
}
"""For each field, a validation function and a description of valid values."""

"""What is known of a model beside its weights, as plain data; without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from emosphere_sb.scale import Scale

if TYPE_CHECKING:
    from emosphere_sb.sphere.regions import SphericalRegions


@dataclass(frozen=True)
class About:
    """What is known of a model beside its weights.

    Arguments
    ---------
    name : str
        Of the model.
    scale : Scale
        Of the labels it was trained on.
    max_seconds : float or None
        The cut of its evaluation; ``None``: none.
    region_step, centre_radius : int, float
        How its sphere is cut, see :class:`emosphere_sb.sphere.regions.SphericalRegions`.
    head : str
        What its class head predicts: ``region``, ``emotion``, or ``none``.
    classes : tuple of str
        The head's.
    words : mapping of str to sequence of float
        Emotion words and their place, (3,) in [-1, 1]: means over the training set.
    licence : str
        Of the weights, in a line.
    synthetic : bool
        Whether it was trained on synthetic speech.
    facts : mapping
        Whatever else its card says: corpus, protocol, figures.
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

    def to_dict(self) -> dict[str, Any]:
        """As plain types; :meth:`from_dict` reads it."""
        return {**asdict(self), "scale": self.scale.to_dict(), "classes": list(self.classes)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> About:
        """What :meth:`to_dict` wrote.

        Raises
        ------
        ValueError
            If a field is missing, unknown, or of another kind than it should be.
        """
        try:
            _check(fields)
            values = {**fields, "scale": Scale.from_dict(fields["scale"])}
            return cls(**{**values, "classes": tuple(fields.get("classes", ()))})
        except (KeyError, TypeError) as error:
            raise ValueError(f"The description of a model does not fit: {error}") from error

    @property
    def regions(self) -> SphericalRegions:
        """Its partition of the sphere."""
        from emosphere_sb.sphere.regions import SphericalRegions  # which needs torch

        return SphericalRegions(self.region_step, self.centre_radius)


def _check(fields: Mapping[str, Any]) -> None:
    """Refuse what would be noticed late, or never: the file may have been written by anybody."""
    for name, (fits, rule) in RULES.items():
        if name in fields and not fits(fields[name]):
            raise ValueError(
                f"The description of a model does not fit: its {name} must be {rule}; found "
                f"{fields[name]!r}. Get the model again."
            )
    classes, head = fields.get("classes", ()), fields.get("head", "none")
    if bool(classes) != (head != "none"):
        raise ValueError(
            f"The description of a model does not fit: it must have classes where it has a class "
            f"head, and none elsewhere; found head {head} with {len(classes)} classes."
        )


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def _line(value: Any) -> bool:
    """Whether it is text that a terminal shows as one line."""
    return isinstance(value, str) and value.isprintable()


def _names(value: Any) -> bool:
    """Whether they are names that tell classes apart: one column of a table each."""
    found = isinstance(value, (list, tuple)) and all(_line(name) for name in value)
    return found and len(set(value)) == len(value)


def _place(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 3 and all(map(_number, value))


def _places(value: Any) -> bool:
    return isinstance(value, Mapping) and all(_line(w) and _place(p) for w, p in value.items())


RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_line, "a line of text"),
    "licence": (_line, "a line of text"),
    "max_seconds": (lambda v: v is None or (_number(v) and v > 0), "a number above 0, or null"),
    "region_step": (_number, "a number of degrees"),
    "centre_radius": (_number, "a number"),
    "head": (lambda v: v in ("region", "emotion", "none"), "region, emotion or none"),
    "classes": (_names, "a list of different names, a line each"),
    "words": (_places, "a mapping of words to three numbers each"),
    "synthetic": (lambda v: isinstance(v, bool), "true or false"),
    "facts": (lambda v: isinstance(v, Mapping), "a mapping"),
}
"""What a field of a description must be."""

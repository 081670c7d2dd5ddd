"""What is known of a model beside its weights, as plain data; without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from emosphere_sb.scale import Scale

if TYPE_CHECKING:
    from emosphere_sb.regions import SphericalRegions


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
        How its sphere is cut, see :class:`emosphere_sb.regions.SphericalRegions`.
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
            If a field is missing or unknown.
        """
        try:
            values = {**fields, "scale": Scale.from_dict(fields["scale"])}
            return cls(**{**values, "classes": tuple(fields.get("classes", ()))})
        except (KeyError, TypeError) as error:
            raise ValueError(f"The description of a model does not fit: {error}") from error

    @property
    def regions(self) -> SphericalRegions:
        """Its partition of the sphere."""
        from emosphere_sb.regions import SphericalRegions  # which needs torch

        return SphericalRegions(self.region_step, self.centre_radius)

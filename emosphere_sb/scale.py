"""A corpus's label scale and the model's own: [-1, 1] with neutral at 0, and exactly back.

Everything outside the model (label files, manifests, predictions, submissions) uses the corpus's
scale, everything inside uses [-1, 1]. Only this module converts. It does not import torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

DIMENSIONS = ("valence", "arousal", "dominance")
"""The order of the last axis, everywhere in this project (VAD)."""

RESTORED_DECIMALS = 10
"""Decimals that :meth:`Scale.restore` keeps of float64 values: one more than any label file has."""


@dataclass(frozen=True)
class Scale:
    """The range in which a corpus stores valence, arousal and dominance.

    Arguments
    ---------
    low : float
        The smallest value a label can take.
    high : float
        The largest value a label can take.
    reversed : tuple of str
        Names of the dimensions stored upside down (1 = very active, 5 = very calm).

    Raises
    ------
    ValueError
        If ``low`` is not below ``high``, one of them is not finite, or a dimension is unknown.

    Example
    -------
    >>> scale = Scale(1, 7)
    >>> scale.neutral
    4.0
    >>> scale.normalise([1.0, 4.0, 5.5]).tolist()
    [-1.0, 0.0, 0.5]
    >>> scale.restore(scale.normalise([2.2, 3.777778, 4.1])).tolist()
    [2.2, 3.777778, 4.1]
    >>> Scale(1, 5, reversed=("arousal",)).normalise([2.0, 2.0, 2.0]).tolist()
    [-0.5, 0.5, -0.5]
    """

    low: float
    high: float
    reversed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses a scale that cannot be inverted, and makes equal scales compare equal."""
        for name in ("low", "high"):
            object.__setattr__(self, name, _number(name, getattr(self, name)))
        if not self.low < self.high:
            raise ValueError(
                f"The low end of a scale must be below its high end; found low={self.low:g}, "
                f"high={self.high:g}. For an upside-down dimension name it in `reversed`."
            )
        object.__setattr__(self, "reversed", _dimension_names(self.reversed))

    @property
    def neutral(self) -> float:
        """The middle of the scale, which becomes 0."""
        return (self.low + self.high) / 2

    def normalise(self, values: Any) -> Any:
        """Labels of the corpus to [-1, 1].

        Arguments
        ---------
        values : numpy.ndarray, torch.Tensor or sequence of float
            Last axis valence, arousal, dominance. NaN stays NaN; values outside the scale are not
            clipped.

        Returns
        -------
        numpy.ndarray or torch.Tensor
            A tensor for a tensor (dtype, device and gradient kept), otherwise an array (float64
            for lists and integers).

        Raises
        ------
        ValueError
            If the last axis does not have three entries.
        """
        values = _vad(values)
        # + 0.0 turns the -0.0 of a reversed neutral into 0.0: signs decide azimuths
        return (values - self.neutral) / self._half_ranges(values) + 0.0

    def restore(self, values: Any) -> Any:
        """The inverse of :meth:`normalise`, as the corpus stores it (reversed dimensions included).

        Arrays of float64 and lists are rounded to 10 decimals, which makes the round trip exact
        (``==``) for labels of up to 9 decimals on scales within +-1000. Tensors and arrays of
        lower precision are not rounded: gradients pass.

        Arguments
        ---------
        values : numpy.ndarray, torch.Tensor or sequence of float
            Last axis valence, arousal, dominance, in [-1, 1].

        Returns
        -------
        numpy.ndarray or torch.Tensor
            As for :meth:`normalise`.

        Raises
        ------
        ValueError
            If the last axis does not have three entries.
        """
        values = _vad(values)
        restored = values * self._half_ranges(values) + self.neutral
        if isinstance(restored, np.ndarray) and restored.dtype == np.float64:
            return np.round(restored, RESTORED_DECIMALS)
        return restored

    def contains(self, value: Any) -> Any:
        """Whether a label lies on the scale, its ends included; NaN does not.

        Arguments
        ---------
        value : float, numpy.ndarray or torch.Tensor
            One label, or any number of them.

        Returns
        -------
        bool, numpy.ndarray or torch.Tensor
            A bool for a number, otherwise one bool per label.

        Example
        -------
        >>> Scale(1, 7).contains(7.0), Scale(1, 7).contains(0.0)
        (True, False)
        """
        if isinstance(value, (list, tuple)):
            value = np.asarray(value, dtype=np.float64)
        return (value >= self.low) & (value <= self.high)

    def to_dict(self) -> dict[str, Any]:
        """The scale as plain types, for JSON and YAML; :meth:`from_dict` reads it."""
        return {"low": self.low, "high": self.high, "reversed": list(self.reversed)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Scale:
        """The scale that :meth:`to_dict` wrote.

        Arguments
        ---------
        fields : dict
            With ``low``, ``high`` and, where a dimension is upside down, ``reversed``.

        Returns
        -------
        Scale
            Equal to the one written.

        Raises
        ------
        ValueError
            If a key is missing or unknown.

        Example
        -------
        >>> Scale.from_dict({"low": 1, "high": 5, "reversed": ["arousal"]})
        Scale(low=1.0, high=5.0, reversed=('arousal',))
        """
        if not {"low", "high"} <= set(fields) <= {"low", "high", "reversed"}:
            raise ValueError(
                "A scale must have the keys low and high, and may have reversed; found "
                f"{', '.join(map(str, fields)) or 'no key'}."
            )
        return cls(fields["low"], fields["high"], fields.get("reversed") or ())

    def _half_ranges(self, values: Any) -> Any:
        """Half the range, negative where reversed, in the type of ``values``."""
        half = (self.high - self.low) / 2
        if not self.reversed:
            return half
        signed = [-half if name in self.reversed else half for name in DIMENSIONS]
        # `new_tensor` is how a tensor makes another one: torch need not be imported here
        return values.new_tensor(signed) if _is_tensor(values) else np.array(signed, values.dtype)


def _is_tensor(values: Any) -> bool:
    return hasattr(values, "new_tensor")


def _vad(values: Any) -> Any:
    """Floating-point values whose last axis is VAD; a tensor stays a tensor."""
    if _is_tensor(values):
        values = values if values.is_floating_point() else values.double()
    else:
        values = np.asarray(values)
        if not np.issubdtype(values.dtype, np.floating):
            values = values.astype(np.float64)
    if values.ndim == 0 or values.shape[-1] != len(DIMENSIONS):
        raise ValueError(
            f"The last axis must hold {', '.join(DIMENSIONS)}; found shape {tuple(values.shape)}. "
            "Stack the three dimensions on the last axis."
        )
    return values


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"The {name} end of a scale must be a finite number; found {value!r}.")
    return number


def _dimension_names(names: Any) -> tuple[str, ...]:
    """The names in VAD order, each once."""
    names = (names,) if isinstance(names, str) else tuple(names)
    unknown = [str(name) for name in names if name not in DIMENSIONS]
    if unknown:
        raise ValueError(
            f"A reversed dimension must be one of {', '.join(DIMENSIONS)}; found "
            f"{', '.join(unknown)}. Use the full names, in lower case."
        )
    return tuple(name for name in DIMENSIONS if name in names)

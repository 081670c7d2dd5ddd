"""Conversion between the label scale of a corpus and [-1, 1], with neutral at 0.

Label files, manifests, predictions and submissions use the scale of the corpus; the model uses
[-1, 1]. All conversions are in this module, which does not import torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

DIMENSIONS = ("valence", "arousal", "dominance")
"""Order of the dimensions on the last axis of all arrays and tensors (VAD)."""

RESTORED_DECIMALS = 10
"""Number of decimals to which :meth:`Scale.restore` rounds float64 values."""


@dataclass(frozen=True)
class Scale:
    """Range of the valence, arousal and dominance labels of a corpus.

    Arguments
    ---------
    low : float
        Smallest possible label.
    high : float
        Largest possible label.
    reversed : tuple of str
        Names of the dimensions with a reversed scale (such as arousal with 1 = very active and 5 =
        very calm).

    Raises
    ------
    ValueError
        If ``low`` is not less than ``high``, one of them is not finite, or a dimension is unknown.

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
        """Validate the range and normalise the types, so that equal scales compare equal."""
        for name in ("low", "high"):
            object.__setattr__(self, name, _number(name, getattr(self, name)))
        if not self.low < self.high:
            raise ValueError(
                f"The low end of a scale must be less than its high end; found low={self.low:g}, "
                f"high={self.high:g}. List reversed dimensions in `reversed`."
            )
        object.__setattr__(self, "reversed", _dimension_names(self.reversed))

    @property
    def neutral(self) -> float:
        """Midpoint of the scale, which is mapped to 0."""
        return (self.low + self.high) / 2

    @property
    def is_normalised(self) -> bool:
        """Whether labels on this scale equal values in [-1, 1]."""
        return (self.low, self.high, self.reversed) == (-1.0, 1.0, ())

    def normalise(self, values: Any) -> Any:
        """Convert labels from the scale of the corpus to [-1, 1].

        Arguments
        ---------
        values : numpy.ndarray, torch.Tensor or sequence of float
            Labels, shape (..., 3), in the order valence, arousal, dominance. NaN stays NaN; values
            outside the scale are not clipped.

        Returns
        -------
        numpy.ndarray or torch.Tensor
            For a tensor, a tensor of the same dtype and device that supports gradients; otherwise
            an array (float64 for lists and integers). The shape is that of ``values``.

        Raises
        ------
        ValueError
            If the last axis does not have three entries.
        """
        values = _vad(values)
        # + 0.0 turns the -0.0 of a reversed neutral into 0.0: azimuths depend on the sign
        return (values - self.neutral) / self._half_ranges(values) + 0.0

    def restore(self, values: Any) -> Any:
        """Convert values in [-1, 1] to the scale of the corpus; the inverse of :meth:`normalise`.

        Lists and float64 arrays are rounded to 10 decimals, so that the round trip is exact
        (``==``) for labels with up to 9 decimals on scales within +-1000. Tensors and arrays of
        lower precision are not rounded, so gradients are preserved.

        Arguments
        ---------
        values : numpy.ndarray, torch.Tensor or sequence of float
            Values in [-1, 1], shape (..., 3), in the order valence, arousal, dominance.

        Returns
        -------
        numpy.ndarray or torch.Tensor
            Labels of the corpus, of the type and shape that :meth:`normalise` returns.

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
        """Check whether labels are within the scale, including its ends; False for NaN.

        Arguments
        ---------
        value : float, numpy.ndarray or torch.Tensor
            One or several labels.

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
        """Return the scale as plain types for JSON and YAML; see :meth:`from_dict`."""
        return {"low": self.low, "high": self.high, "reversed": list(self.reversed)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Scale:
        """Create a scale from the output of :meth:`to_dict`.

        Arguments
        ---------
        fields : dict
            Keys ``low``, ``high`` and, optionally, ``reversed``.

        Returns
        -------
        Scale
            The scale.

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
                "A scale must have the keys low and high, and optionally reversed; found "
                f"{', '.join(map(str, fields)) or 'no key'}."
            )
        return cls(fields["low"], fields["high"], fields.get("reversed") or ())

    def _half_ranges(self, values: Any) -> Any:
        """Return half the range, negative for reversed dimensions, in the type of ``values``."""
        half = (self.high - self.low) / 2
        if not self.reversed:
            return half
        signed = [-half if name in self.reversed else half for name in DIMENSIONS]
        # `new_tensor` creates a tensor without importing torch
        return values.new_tensor(signed) if _is_tensor(values) else np.array(signed, values.dtype)


def _is_tensor(values: Any) -> bool:
    return hasattr(values, "new_tensor")


def _vad(values: Any) -> Any:
    """Convert values to floating point and check that the last axis has three entries."""
    if _is_tensor(values):
        values = values if values.is_floating_point() else values.double()
    else:
        values = np.asarray(values)
        if not np.issubdtype(values.dtype, np.floating):
            values = values.astype(np.float64)
    if values.ndim == 0 or values.shape[-1] != len(DIMENSIONS):
        raise ValueError(
            f"The last axis must have size 3 ({', '.join(DIMENSIONS)}); found shape "
            f"{tuple(values.shape)}."
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
    """Return unique names of dimensions in VAD order."""
    names = (names,) if isinstance(names, str) else tuple(names)
    unknown = [str(name) for name in names if name not in DIMENSIONS]
    if unknown:
        raise ValueError(
            f"Reversed dimensions must be among {', '.join(DIMENSIONS)} (full names in lower "
            f"case); found {', '.join(unknown)}."
        )
    return tuple(name for name in DIMENSIONS if name in names)

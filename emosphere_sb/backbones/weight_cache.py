"""Weights in a layout that is faster to compute with, made once and not at every call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class Kept:
    """What was made of a module's weights, until they change.

    It holds no state of a model: copied, pickled or saved, it is empty. Of changes it sees those
    that autograd counts. Fused optimisers and ``weight.data`` in place go past it: whoever keeps
    weights that are trained calls :meth:`clear` in training.

    Example
    -------
    >>> weight, kept = torch.ones(2), Kept()
    >>> kept.get([weight], lambda: weight * 3)
    tensor([3., 3.])
    >>> weight += 1
    >>> kept.get([weight], lambda: weight * 3)
    tensor([6., 6.])
    """

    def __init__(self):
        self.clear()

    def clear(self) -> None:
        """Forget it."""
        self._state, self._value = None, None

    def get(self, weights: Iterable[Tensor], make: Callable[[], Any]) -> Any:
        """What ``make`` gives, which it must make of ``weights`` alone, without a gradient."""
        state = tuple((weight.data_ptr(), weight._version, weight.dtype) for weight in weights)
        if self._state != state:
            # Not a tensor of inference mode, which training could not use later
            with torch.inference_mode(False), torch.no_grad():
                self._state, self._value = state, make()
        return self._value

    def __getstate__(self) -> dict:
        return {"_state": None, "_value": None}

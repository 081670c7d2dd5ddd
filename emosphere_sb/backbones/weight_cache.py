"""Cache of values computed from weights, such as a memory layout for faster evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class WeightCache:
    """Cache of one value computed from weights, recomputed when they change.

    The cached value is not part of a model's state: a copied or unpickled cache is empty. Changes
    are detected by autograd's version counters, which do not record updates by fused optimisers
    or in-place changes of ``weight.data``. If the weights are trained, call :meth:`clear` in
    training.

    Example
    -------
    >>> weight, cache = torch.ones(2), WeightCache()
    >>> cache.get([weight], lambda: weight * 3)
    tensor([3., 3.])
    >>> weight += 1
    >>> cache.get([weight], lambda: weight * 3)
    tensor([6., 6.])
    """

    def __init__(self):
        self.clear()

    def clear(self) -> None:
        """Delete the cached value."""
        self._state, self._value = None, None

    def get(self, weights: Iterable[Tensor], make: Callable[[], Any]) -> Any:
        """Return the cached value, computing it if the weights have changed.

        Arguments
        ---------
        weights : iterable of torch.Tensor
            The tensors on which the value depends.
        make : callable
            Function without arguments that computes the value. It runs without gradients.
        """
        state = tuple((weight.data_ptr(), weight._version, weight.dtype) for weight in weights)
        if self._state != state:
            # Inference-mode tensors could not be used in training later
            with torch.inference_mode(False), torch.no_grad():
                self._state, self._value = state, make()
        return self._value

    def __getstate__(self) -> dict:
        return {"_state": None, "_value": None}

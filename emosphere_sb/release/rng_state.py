"""Random states that a library leaves as it found them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Put the random states of Python, numpy and torch back, whatever is seeded meanwhile.

    Example
    -------
    >>> _ = torch.manual_seed(1)
    >>> with random_states_kept():
    ...     _ = torch.manual_seed(2)
    >>> torch.initial_seed()
    1
    """
    python, arrays = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(arrays)

"""Cached features of a set of utterances, as read by a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from emosphere_sb.backbones.layer_normalisation import LayerStatistics
from emosphere_sb.data.feature_store import FeatureStore

MEMORY_LIMIT = 4 << 30
"""Maximum size in bytes of averages that are read into memory; larger sets stay on disk."""


class FeatureCache:
    """Cached features of the utterances of one set, by utterance id.

    Arguments
    ---------
    store : FeatureStore
        Store that contains all utterances.
    keys : mapping of str to str
        Key of the store by utterance id.
    kind : str
        Features to return: ``frames`` or ``averages``. A store of frames can provide both.
    states : sequence of int
        Positions of the states to return in the store.
    """

    def __init__(self, store: FeatureStore, keys: Mapping[str, str], kind: str, states: list[int]):
        self.store, self.keys, self.kind, self.states = store, dict(keys), kind, list(states)
        self._all = self.states == list(range(store.layout.states))
        self._averages: Tensor | None = None
        self._rows: dict[str, int] = {}
        if kind == "averages" and self.averages_size <= MEMORY_LIMIT:
            self._read_averages()

    @property
    def averages_size(self) -> int:
        """Size in memory of the averages of all utterances, in bytes."""
        return 4 * len(set(self.keys.values())) * len(self.states) * self.store.layout.size

    @property
    def in_memory(self) -> bool:
        """Whether all features are in memory, so that data loader processes are not useful."""
        return self._averages is not None

    def __getitem__(self, utterance: str) -> Tensor:
        """Return the features of an utterance.

        Arguments
        ---------
        utterance : str
            Id of the utterance.

        Returns
        -------
        torch.Tensor
            Frames (frames, states, size) in the precision of the store, or averages (states, size).
        """
        if self._averages is not None:
            return self._averages[self._rows[self.keys[utterance]]]
        return self._read(self.keys[utterance])

    def _read(self, key: str) -> Tensor:
        if self.kind == "averages":
            return self._average(key)
        frames = self.store.frames(key)
        return torch.from_numpy(frames if self._all else frames[:, self.states])

    def _moments(self, key: str) -> np.ndarray:
        """Return mean and SD in float64, rounded as in a store of ``kind``."""
        moments = self.store.moments(key)[:, self.states]
        stored = replace(self.store.layout, kind=self.kind).moment_type
        return moments.astype(stored).astype(np.float64)

    def _average(self, key: str) -> Tensor:
        """Return the average of each state, float32."""
        return torch.from_numpy(self._moments(key)[0]).float()

    def _read_averages(self) -> None:
        self._rows = {key: row for row, key in enumerate(dict.fromkeys(self.keys.values()))}
        averages = torch.empty(len(self._rows), len(self.states), self.store.layout.size)
        for key, row in self._rows.items():
            averages[row] = self._average(key)
        self._averages = averages

    def statistics(self) -> LayerStatistics:
        """Return the statistics over the frames of all utterances of the set."""
        total = LayerStatistics.zeros(len(self.states), self.store.layout.size)
        for key in self.keys.values():
            count = self.store.frame_count(key)
            mean, sd = torch.from_numpy(self._moments(key))
            total.count += count
            total.sum += count * mean
            total.sum_of_squares += count * (mean.square() + sd.square())
        return total

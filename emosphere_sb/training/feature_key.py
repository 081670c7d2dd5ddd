"""Identity of the features of a frozen backbone: all that they depend on, except the audio."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from emosphere_sb.audio.check import FRONT_END_VERSION
from emosphere_sb.data.feature_layout import Layout
from emosphere_sb.data.feature_store import VERSION, FeatureStore, find_stores, open_store
from emosphere_sb.training.trained_weights import digest_of_tensors

# Entries of a configuration that do not change the features of a frozen backbone.
_IRRELEVANT = ("_name_or_path", "transformers_version", "_commit_hash", "apply_spec_augment")


@dataclass(frozen=True)
class FeatureKey:
    """What a run reads from the feature cache.

    Arguments
    ---------
    kind, precision : str
        See :class:`emosphere_sb.data.feature_layout.Layout`.
    size : int
        Number of dimensions of a state.
    states : tuple of str
        Digest of each state, in the order of the encoder; see :func:`state_digests`.
    numbers : tuple of int
        Number of each state.
    normalised : bool
        Whether averages are those of normalised frames.
    """

    kind: str
    precision: str
    size: int
    states: tuple[str, ...]
    numbers: tuple[int, ...]
    normalised: bool = False

    @property
    def layout(self) -> Layout:
        """Layout of a store for exactly these states."""
        return Layout(self.kind, self.precision, len(self.states), self.size, self.normalised)

    @property
    def folder_name(self) -> str:
        """Name of the folder of a store for exactly these states."""
        parts = [VERSION, self.kind, self.precision, self.normalised, *self.states]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def positions(self, description: Mapping) -> list[int] | None:
        """Return the positions of the states in a store; ``None`` if it lacks any of them."""
        layout, stored = Layout(**description["layout"]), description["states"]
        as_frames = layout.kind == "frames" and not self.normalised
        if (layout.precision, layout.normalised) != (self.precision, self.normalised):
            return None
        if (layout.kind != self.kind and not as_frames) or not set(self.states) <= set(stored):
            return None
        return [stored.index(state) for state in self.states]

    def find(self, root: Path, needed: set[str]) -> tuple[FeatureStore, list[int]] | None:
        """Find a store with these states of all needed utterances.

        It may contain further states, or frames instead of averages.

        Arguments
        ---------
        root : Path
            Folder of the feature cache.
        needed : set of str
            Keys of the utterances.

        Returns
        -------
        tuple
            The store and the positions of the states in it, or ``None``.
        """
        stores = find_stores(root)
        own = root / self.folder_name
        for folder in sorted(stores, key=lambda folder: folder != own):  # the own store first
            positions = self.positions(stores[folder])
            if positions is not None:
                store = open_store(folder, stores[folder])
                if needed <= store.records.keys():
                    return store, positions
        return None


def feature_settings(brain, hparams: Mapping) -> dict:
    """Return the settings, in addition to the backbone, that change its features."""
    return {
        "waveform": list(brain.modules.normaliser.settings()),
        "max_seconds": hparams["max_seconds"],
        "precision": brain.eval_precision,  # features are computed as in evaluation
        "channel": hparams.get("channel", "mix"),
        "audio_front_end": FRONT_END_VERSION,
    }


def state_digests(encoder: nn.Module, settings: Mapping) -> tuple[str, ...]:
    """Return a digest of all that each selected state of a frozen backbone depends on.

    The digest of a state does not depend on later layers. Thus, runs that use some layers only can
    share the features of runs that use all.

    Arguments
    ---------
    encoder : emosphere_sb.lobes.SSLEncoder
        Encoder with a frozen backbone.
    settings : mapping
        JSON-serialisable settings that change the features; see :func:`feature_settings`.
    """
    backbone, states = encoder.backbone, encoder.states
    names = {id(module): name for name, module in backbone.model.named_modules()}
    # The adapter layers of some models, which follow the layers, count as part of the input.
    later = [*backbone.layers, *([] if backbone.final_norm is None else [backbone.final_norm])]
    prefixes = tuple(f"{names[id(module)]}." for module in later)
    start = {
        name: value
        for name, value in backbone.model.state_dict().items()
        if not name.startswith(prefixes)
    }
    log_mel = getattr(backbone, "log_mel", None)
    description = {
        "settings": dict(settings),
        "class": type(backbone).__name__,
        "configuration": relevant_configuration(backbone.model.config.to_dict()),
        "log_mel": None if log_mel is None else log_mel.settings,
        "weights": digest_of_tensors(start),
    }
    digests = [_digest(description)]
    for layer in backbone.layers:
        digests.append(_digest([digests[-1], digest_of_tensors(layer.state_dict())]))
    if states.with_last:
        norm = backbone.final_norm
        weights = None if norm is None else digest_of_tensors(norm.state_dict())
        digests[-1] = _digest([digests[-1], "last", weights])
    return tuple(digests[number] for number in states.selected)


def relevant_configuration(configuration: Mapping) -> dict:
    """Return a configuration without entries that only change training, or only name its origin.

    Example
    -------
    >>> relevant_configuration({"hidden_size": 8, "hidden_dropout": 0.1, "mask_time_prob": 0.05})
    {'hidden_size': 8}
    """
    return {
        key: value
        for key, value in configuration.items()
        if key not in _IRRELEVANT
        and not key.startswith("mask_")
        and not key.endswith(("dropout", "layerdrop"))
    }


def _digest(value) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]

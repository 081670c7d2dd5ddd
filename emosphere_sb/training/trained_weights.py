"""What a checkpoint holds of a model: the weights that are trained, and what they sit on."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn


class TrainedWeights:
    """The weights of all modules but for what nothing ever trains in the backbone.

    Of a backbone that is partly frozen only what is trained is written (and its buffers), beside
    the name and the digest of what it sits on; without that backbone, bit for bit, it is not read.

    Arguments
    ---------
    modules : torch.nn.ModuleDict
        With an ``encoder``.
    backbone : str
        How the backbone was named.

    Attributes
    ----------
    trained : set of str
        Names of the parameters that are trained.
    """

    def __init__(self, modules: nn.ModuleDict, backbone: str):
        self.modules, self.backbone = modules, backbone
        parameters = dict(modules.named_parameters())
        self.trained = {name for name, value in parameters.items() if value.requires_grad}
        self._below = {
            name
            for name in modules.state_dict()
            if name.startswith("encoder.backbone.") and name in parameters.keys() - self.trained
        }
        self._digest: str | None = None

    @property
    def foundation(self) -> dict[str, Tensor]:
        """What is not written: the backbone's parameters that stay as they were loaded."""
        state = self.modules.state_dict()
        return {name: state[name] for name in state if name in self._below}

    def digest(self) -> str:
        """SHA-256 of names and values of the foundation."""
        if self._digest is None:  # it never changes
            self._digest = digest_of_tensors(self.foundation)
        return self._digest

    def state_dict(self) -> dict:
        """Weights by name, and what they sit on."""
        state = self.modules.state_dict()
        return {
            "weights": {name: state[name] for name in state if name not in self._below},
            "foundation": {"backbone": self.backbone, "sha256": self.digest()},
        }

    def load_state_dict(self, state: dict) -> None:
        """Read what :meth:`state_dict` gave.

        Raises
        ------
        ValueError
            If the backbone below is another one, or the weights are not this model's.
        """
        written, here = state["foundation"], self.digest()
        if written["sha256"] != here:
            raise ValueError(
                f"The checkpoint holds what was trained on top of the frozen weights of "
                f"{written['backbone']} (SHA-256 {written['sha256'][:12]}…); those of "
                f"{self.backbone} are others ({here[:12]}…). Give it the backbone it was trained "
                f"with, the same version of it."
            )
        found, expected = set(state["weights"]), set(self.modules.state_dict()) - self._below
        if found != expected:
            raise ValueError(
                f"The checkpoint is of another model: it lacks {sorted(expected - found)[:5]} and "
                f"has {sorted(found - expected)[:5]} beyond it."
            )
        self.modules.load_state_dict(state["weights"], strict=False)


def average_weights(states: Sequence[dict], names: Collection[str]) -> dict:
    """The mean of what :meth:`TrainedWeights.state_dict` gave at several moments.

    Arguments
    ---------
    states : sequence of dict
        The newest first.
    names : collection of str
        What is averaged; everything else, such as counters, is the newest's.

    Example
    -------
    >>> states = [{"weights": {"a": torch.tensor([x]), "n": i}} for i, x in enumerate((1.0, 3.0))]
    >>> average_weights(states, {"a"})
    {'weights': {'a': tensor([2.]), 'n': 0}}
    """
    newest, *others = states
    weights = dict(newest["weights"])
    for name in names:
        total = weights[name].double()
        for other in others:
            total = total + other["weights"][name]
        weights[name] = (total / len(states)).to(weights[name].dtype)
    return {**newest, "weights": weights}


def digest_of_tensors(tensors: dict[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values."""
    whole = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        whole.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        whole.update(value.reshape(-1).view(torch.uint8).numpy())
    return whole.hexdigest()


def read_tensors(path: Path, **options) -> dict:
    """Tensors, numbers and text; never code."""
    return torch.load(path, map_location="cpu", weights_only=True, **options)

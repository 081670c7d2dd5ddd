"""Model weights in checkpoints: trained weights, and a digest of the frozen backbone."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

TEST_WEIGHTS = ("best", "last", "average")


class TrainedWeights:
    """State of all modules without the frozen parameters of the backbone.

    The frozen parameters are replaced by the name of the backbone and a digest of their values. The
    state can only be loaded with a bit-identical backbone.

    Arguments
    ---------
    modules : torch.nn.ModuleDict
        Modules of the model, including ``encoder``.
    backbone : str
        Name or path of the backbone.

    Attributes
    ----------
    trained : set of str
        Names of the trained parameters.
    """

    def __init__(self, modules: nn.ModuleDict, backbone: str):
        self.modules, self.backbone = modules, backbone
        parameters = dict(modules.named_parameters())
        self.trained = {name for name, value in parameters.items() if value.requires_grad}
        self._frozen_names = {
            name
            for name in modules.state_dict()
            if name.startswith("encoder.backbone.") and name in parameters.keys() - self.trained
        }
        self._digest: str | None = None

    @property
    def frozen_weights(self) -> dict[str, Tensor]:
        """Frozen parameters of the backbone by name, which are not saved."""
        state = self.modules.state_dict()
        return {name: state[name] for name in state if name in self._frozen_names}

    def digest(self) -> str:
        """Return the SHA-256 digest of names and values of the frozen weights."""
        if self._digest is None:  # never changes
            self._digest = digest_of_tensors(self.frozen_weights)
        return self._digest

    def state_dict(self) -> dict:
        """Return the saved weights by name, and name and digest of the frozen backbone."""
        state = self.modules.state_dict()
        return {
            "weights": {name: state[name] for name in state if name not in self._frozen_names},
            "foundation": {"backbone": self.backbone, "sha256": self.digest()},
        }

    def load_state_dict(self, state: dict) -> None:
        """Load the output of :meth:`state_dict`.

        Raises
        ------
        ValueError
            If the frozen weights differ, or the weights belong to another model.
        """
        written, here = state["foundation"], self.digest()
        if written["sha256"] != here:
            raise ValueError(
                f"The checkpoint was trained with frozen weights of {written['backbone']} (SHA-256 "
                f"{written['sha256'][:12]}…), which differ from those of {self.backbone} "
                f"({here[:12]}…). Use the same version of the backbone as in training."
            )
        found, expected = set(state["weights"]), set(self.modules.state_dict()) - self._frozen_names
        if found != expected:
            raise ValueError(
                f"The checkpoint belongs to another model. Missing weights: "
                f"{sorted(expected - found)[:5]}; unexpected weights: "
                f"{sorted(found - expected)[:5]}. Use the settings with which it was trained."
            )
        self.modules.load_state_dict(state["weights"], strict=False)


def averaged_epochs(test_weights: str, average_checkpoints: int) -> int:
    """Return the number of last epochs whose weights are averaged for the tests.

    Arguments
    ---------
    test_weights : str
        ``best`` (the epoch with the highest mean CCC on the development set), ``last`` (the last
        epoch) or ``average`` (the last ``average_checkpoints`` epochs).
    average_checkpoints : int
        Number of epochs to average. If it is not 0, it replaces ``test_weights``.

    Returns
    -------
    int
        Number of epochs; 0: use the best epoch.

    Raises
    ------
    ValueError
        If ``test_weights`` is unknown, or ``average`` without a number of epochs.

    Example
    -------
    >>> [averaged_epochs("best", 0), averaged_epochs("last", 0), averaged_epochs("average", 5)]
    [0, 1, 5]
    """
    if test_weights not in TEST_WEIGHTS:
        raise ValueError(
            f"test_weights must be one of {', '.join(TEST_WEIGHTS)}; found {test_weights!r}."
        )
    if test_weights == "average" and not average_checkpoints:
        raise ValueError(
            "test_weights=average requires the number of epochs to average; found "
            "average_checkpoints=0. Add --average_checkpoints=5."
        )
    return average_checkpoints or int(test_weights == "last")


def average_weights(states: Sequence[dict], names: Collection[str]) -> dict:
    """Average the weights of several checkpoints.

    Arguments
    ---------
    states : sequence of dict
        Outputs of :meth:`TrainedWeights.state_dict`, newest first.
    names : collection of str
        Names of the weights to average. Other values, such as counters, are taken from the newest
        checkpoint.

    Returns
    -------
    dict
        State in the format of :meth:`TrainedWeights.state_dict`.

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
    """Return the SHA-256 digest of names, dtypes, shapes and values of tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def read_tensors(path: Path, **options) -> dict:
    """Load a file of tensors and plain values; reject files that contain code."""
    return torch.load(path, map_location="cpu", weights_only=True, **options)

"""Which layers of a backbone are read: the last one, one of them, or a learned mixture of all."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class HiddenStates(nn.Module):
    """Runs a backbone and gives the outputs of the layers that are asked for.

    State 0 is what enters the first layer, state K the output of layer K, and the last one the
    model's last hidden state, with its final norm where there is one. A layer that layerdrop
    leaves out gives what it was given.

    Arguments
    ---------
    backbone : torch.nn.Module
        See :mod:`emosphere_sb.backbones`. Layers above a number K are taken away from it.
    layers : str or int
        ``last``, ``weighted``, or a number from 0.

    Raises
    ------
    ValueError
        If ``layers`` is none of these, or beyond the last layer; when it runs, if the layers have
        other frames than the model gives.
    """

    def __init__(self, backbone: nn.Module, layers: str | int = "last"):
        super().__init__()
        # Not registered: the encoder that owns the backbone saves its weights.
        self._backbone = [backbone]
        count = len(backbone.layers)
        self.layers = str(layers)
        self.weights: nn.Parameter | None = None
        if self.layers == "weighted":
            self.weights = nn.Parameter(torch.zeros(count + 1))
        elif self.layers != "last":
            if not self.layers.isdigit() or int(self.layers) > count:
                raise ValueError(
                    f"layers must be last, weighted, or a number from 0 to {count}; found "
                    f"{layers!r}."
                )
            if int(self.layers) == count:
                self.layers = "last"
            else:  # one layer stays, for its input is state 0
                del backbone.layers[max(int(self.layers), 1) :]
        self.freeze_unused()

    @property
    def count(self) -> int:
        """How many states are given."""
        return len(self.weights) if self.weights is not None else 1

    @property
    def backbone(self) -> nn.Module:
        """What runs."""
        return self._backbone[0]

    def freeze_unused(self) -> None:
        """Parameters that the chosen state does not depend on get no gradient, so none is due."""
        if self.layers in ("last", "weighted"):
            return
        if self.backbone.final_norm is not None:
            self.backbone.final_norm.requires_grad_(False)
        if self.layers == "0":
            self.backbone.layers.requires_grad_(False)

    def forward(self, signals: Tensor, lengths: Tensor) -> Tensor:
        """The states (batch, state, frame, feature): one unless ``layers`` is ``weighted``."""
        if self.layers == "last":
            return self.backbone(signals, lengths).unsqueeze(1)
        states: dict[int, Tensor] = {}
        # State 0 enters the first layer that runs, or the final norm where layerdrop leaves none.
        enters = [*self.backbone.layers, self.backbone.final_norm]
        handles = [
            module.register_forward_pre_hook(_keep_input(states), with_kwargs=True)
            for module in enters
            if module is not None
        ]
        for number, layer in enumerate(self.backbone.layers, start=1):
            handles.append(layer.register_forward_hook(_keep(states, number)))
        try:
            last = self.backbone(signals, lengths)
        finally:
            for handle in handles:
                handle.remove()
        states.setdefault(0, last)
        for number in range(1, len(self.backbone.layers) + 1):
            states.setdefault(number, states[number - 1])
        self._refuse_other_shapes(states[0], last)
        if self.layers != "weighted":
            return states[int(self.layers)].unsqueeze(1)
        states[len(self.backbone.layers)] = last
        return torch.stack([states[number] for number in sorted(states)], dim=1)

    def _refuse_other_shapes(self, state: Tensor, last: Tensor) -> None:
        """SEW's layers see fewer frames than it gives; an adapter makes fewer of what they give."""
        if state.shape != last.shape:
            raise ValueError(
                f"layers must be last for this backbone; found {self.layers}. Its layers give "
                f"(frames, size) of {tuple(state.shape[1:])}, the model itself "
                f"{tuple(last.shape[1:])}."
            )

    def combine(self, states: Tensor) -> Tensor:
        """One frame sequence (batch, frame, feature) from the states."""
        if self.weights is None:
            return states.squeeze(1)
        shares = torch.softmax(self.weights, dim=0).to(states.dtype)
        return torch.einsum("l,bltf->btf", shares, states)


def _keep_input(states: dict[int, Tensor]):
    def hook(module: nn.Module, inputs: tuple, named: dict) -> None:
        states.setdefault(0, inputs[0] if inputs else named["hidden_states"])

    return hook


def _keep(states: dict[int, Tensor], number: int):
    def hook(module: nn.Module, inputs: tuple, output) -> None:
        # Computed again under gradient checkpointing: the first time counts.
        states.setdefault(number, output[0] if isinstance(output, tuple) else output)

    return hook

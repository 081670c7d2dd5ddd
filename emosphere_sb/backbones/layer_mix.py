"""Selection of backbone layers: the last, any single one, or a learned weighted sum of all."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class HiddenStates(nn.Module):
    """Module that runs a backbone and returns the hidden states of the selected layers.

    State 0 is the input of the first layer and state K the output of layer K. The last state is the
    model's last hidden state, after its final norm if it has one. The state of a layer that
    layerdrop skips equals the state before it.

    Arguments
    ---------
    backbone : torch.nn.Module
        Backbone; see :mod:`emosphere_sb.backbones`. Layers above a selected layer are deleted.
    layers : str or int
        ``last``, ``weighted`` (learned softmax-weighted sum of all states; Yang et al., 2021), or
        the number of a state, starting at 0.

    Raises
    ------
    ValueError
        If ``layers`` is invalid or beyond the last layer; in ``forward``, if the shape of the
        layers' output differs from that of the model's output.
    """

    def __init__(self, backbone: nn.Module, layers: str | int = "last"):
        super().__init__()
        # Not registered as a submodule: the encoder that owns the backbone saves its weights.
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
            else:  # at least one layer is needed: its input is state 0
                del backbone.layers[max(int(self.layers), 1) :]
        self.freeze_unused()

    @property
    def count(self) -> int:
        """Number of states that ``forward`` returns."""
        return len(self.weights) if self.weights is not None else 1

    @property
    def backbone(self) -> nn.Module:
        """The backbone."""
        return self._backbone[0]

    def freeze_unused(self) -> None:
        """Freeze parameters that the selected state does not depend on."""
        if self.layers in ("last", "weighted"):
            return
        if self.backbone.final_norm is not None:
            self.backbone.final_norm.requires_grad_(False)
        if self.layers == "0":
            self.backbone.layers.requires_grad_(False)

    def forward(self, signals: Tensor, lengths: Tensor) -> Tensor:
        """Return hidden states (batch, state, frame, feature).

        There is only one state unless ``layers`` is ``weighted``.
        """
        if self.layers == "last":
            return self.backbone(signals, lengths).unsqueeze(1)
        states: dict[int, Tensor] = {}
        # State 0 is the input of the first layer that runs, or of the final norm if layerdrop
        # skips all layers.
        enters = [*self.backbone.layers, self.backbone.final_norm]
        handles = [
            module.register_forward_pre_hook(_store_input(states), with_kwargs=True)
            for module in enters
            if module is not None
        ]
        for number, layer in enumerate(self.backbone.layers, start=1):
            handles.append(layer.register_forward_hook(_store_output(states, number)))
        try:
            last = self.backbone(signals, lengths)
        finally:
            for handle in handles:
                handle.remove()
        states.setdefault(0, last)
        for number in range(1, len(self.backbone.layers) + 1):
            states.setdefault(number, states[number - 1])
        self._check_shapes(states[0], last)
        if self.layers != "weighted":
            return states[int(self.layers)].unsqueeze(1)
        states[len(self.backbone.layers)] = last
        return torch.stack([states[number] for number in sorted(states)], dim=1)

    def _check_shapes(self, state: Tensor, last: Tensor) -> None:
        """Reject models that resample time before (SEW) or after (adapters) their layers."""
        if state.shape != last.shape:
            raise ValueError(
                f"layers must be last for this backbone; found {self.layers}. The output of its "
                f"layers has shape {tuple(state.shape[1:])} (frames, size), but the output of the "
                f"model has shape {tuple(last.shape[1:])}."
            )

    def combine(self, states: Tensor) -> Tensor:
        """Combine states (batch, state, frame, feature) into frames (batch, frame, feature)."""
        if self.weights is None:
            return states.squeeze(1)
        shares = torch.softmax(self.weights, dim=0).to(states.dtype)
        return torch.einsum("l,bltf->btf", shares, states)


def _store_input(states: dict[int, Tensor]):
    def hook(module: nn.Module, inputs: tuple, named: dict) -> None:
        states.setdefault(0, inputs[0] if inputs else named["hidden_states"])

    return hook


def _store_output(states: dict[int, Tensor], number: int):
    def hook(module: nn.Module, inputs: tuple, output) -> None:
        # Gradient checkpointing runs a layer again; only its first output is used.
        states.setdefault(number, output[0] if isinstance(output, tuple) else output)

    return hook

"""Selection of backbone layers: one of them, a learned weighted sum, or a concatenation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emosphere_sb.backbones.layer_normalisation import LayerNormalisation


class HiddenStates(nn.Module):
    """Module that runs a backbone and returns the hidden states of the selected layers.

    State 0 is the input of the first layer and state K the output of layer K. The last state is the
    model's last hidden state, after its final norm if it has one. The state of a layer that
    layerdrop skips equals the state before it.

    Arguments
    ---------
    backbone : torch.nn.Module
        Backbone; see :mod:`emosphere_sb.backbones`. Layers above the selected ones are deleted.
    layers : str, int or sequence of int
        ``last``; the number of a state, starting at 0; ``weighted`` (learned softmax-weighted sum
        of all states; Yang et al., 2021); ``concat`` (concatenation of all states); or a list of
        numbers (concatenation of these states).
    normalisation : str
        Normalisation of the states before they are combined; see
        :class:`emosphere_sb.backbones.layer_normalisation.LayerNormalisation`.

    Attributes
    ----------
    layers : str or list of int
        The selection in its shortest form; a single state is always text, such as ``"2"``.
    selected : list of int
        Numbers of the selected states, in the order in which they are returned.
    with_last : bool
        Whether the model's last hidden state is one of them.

    Raises
    ------
    ValueError
        If ``layers`` is invalid or beyond the last layer; in ``forward``, if the shape of the
        layers' output differs from that of the model's output.
    """

    def __init__(
        self,
        backbone: nn.Module,
        layers: str | int | Sequence[int] = "last",
        normalisation: str = "none",
    ):
        super().__init__()
        # Not registered as a submodule: the encoder that owns the backbone saves its weights.
        self._backbone = [backbone]
        count = len(backbone.layers)
        self.selected = selected_states(layers, count)
        self.weights: nn.Parameter | None = None
        if layers == "weighted":
            self.weights = nn.Parameter(torch.zeros(count + 1))
        self.layers = _shortest_form(layers, self.selected, count)
        self.with_last = count in self.selected
        # At least one layer is needed: its input is state 0.
        del backbone.layers[max(*self.selected, 1) :]
        self.normalisation = LayerNormalisation(normalisation, self.count, backbone.output_size)
        self.freeze_unused()

    @property
    def count(self) -> int:
        """Number of states that ``forward`` returns."""
        return len(self.selected)

    @property
    def output_size(self) -> int:
        """Size of the frames that ``combine`` returns."""
        concatenated = self.count if self.weights is None else 1
        return concatenated * self.backbone.output_size

    @property
    def backbone(self) -> nn.Module:
        """The backbone."""
        return self._backbone[0]

    def freeze_unused(self) -> None:
        """Freeze parameters that the selected states do not depend on."""
        if self.with_last:
            return
        if self.backbone.final_norm is not None:
            self.backbone.final_norm.requires_grad_(False)
        if self.selected == [0]:
            self.backbone.layers.requires_grad_(False)

    def forward(self, signals: Tensor, lengths: Tensor) -> Tensor:
        """Return the selected hidden states (batch, state, frame, feature), not normalised."""
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
        if self.with_last:
            states[len(self.backbone.layers)] = last
        return torch.stack([states[number] for number in self.selected], dim=1)

    def _check_shapes(self, state: Tensor, last: Tensor) -> None:
        """Reject models that resample time before (SEW) or after (adapters) their layers."""
        if state.shape != last.shape:
            raise ValueError(
                f"layers must be last for this backbone; found {self.layers}. The output of its "
                f"layers has shape {tuple(state.shape[1:])} (frames, size), but the output of the "
                f"model has shape {tuple(last.shape[1:])}."
            )

    def combine(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Normalise the states and combine them into frames.

        Arguments
        ---------
        states : torch.Tensor
            Hidden states, zero in padding, shape (batch, states, frames, size).
        lengths : torch.Tensor
            Number of valid frames of each row, shape (batch,).

        Returns
        -------
        torch.Tensor
            Frames, zero in padding, shape (batch, frames, ``output_size``).
        """
        return self._mix(self.normalisation(states, lengths))

    def combine_averages(self, averages: Tensor) -> Tensor:
        """Combine averages over time, as their mean would result from :meth:`combine`.

        Standardisation and mixing are linear, so they commute with the mean over time. Layer norm
        does not: it must have been applied before the average.

        Arguments
        ---------
        averages : torch.Tensor
            Averages over the valid frames, shape (batch, states, 1, size).

        Returns
        -------
        torch.Tensor
            Mean of the frames, shape (batch, 1, ``output_size``).
        """
        if self.normalisation.mode != "layer_norm":
            lengths = torch.ones(len(averages), dtype=torch.long, device=averages.device)
            averages = self.normalisation(averages, lengths)
        return self._mix(averages)

    def _mix(self, states: Tensor) -> Tensor:
        if self.weights is not None:
            shares = torch.softmax(self.weights, dim=0).to(states.dtype)
            return torch.einsum("l,bltf->btf", shares, states)
        if self.count == 1:
            return states.squeeze(1)
        return states.transpose(1, 2).flatten(2)


def selected_states(layers: str | int | Sequence[int], count: int) -> list[int]:
    """Return the numbers of the states that ``layers`` selects.

    Arguments
    ---------
    layers : str, int or sequence of int
        See :class:`HiddenStates`.
    count : int
        Number of layers of the backbone, which is also the number of the last state.

    Raises
    ------
    ValueError
        If ``layers`` is invalid or beyond the last layer.

    Example
    -------
    >>> selected_states("last", 6), selected_states([0, 2], 6), selected_states("concat", 2)
    ([6], [0, 2], [0, 1, 2])
    """
    if layers == "last":
        return [count]
    if layers in ("weighted", "concat"):
        return list(range(count + 1))
    numbers = [str(layers)] if isinstance(layers, (str, int)) else [str(item) for item in layers]
    valid = all(item.isdigit() and int(item) <= count for item in numbers)
    if not valid or not numbers or len(set(numbers)) < len(numbers):
        raise ValueError(
            f"layers must be last, weighted, concat, a list of different numbers, or a number from "
            f"0 to {count}; found {layers!r}."
        )
    return [int(item) for item in numbers]


def _shortest_form(
    layers: str | int | Sequence[int], selected: list[int], count: int
) -> str | list[int]:
    if layers in ("weighted", "concat"):
        return str(layers)
    if selected == [count]:
        return "last"
    return str(selected[0]) if len(selected) == 1 else selected


def _store_input(states: dict[int, Tensor]):
    def hook(module: nn.Module, inputs: tuple, named: dict) -> None:
        states.setdefault(0, inputs[0] if inputs else named["hidden_states"])

    return hook


def _store_output(states: dict[int, Tensor], number: int):
    def hook(module: nn.Module, inputs: tuple, output) -> None:
        # Gradient checkpointing runs a layer again; only its first output is used.
        states.setdefault(number, output[0] if isinstance(output, tuple) else output)

    return hook

"""Dynamic weighting: how much the auxiliary task counts beside the regression, and until when.

One interface for all, so that no schedule is an ``if`` elsewhere: ``set_epoch`` at the start of an
epoch, ``weight`` for the log, ``active`` to know whether the auxiliary loss is needed at all, and a
call that makes one loss of two. The epoch is a buffer, hence in every checkpoint.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

AFTERWARDS = ("drop", "keep")
"""What :class:`LinearDecay` can do once its epochs are over."""


class AuxiliaryWeighting(nn.Module, ABC):
    """What all weightings share: the epoch, and the sum of two losses.

    A subclass says its :attr:`weight`. Epochs count from 1, as in SpeechBrain.

    Attributes
    ----------
    epoch : torch.Tensor
        The current epoch, int64, saved with the module.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("epoch", torch.tensor(1))
        self._epoch = 1  # read at every step: reading the buffer would wait for the GPU
        self.register_load_state_dict_post_hook(_read_epoch)

    def set_epoch(self, epoch: int) -> None:
        """Tells the weighting which epoch begins.

        Arguments
        ---------
        epoch : int
            Counted from 1.

        Raises
        ------
        ValueError
            If the epoch is below 1.
        """
        if epoch < 1:
            raise ValueError(f"Epochs count from 1; found epoch {epoch}.")
        self._epoch = int(epoch)
        self.epoch.fill_(self._epoch)

    @property
    @abstractmethod
    def weight(self) -> float:
        """The current weight of the auxiliary loss."""

    @property
    def active(self) -> bool:
        """False once the auxiliary task is left out: its loss need not be computed."""
        return self.weight > 0

    def forward(self, main_loss: Tensor, auxiliary_loss: Tensor | None) -> Tensor:
        """One loss from two.

        Arguments
        ---------
        main_loss : torch.Tensor
            The regression loss.
        auxiliary_loss : torch.Tensor
            The loss of the auxiliary task; ignored, and may be None, when not :attr:`active`.

        Returns
        -------
        torch.Tensor
            The loss to minimise. When not :attr:`active` it is the main loss alone, so that the
            auxiliary head gets no gradient, rather than a gradient of 0 that an optimiser with
            momentum or weight decay would still act on.

        Raises
        ------
        ValueError
            If the auxiliary loss is missing while the task is active.
        """
        if not self.active:
            return main_loss
        if auxiliary_loss is None:
            raise ValueError(
                f"{type(self).__name__} is active in epoch {self._epoch} and needs the auxiliary "
                "loss; found None. Ask `active` before leaving it out."
            )
        return self._combine(main_loss, auxiliary_loss)

    def _combine(self, main_loss: Tensor, auxiliary_loss: Tensor) -> Tensor:
        return main_loss + self.weight * auxiliary_loss


class LinearDecay(AuxiliaryWeighting):
    r"""The published schedule: from ``start`` towards ``floor`` in equal steps, one an epoch.

    .. math:: \lambda_e = \mathrm{start} - \frac{\mathrm{start} - \mathrm{floor}}{E} (e - 1),
        \quad e = 1 \ldots E

    With the defaults 1, .802, .604, .406, .208, and from the sixth epoch on the auxiliary task is
    left out (Cho et al., 2025). The floor itself is where the line would arrive in epoch E + 1.

    Arguments
    ---------
    start : float
        The weight in epoch 1.
    floor : float
        The weight that the line runs towards.
    epochs : int
        How many epochs the line lasts.
    afterwards : str
        ``drop`` for no auxiliary task after these epochs, as published, or ``keep`` for
        a constant weight of ``floor``.

    Raises
    ------
    ValueError
        If the weights do not satisfy 0 <= floor <= start, there is less than one epoch, or
        ``afterwards`` is neither of the two.

    Example
    -------
    >>> weighting = LinearDecay()
    >>> weighting.set_epoch(2)
    >>> weighting(torch.tensor(1.0), torch.tensor(2.0))
    tensor(2.6040)
    >>> weighting.set_epoch(6)
    >>> weighting.active, weighting(torch.tensor(1.0), None)
    (False, tensor(1.))
    """

    def __init__(
        self,
        start: float = 1.0,
        floor: float = 0.01,
        epochs: int = 5,
        afterwards: str = "drop",
    ) -> None:
        super().__init__()
        if not 0 <= floor <= start:
            raise ValueError(
                f"A decay needs 0 <= floor <= start; found start={start}, floor={floor}."
            )
        if epochs < 1:
            raise ValueError(f"A decay must last at least 1 epoch; found epochs={epochs}.")
        if afterwards not in AFTERWARDS:
            raise ValueError(
                f"afterwards must be one of {', '.join(AFTERWARDS)}; found {afterwards!r}."
            )
        self.start, self.floor, self.epochs = float(start), float(floor), int(epochs)
        self.afterwards = afterwards

    @property
    def weight(self) -> float:
        """The weight of this epoch."""
        if self._epoch > self.epochs:
            return self.floor if self.afterwards == "keep" else 0.0
        return self.start - (self.start - self.floor) / self.epochs * (self._epoch - 1)


class ConstantWeight(AuxiliaryWeighting):
    """The same weight in every epoch.

    Arguments
    ---------
    weight : float
        The weight; 0 leaves the auxiliary task out from the start.

    Raises
    ------
    ValueError
        If the weight is negative.

    Example
    -------
    >>> ConstantWeight(0.5)(torch.tensor(1.0), torch.tensor(2.0))
    tensor(2.)
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        if not weight >= 0:
            raise ValueError(f"The weight of a loss must be at least 0; found {weight}.")
        self._weight = float(weight)

    @property
    def weight(self) -> float:
        """The weight, whatever the epoch."""
        return self._weight


class UncertaintyWeighting(AuxiliaryWeighting):
    r"""Weights learned with the network from the uncertainty of each task.

    .. math:: L = e^{-s_1} L_1 + s_1 + e^{-s_2} L_2 + s_2

    Twice the objective of Kendall et al. (2018), equation 5, with s = log sigma² and one form for
    both tasks, since neither 1 - CCC nor a weighted cross-entropy is the likelihood that their
    halves stand for. For fixed losses the minimum has each weight equal to 1 / L, so a total below
    0 is no fault. The parameters need an optimiser, without weight decay, and a learning rate fit
    for a scalar: at the 1e-5 of the network they hardly move.

    Kendall, A., Gal, Y., Cipolla, R. (2018). Multi-task learning using uncertainty to weigh losses
    for scene geometry and semantics. CVPR, 7482-7491.

    Attributes
    ----------
    log_variances : torch.nn.Parameter
        Shape (2,): s of the main and of the auxiliary task, 0 at first.

    Example
    -------
    >>> weighting = UncertaintyWeighting()
    >>> weighting(torch.tensor(1.0), torch.tensor(2.0)).item(), weighting.weight
    (3.0, 1.0)
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_variances = nn.Parameter(torch.zeros(2))

    @property
    def weight(self) -> float:
        """The factor of the auxiliary loss; that of the main loss is learned as well."""
        return float(torch.exp(-self.log_variances[1].detach()))

    @property
    def active(self) -> bool:
        """Always: the task is never left out, however small its weight."""
        return True

    def _combine(self, main_loss: Tensor, auxiliary_loss: Tensor) -> Tensor:
        main, auxiliary = self.log_variances.float().unbind()
        weighted = torch.exp(-main) * main_loss + torch.exp(-auxiliary) * auxiliary_loss
        return weighted + main + auxiliary


def _read_epoch(module: AuxiliaryWeighting, _incompatible: object) -> None:
    """After a checkpoint is read, the number follows the buffer."""
    module._epoch = int(module.epoch)

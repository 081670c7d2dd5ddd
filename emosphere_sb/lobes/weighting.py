"""Weighting of the auxiliary loss relative to the regression loss.

All weightings have the same interface: ``set_epoch`` is called at the start of an epoch, ``weight``
is logged, ``active`` is False if the auxiliary loss is not needed, and calling the module combines
the two losses. The epoch is a buffer and therefore part of every checkpoint.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

AFTERWARDS = ("drop", "keep")
"""What :class:`LinearDecay` can do with the auxiliary task after the decay."""


class AuxiliaryWeighting(nn.Module, ABC):
    """Base class of weightings, which store the epoch and combine the losses.

    Subclasses define :attr:`weight`.

    Attributes
    ----------
    epoch : torch.Tensor
        Current epoch, starting at 1, int64 scalar; part of the module's state.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("epoch", torch.tensor(1))
        self._epoch = 1  # a copy, because reading the buffer would synchronise with the GPU
        self.register_load_state_dict_post_hook(_read_epoch)

    def set_epoch(self, epoch: int) -> None:
        """Set the current epoch.

        Arguments
        ---------
        epoch : int
            Number of the epoch, starting at 1.

        Raises
        ------
        ValueError
            If the epoch is less than 1.
        """
        if epoch < 1:
            raise ValueError(f"epoch must be at least 1; found {epoch}.")
        self._epoch = int(epoch)
        self.epoch.fill_(self._epoch)

    @property
    @abstractmethod
    def weight(self) -> float:
        """Current weight of the auxiliary loss."""

    @property
    def active(self) -> bool:
        """Whether the auxiliary loss is needed in this epoch."""
        return self.weight > 0

    @property
    def active_next(self) -> bool:
        """Whether the auxiliary loss is needed in the next epoch."""
        epoch = self._epoch
        self.set_epoch(epoch + 1)
        try:
            return self.active
        finally:
            self.set_epoch(epoch)

    def forward(self, main_loss: Tensor, auxiliary_loss: Tensor | None) -> Tensor:
        """Combine the two losses.

        Arguments
        ---------
        main_loss : torch.Tensor
            Regression loss, scalar.
        auxiliary_loss : torch.Tensor
            Loss of the auxiliary task, scalar; may be None unless :attr:`active`.

        Returns
        -------
        torch.Tensor
            Loss to minimise, scalar. If the weighting is not :attr:`active`, this is the main loss
            itself, and the gradient of the auxiliary head is None instead of 0: with a gradient of
            0, momentum and weight decay would still change the weights.

        Raises
        ------
        ValueError
            If the weighting is active and the auxiliary loss is None.
        """
        if not self.active:
            return main_loss
        if auxiliary_loss is None:
            raise ValueError(
                f"{type(self).__name__} is active in epoch {self._epoch} and needs an auxiliary "
                "loss; found None. Check `active` before omitting it."
            )
        return self._combine(main_loss, auxiliary_loss)

    def _combine(self, main_loss: Tensor, auxiliary_loss: Tensor) -> Tensor:
        return main_loss + self.weight * auxiliary_loss


class LinearDecay(AuxiliaryWeighting):
    r"""Weight that decreases linearly from ``start`` towards ``floor``, as in the paper.

    .. math:: \lambda_e = \mathrm{start} - \frac{\mathrm{start} - \mathrm{floor}}{E} (e - 1),
        \quad e = 1 \ldots E

    With the defaults the weights are 1, .802, .604, .406 and .208, and the auxiliary task is
    dropped from epoch 6 on (Cho et al., 2025). The weight would reach ``floor`` in epoch E + 1.

    Arguments
    ---------
    start : float
        Weight in epoch 1.
    floor : float
        Value towards which the weight decreases.
    epochs : int
        Number of epochs E of the decay.
    afterwards : str
        Behaviour after these epochs: ``drop`` for no auxiliary task (as in the paper), or ``keep``
        for a constant weight of ``floor``.

    Raises
    ------
    ValueError
        If ``floor`` is negative or greater than ``start``, if ``epochs`` is less than 1, or if
        ``afterwards`` is invalid.

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
                f"The weights must satisfy 0 <= floor <= start; found start={start}, floor={floor}."
            )
        if epochs < 1:
            raise ValueError(f"epochs must be at least 1; found {epochs}.")
        if afterwards not in AFTERWARDS:
            raise ValueError(
                f"afterwards must be one of {', '.join(AFTERWARDS)}; found {afterwards!r}."
            )
        self.start, self.floor, self.epochs = float(start), float(floor), int(epochs)
        self.afterwards = afterwards

    @property
    def weight(self) -> float:
        """Weight in the current epoch."""
        if self._epoch > self.epochs:
            return self.floor if self.afterwards == "keep" else 0.0
        return self.start - (self.start - self.floor) / self.epochs * (self._epoch - 1)


class ConstantWeight(AuxiliaryWeighting):
    """Weight that is the same in all epochs.

    Arguments
    ---------
    weight : float
        Weight of the auxiliary loss; 0: no auxiliary task.

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
            raise ValueError(f"weight must be at least 0; found {weight}.")
        self._weight = float(weight)

    @property
    def weight(self) -> float:
        """Weight in all epochs."""
        return self._weight


class UncertaintyWeighting(AuxiliaryWeighting):
    r"""Loss weights learned from the uncertainty of each task (Kendall et al., 2018).

    .. math:: L = e^{-s_1} L_1 + s_1 + e^{-s_2} L_2 + s_2

    This is twice equation 7 of Kendall et al., for two regression tasks, with s = log sigma² and
    the same form for both tasks, because neither 1 - CCC nor a weighted cross-entropy is a
    log-likelihood, for which the original factors are derived. For fixed losses, each optimal
    weight is 1 / L, so the total loss may be negative. The optimiser should train these parameters
    without weight decay and with a higher learning rate than the network: with 1e-5 they hardly
    change.

    Kendall, A., Gal, Y., Cipolla, R. (2018). Multi-task learning using uncertainty to weigh losses
    for scene geometry and semantics. CVPR, 7482-7491.

    Attributes
    ----------
    log_variances : torch.nn.Parameter
        s of the main and of the auxiliary task, initially 0, shape (2,).

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
        """Current weight of the auxiliary loss (the main loss has a learned weight as well)."""
        return float(torch.exp(-self.log_variances[1].detach()))

    @property
    def active(self) -> bool:
        """Always True: the auxiliary task is never dropped."""
        return True

    def _combine(self, main_loss: Tensor, auxiliary_loss: Tensor) -> Tensor:
        main, auxiliary = self.log_variances.float().unbind()
        weighted = torch.exp(-main) * main_loss + torch.exp(-auxiliary) * auxiliary_loss
        return weighted + main + auxiliary


def _read_epoch(module: AuxiliaryWeighting, _incompatible: object) -> None:
    """Update the epoch from the buffer after a checkpoint is loaded."""
    module._epoch = int(module.epoch)

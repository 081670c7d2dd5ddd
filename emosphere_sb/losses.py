"""Differentiable objectives: concordance for the dimensions, cross-entropy for the regions.

All are computed in float32 with autocast disabled, whatever precision comes in, because means and
variances of half-precision predictions are half-precision noise; float64 stays float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MINIMUM_KNOWN = 2
"""Known values that a dimension needs in a window; with fewer it gives no loss and no gradient."""


def ccc_loss(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    *,
    weights: Sequence[float] | Tensor | None = None,
) -> Tensor:
    r"""One minus the concordance correlation coefficient, summed over the dimensions (Lin, 1989).

    .. math:: \rho_c = \frac{2\,\mathrm{cov}(x, y)}{\sigma_x^2 + \sigma_y^2 + (\mu_x - \mu_y)^2}

    with population variances. A dimension gives no loss and no gradient where the coefficient is
    undefined: with fewer than two known values, and where predictions and targets are constant and
    equal, so that the denominator is 0 up to rounding.

    Arguments
    ---------
    prediction : torch.Tensor
        Shape (batch, dimension).
    target : torch.Tensor
        Shape (batch, dimension); may be NaN where the mask is False.
    mask : torch.Tensor
        Shape (batch, dimension), bool, True where the target is known. (default: all known)
    weights : sequence of float or torch.Tensor
        One factor for each dimension. (default: ones)

    Returns
    -------
    torch.Tensor
        The loss, a scalar.

    Raises
    ------
    ValueError
        If the shapes differ or the number of weights is not the number of dimensions.

    Example
    -------
    >>> target = torch.tensor([[0.0], [0.5], [1.0]])
    >>> ccc_loss(target, target)
    tensor(0.)
    >>> ccc_loss(target + 0.5, target).round(decimals=4)
    tensor(0.4286)
    """
    with _full_precision(prediction):
        x, y, known, weights = _window(prediction, target, mask, weights)
        count = known.sum(dim=0)  # (dimension,)
        mean_x, mean_y = _mean(x, count), _mean(y, count)
        dx, dy = (x - mean_x).where(known, 0.0), (y - mean_y).where(known, 0.0)
        shift = mean_x - mean_y
        denominator = _mean(dx.square() + dy.square(), count) + shift.square()
        # a constant column has a variance of rounding errors, not of 0, and a ratio of two such
        # would send a gradient of 1e8 through the network
        rounding = (8 * torch.finfo(x.dtype).eps) ** 2 * _mean(x.square() + y.square(), count)
        undefined = (count < MINIMUM_KNOWN) | (denominator <= rounding)
        ccc = 2 * _mean(dx * dy, count) / denominator.masked_fill(undefined, 1.0)
        return (weights * (1 - ccc).masked_fill(undefined, 0.0)).sum()


def mse_loss(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    *,
    weights: Sequence[float] | Tensor | None = None,
) -> Tensor:
    """The mean squared error over the known values of each dimension, summed over the dimensions.

    As in :func:`ccc_loss`, a dimension with fewer than two known values gives no loss and no
    gradient, so that both terms of :class:`VADLoss` leave out the same windows.

    Arguments
    ---------
    prediction : torch.Tensor
        Shape (batch, dimension).
    target : torch.Tensor
        Shape (batch, dimension); may be NaN where the mask is False.
    mask : torch.Tensor
        Shape (batch, dimension), bool, True where the target is known. (default: all known)
    weights : sequence of float or torch.Tensor
        One factor for each dimension. (default: ones)

    Returns
    -------
    torch.Tensor
        The loss, a scalar.

    Raises
    ------
    ValueError
        If the shapes differ or the number of weights is not the number of dimensions.

    Example
    -------
    >>> mse_loss(torch.tensor([[1.0], [0.0]]), torch.tensor([[0.0], [0.0]]))
    tensor(0.5000)
    """
    with _full_precision(prediction):
        x, y, known, weights = _window(prediction, target, mask, weights)
        count = known.sum(dim=0)
        error = _mean((x - y).square(), count)
        return (weights * error.masked_fill(count < MINIMUM_KNOWN, 0.0)).sum()


class VADLoss:
    """The regression objective: :func:`ccc_loss`, and where wanted a share of :func:`mse_loss`.

    Arguments
    ---------
    weights : sequence of float
        One factor each for valence, arousal and dominance.
    mse_weight : float
        Factor of the mean squared error; 0 leaves it out.

    Raises
    ------
    ValueError
        If a weight is negative.

    Example
    -------
    >>> loss = VADLoss(mse_weight=0.5)
    >>> target = torch.tensor([[0.0, 0.5, 1.0], [1.0, 0.0, 0.5]])
    >>> loss(target, target)
    tensor(0.)
    >>> loss.undefined(torch.tensor([[True, True, False], [True, False, False]]))
    2
    """

    def __init__(self, weights: Sequence[float] = (1.0, 1.0, 1.0), mse_weight: float = 0.0) -> None:
        self.weights = tuple(float(weight) for weight in weights)
        self.mse_weight = float(mse_weight)
        if not all(weight >= 0 for weight in (*self.weights, self.mse_weight)):
            raise ValueError(
                "Weights of losses must be at least 0; found "
                f"weights={self.weights}, mse_weight={self.mse_weight}."
            )

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """The loss of a window; arguments as for :func:`ccc_loss`."""
        loss = ccc_loss(prediction, target, mask, weights=self.weights)
        if self.mse_weight:
            mse = mse_loss(prediction, target, mask, weights=self.weights)
            loss = loss + self.mse_weight * mse
        return loss

    @staticmethod
    def undefined(mask: Tensor) -> int:
        """The number of dimensions that a window with this mask cannot train.

        Arguments
        ---------
        mask : torch.Tensor
            Shape (batch, dimension), bool, True where the target is known.

        Returns
        -------
        int
            How many dimensions have fewer than two known values.
        """
        return int((mask.bool().sum(dim=0) < MINIMUM_KNOWN).sum())


def region_loss(
    logits: Tensor,
    labels: Tensor,
    class_weights: Tensor | None = None,
    *,
    targets: Tensor | None = None,
) -> Tensor:
    r"""Class-weighted cross-entropy over the regions, with hard or soft targets.

    .. math:: L = \frac{\sum_{ik} q_{ik} w_k (-\log p_{ik})}{\sum_{ik} q_{ik} w_k}

    With hard labels, which are one-hot q, this is the weighted mean of
    :func:`torch.nn.functional.cross_entropy`. A window without any known label, or whose known
    labels all have weight 0, gives 0 and a gradient of 0, still attached to the graph.

    Arguments
    ---------
    logits : torch.Tensor
        Shape (batch, N).
    labels : torch.Tensor
        Shape (batch,), int64; rows of -1 are left out.
    class_weights : torch.Tensor
        Shape (N,). (default: ones)
    targets : torch.Tensor
        Shape (batch, N), soft targets that take the labels' place in the known rows, as from
        :meth:`emosphere_sb.sphere.regions.SphericalRegions.soft_targets`. (default: the labels)

    Returns
    -------
    torch.Tensor
        The loss, a scalar.

    Raises
    ------
    ValueError
        If the shapes do not fit together.

    Example
    -------
    >>> logits = torch.zeros(2, 4)
    >>> region_loss(logits, torch.tensor([3, -1])).exp().round(decimals=4)
    tensor(4.)
    """
    _check_regions(logits, labels, class_weights, targets)
    with _full_precision(logits):
        logits = _promote(logits)
        known = (labels >= 0).unsqueeze(-1)  # (batch, 1)
        if targets is None:
            index = labels.long().clamp(min=0).unsqueeze(-1)
            targets = torch.zeros_like(logits).scatter(1, index, 1.0)
        share = targets.to(logits.dtype).where(known, 0.0)  # (batch, N)
        if class_weights is not None:
            share = share * class_weights.to(share)
        surprise = -logits.where(known, 0.0).log_softmax(dim=-1)
        total = share.sum()
        return (share * surprise).sum() / total.masked_fill(total == 0, 1.0)


def inverse_frequency(counts: Sequence[int] | Tensor) -> Tensor:
    r"""The published class weights: inverse to the frequency of a class in the training set.

    .. math:: w_k = \frac{\sum_j n_j}{K\, n_k}, \quad w_k = 0 \text{ where } n_k = 0

    Arguments
    ---------
    counts : sequence of int or torch.Tensor
        Shape (K,), the number of training utterances in each class, empty classes included.

    Returns
    -------
    torch.Tensor
        Shape (K,), float32.

    Raises
    ------
    ValueError
        If a count is negative or not finite.

    Example
    -------
    >>> inverse_frequency([1, 3, 0, 4])
    tensor([2.0000, 0.6667, 0.0000, 0.5000])
    """
    counts = torch.as_tensor(counts, dtype=torch.float64)
    if not ((counts >= 0) & counts.isfinite()).all():
        raise ValueError(f"Counts of classes must be at least 0; found {counts.tolist()}.")
    weights = counts.sum() / (counts.numel() * counts)
    return weights.masked_fill(counts == 0, 0.0).float()


def _full_precision(like: Tensor) -> torch.autocast:
    return torch.autocast(like.device.type, enabled=False)


def _promote(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _window(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor | None,
    weights: Sequence[float] | Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Prediction, target (0 where unknown), mask and weights, checked and in full precision."""
    mask = torch.ones_like(target, dtype=torch.bool) if mask is None else mask.bool()
    if prediction.dim() != 2 or not prediction.shape == target.shape == mask.shape:
        raise ValueError(
            "prediction, target and mask must have the same shape (batch, dimension); found "
            f"{tuple(prediction.shape)}, {tuple(target.shape)} and {tuple(mask.shape)}."
        )
    weights = prediction.new_ones(prediction.shape[1]) if weights is None else weights
    weights = torch.as_tensor(weights, device=prediction.device)
    if weights.shape != prediction.shape[1:]:
        raise ValueError(
            f"weights must have one entry for each of the {prediction.shape[1]} dimensions; "
            f"found shape {tuple(weights.shape)}."
        )
    # replaced, not multiplied by 0: NaN times 0 is NaN, in the gradient too
    prediction = _promote(prediction).where(mask, 0.0)
    target = target.to(prediction.dtype).where(mask, 0.0)
    return prediction, target, mask, weights.to(prediction.dtype)


def _mean(values: Tensor, count: Tensor) -> Tensor:
    """Column means over ``count`` known values; unknown ones must be 0."""
    return values.sum(dim=0) / count.clamp(min=1)


def _check_regions(
    logits: Tensor, labels: Tensor, class_weights: Tensor | None, targets: Tensor | None
) -> None:
    if logits.dim() != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            "logits must have shape (batch, N) and labels (batch,); found "
            f"{tuple(logits.shape)} and {tuple(labels.shape)}."
        )
    if class_weights is not None and class_weights.shape != logits.shape[1:]:
        raise ValueError(
            f"class_weights must have one entry for each of the {logits.shape[1]} classes; found "
            f"shape {tuple(class_weights.shape)}."
        )
    if targets is not None and targets.shape != logits.shape:
        raise ValueError(
            f"targets must have the shape of logits, {tuple(logits.shape)}; found "
            f"{tuple(targets.shape)}."
        )

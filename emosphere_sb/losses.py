"""Loss functions: CCC loss for the VAD dimensions and cross-entropy for the regions.

All losses are computed in float32 (float64 for float64 inputs) with autocast disabled, because
means and variances are too inaccurate in half precision.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MINIMUM_KNOWN = 2
"""Smallest number of known values for which the loss of a dimension is defined."""


def ccc_loss(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    *,
    weights: Sequence[float] | Tensor | None = None,
) -> Tensor:
    r"""Compute one minus the concordance correlation coefficient, summed over the dimensions.

    .. math:: \rho_c = \frac{2\,\mathrm{cov}(x, y)}{\sigma_x^2 + \sigma_y^2 + (\mu_x - \mu_y)^2}

    The coefficient (CCC; Lin, 1989) uses population variances. The loss and the gradient of a
    dimension are 0 if its CCC is undefined: if fewer than two values are known, or if predictions
    and targets are constant and equal (up to rounding), so the denominator is 0.

    Lin, L. I. (1989). A concordance correlation coefficient to evaluate reproducibility.
    Biometrics 45, 255-268.

    Arguments
    ---------
    prediction : torch.Tensor
        Predictions, shape (batch, dimension).
    target : torch.Tensor
        Targets, shape (batch, dimension); may be NaN where the mask is False.
    mask : torch.Tensor
        True where the target is known, shape (batch, dimension). (default: all known)
    weights : sequence of float or torch.Tensor
        Weight of each dimension. (default: ones)

    Returns
    -------
    torch.Tensor
        Scalar loss; each dimension contributes its weight times a value in [0, 2].

    Raises
    ------
    ValueError
        If the shapes differ or the number of weights does not match the number of dimensions.

    Example
    -------
    >>> target = torch.tensor([[0.0], [0.5], [1.0]])
    >>> ccc_loss(target, target)
    tensor(0.)
    >>> ccc_loss(target + 0.5, target).round(decimals=4)
    tensor(0.4286)
    """
    with _full_precision(prediction):
        x, y, known, weights = _prepare_inputs(prediction, target, mask, weights)
        count = known.sum(dim=0)  # (dimension,)
        mean_x, mean_y = _mean(x, count), _mean(y, count)
        dx, dy = (x - mean_x).where(known, 0.0), (y - mean_y).where(known, 0.0)
        shift = mean_x - mean_y
        denominator = _mean(dx.square() + dy.square(), count) + shift.square()
        # The computed variance of a constant column is not exactly 0. The ratio of two rounding
        # errors would have gradients of up to 1e8.
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
    """Compute the mean squared error of each dimension over its known values; return the sum.

    As in :func:`ccc_loss`, the loss and the gradient of a dimension with fewer than two known
    values are 0, so both terms of :class:`VADLoss` skip the same dimensions.

    Arguments
    ---------
    prediction : torch.Tensor
        Predictions, shape (batch, dimension).
    target : torch.Tensor
        Targets, shape (batch, dimension); may be NaN where the mask is False.
    mask : torch.Tensor
        True where the target is known, shape (batch, dimension). (default: all known)
    weights : sequence of float or torch.Tensor
        Weight of each dimension. (default: ones)

    Returns
    -------
    torch.Tensor
        Scalar loss, at least 0.

    Raises
    ------
    ValueError
        If the shapes differ or the number of weights does not match the number of dimensions.

    Example
    -------
    >>> mse_loss(torch.tensor([[1.0], [0.0]]), torch.tensor([[0.0], [0.0]]))
    tensor(0.5000)
    """
    with _full_precision(prediction):
        x, y, known, weights = _prepare_inputs(prediction, target, mask, weights)
        count = known.sum(dim=0)
        error = _mean((x - y).square(), count)
        return (weights * error.masked_fill(count < MINIMUM_KNOWN, 0.0)).sum()


class VADLoss:
    """Regression loss: :func:`ccc_loss`, optionally plus a weighted :func:`mse_loss`.

    Arguments
    ---------
    weights : sequence of float
        Weights of valence, arousal and dominance.
    mse_weight : float
        Weight of the mean squared error; 0: CCC loss only (as in the paper).

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
                "Loss weights must be at least 0; found "
                f"weights={self.weights}, mse_weight={self.mse_weight}."
            )

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute the loss; the arguments are those of :func:`ccc_loss`."""
        loss = ccc_loss(prediction, target, mask, weights=self.weights)
        if self.mse_weight:
            mse = mse_loss(prediction, target, mask, weights=self.weights)
            loss = loss + self.mse_weight * mse
        return loss

    @staticmethod
    def undefined(mask: Tensor) -> int:
        """Count the dimensions with fewer than two known values, whose loss is undefined.

        Arguments
        ---------
        mask : torch.Tensor
            True where the target is known, shape (batch, dimension).

        Returns
        -------
        int
            Number of dimensions.
        """
        return int((mask.bool().sum(dim=0) < MINIMUM_KNOWN).sum())


def region_loss(
    logits: Tensor,
    labels: Tensor,
    class_weights: Tensor | None = None,
    *,
    targets: Tensor | None = None,
) -> Tensor:
    r"""Compute the class-weighted cross-entropy over the regions, with hard or soft targets.

    .. math:: L = \frac{\sum_{ik} q_{ik} w_k (-\log p_{ik})}{\sum_{ik} q_{ik} w_k}

    For hard labels (one-hot q) this equals the weighted mean of
    :func:`torch.nn.functional.cross_entropy`. If no label is known, or all known labels have weight
    0, the loss and its gradient are 0, but the loss is still part of the autograd graph.

    Arguments
    ---------
    logits : torch.Tensor
        Class scores, shape (batch, N).
    labels : torch.Tensor
        Region indices, int64, shape (batch,); rows with -1 are ignored.
    class_weights : torch.Tensor
        Weight w of each class, shape (N,). (default: ones)
    targets : torch.Tensor
        Soft targets q that replace the labels in rows with a known label, shape (batch, N), as
        returned by :meth:`emosphere_sb.sphere.regions.SphericalRegions.soft_targets`. (default:
        one-hot labels)

    Returns
    -------
    torch.Tensor
        Scalar loss, at least 0.

    Raises
    ------
    ValueError
        If the shapes do not match.

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
    r"""Compute the class weights of the paper, inversely proportional to the class frequencies.

    .. math:: w_k = \frac{\sum_j n_j}{K\, n_k}, \quad w_k = 0 \text{ if } n_k = 0

    Arguments
    ---------
    counts : sequence of int or torch.Tensor
        Number of training utterances n of each class, including empty classes, shape (K,).

    Returns
    -------
    torch.Tensor
        Class weights w, float32, shape (K,).

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
        raise ValueError(f"Class counts must be finite and at least 0; found {counts.tolist()}.")
    weights = counts.sum() / (counts.numel() * counts)
    return weights.masked_fill(counts == 0, 0.0).float()


def _full_precision(like: Tensor) -> torch.autocast:
    return torch.autocast(like.device.type, enabled=False)


def _promote(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _prepare_inputs(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor | None,
    weights: Sequence[float] | Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Check the arguments; return them in full precision, with unknown values set to 0."""
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
    # Replaced rather than multiplied by 0: NaN times 0 is NaN, even in the gradient
    prediction = _promote(prediction).where(mask, 0.0)
    target = target.to(prediction.dtype).where(mask, 0.0)
    return prediction, target, mask, weights.to(prediction.dtype)


def _mean(values: Tensor, count: Tensor) -> Tensor:
    """Return column means over ``count`` known values; unknown values must be 0."""
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

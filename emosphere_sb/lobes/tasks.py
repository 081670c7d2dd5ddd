"""Auxiliary tasks: classification of regions of the sphere or of emotions, or no task.

A task defines its classes, the target of an utterance and the loss. No other module depends on the
type of the task.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emosphere_sb.losses import inverse_frequency, region_loss
from emosphere_sb.sphere.regions import SphericalRegions

CLASS_WEIGHTS = ("inverse_frequency", "none")
EMOTIONS = ("angry", "sad", "happy", "surprise", "fear", "disgust", "contempt", "neutral")


class AuxiliaryTask(nn.Module):
    """Base class of auxiliary tasks: class names, class weights and the loss.

    Arguments
    ---------
    names : sequence of str
        Names of the classes.
    class_weights : str
        ``inverse_frequency`` (as in the paper): N / (K · n_k) for class k, with K classes and N
        training utterances, of which n_k belong to class k (weight 0 if n_k is 0); or ``none``.

    Raises
    ------
    ValueError
        If a class name is not unique or ``class_weights`` is invalid.

    Attributes
    ----------
    kind : str
        Kind of the classes: ``region``, ``emotion`` or ``none``.
    always_predicted : bool
        Whether a trained model predicts class probabilities even if the auxiliary loss was removed
        before the tested epoch. Otherwise it predicts them only if the head was trained in that
        epoch.
    """

    kind = "none"
    always_predicted = False

    def __init__(self, names: Sequence[str], class_weights: str = "inverse_frequency"):
        super().__init__()
        self.regions = SphericalRegions(90)  # reports contain regions for any task
        if class_weights not in CLASS_WEIGHTS:
            allowed = ", ".join(CLASS_WEIGHTS)
            raise ValueError(f"class_weights must be one of {allowed}; found {class_weights!r}.")
        self.names = list(names)
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"Class names must be unique; found {', '.join(self.names)}.")
        self.class_weights = class_weights
        self.register_buffer("weights", torch.ones(len(self.names)))

    @property
    def size(self) -> int:
        """Number of classes; 0 without an auxiliary task."""
        return len(self.names)

    def target(self, vad: Tensor, emotion: str) -> int:
        """Return the class of an utterance, or -1 if it is unknown.

        Arguments
        ---------
        vad : torch.Tensor
            Valence, arousal and dominance in [-1, 1], float64, shape (3,); NaN where unknown.
        emotion : str
            Name of the emotion; empty if unknown.
        """
        return -1

    def targets(self, vad: Tensor, emotions: Sequence[str]) -> Tensor:
        """Return the class of each utterance of a set; see :meth:`target`.

        Arguments
        ---------
        vad : torch.Tensor
            Valence, arousal and dominance in [-1, 1], float64, shape (utterances, 3).
        emotions : sequence of str
            Name of the emotion of each utterance.

        Returns
        -------
        torch.Tensor
            Classes, int64, shape (utterances,).
        """
        found = [self.target(*each) for each in zip(vad, emotions, strict=True)]
        return torch.tensor(found, dtype=torch.long)

    def set_targets(self, targets: Tensor) -> None:
        """Compute the class weights from the targets of the training set.

        Arguments
        ---------
        targets : torch.Tensor
            Class of each training utterance, -1 where unknown, int64, shape (utterances,).

        Raises
        ------
        ValueError
            If no utterance has a known class.
        """
        if self.size and not bool((targets >= 0).any()):
            raise ValueError(
                f"The auxiliary task needs utterances of the classes {', '.join(self.names)}; the "
                f"training set has none. Use --preset=no_regions to train without it."
            )
        if self.class_weights == "inverse_frequency":
            counts = torch.bincount(targets[targets >= 0], minlength=self.size)
            self.weights.copy_(inverse_frequency(counts))

    def forward(self, logits: Tensor, target: Tensor, vad: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Arguments
        ---------
        logits : torch.Tensor
            Class scores, shape (batch, classes).
        target : torch.Tensor
            True classes, -1 where unknown, shape (batch,).
        vad : torch.Tensor
            True VAD values in [-1, 1], NaN where unknown, shape (batch, 3).

        Returns
        -------
        torch.Tensor
            Scalar loss; see :func:`emosphere_sb.losses.region_loss`.
        """
        return region_loss(logits, target, self.weights)


class RegionTask(AuxiliaryTask):
    """Classification of the region of the VAD sphere (Cho et al., 2025, section 2).

    Arguments
    ---------
    angle : int
        Angle of a region in degrees: 30, 45, 60, 90 (octants, as in the paper) or 180.
    class_weights : str
        Class weights; see :class:`AuxiliaryTask`.
    concentration : float, optional
        Concentration (kappa) of soft targets with a von Mises-Fisher density: errors are penalised
        less for regions close to the true point, and class weights shift the predicted
        probabilities that minimise the loss; see
        :meth:`emosphere_sb.sphere.regions.SphericalRegions.soft_targets`. (default: hard labels, as
        in the paper)
    centre_radius : float
        Radius of a separate region around neutral, in [0, sqrt 3); 0: no such region (as in the
        paper).

    Raises
    ------
    ValueError
        If an argument is out of range.

    Example
    -------
    >>> RegionTask(90).target(torch.tensor([0.1, 0.2, -0.3], dtype=torch.float64), "")
    4
    """

    kind = "region"

    def __init__(
        self,
        angle: int = 90,
        class_weights: str = "inverse_frequency",
        concentration: float | None = None,
        centre_radius: float = 0.0,
    ):
        regions = SphericalRegions(angle, centre_radius)
        if concentration is not None:
            regions.soft_targets([0.0, 0.0, 0.0], concentration)  # checks the concentration
        super().__init__(regions.names, class_weights)
        self.regions, self.concentration = regions, concentration

    def set_targets(self, targets: Tensor) -> None:
        """Compute the class weights (see :meth:`AuxiliaryTask.set_targets`).

        Raises
        ------
        ValueError
            If no utterance has labels of all three dimensions.
        """
        if not bool((targets >= 0).any()):
            raise ValueError(
                "The region of an utterance requires labels of valence, arousal and dominance; the "
                "training set has none with all three. Add the labels of the missing dimension, or "
                "use --preset=no_regions to train without regions."
            )
        super().set_targets(targets)

    def target(self, vad: Tensor, emotion: str) -> int:
        """Return the region of an utterance, or -1 if a dimension is unknown."""
        return int(self.regions.assign(vad))

    def targets(self, vad: Tensor, emotions: Sequence[str]) -> Tensor:
        """Return the region of each utterance of a set, or -1 if a dimension is unknown."""
        return self.regions.assign(vad)

    def forward(self, logits: Tensor, target: Tensor, vad: Tensor) -> Tensor:
        """Compute the cross-entropy with hard labels, or with soft targets from ``vad``."""
        if self.concentration is None:
            return super().forward(logits, target, vad)
        soft = self.regions.soft_targets(vad, self.concentration)
        return region_loss(logits, target, self.weights, targets=soft)


class EmotionTask(AuxiliaryTask):
    """Classification of the categorical emotion instead of the region (table 2 of the paper).

    A model trained with this task always predicts a probability for every emotion, because, unlike
    the region, the emotion does not follow from VAD.

    Arguments
    ---------
    emotions : sequence of str
        Names of the classes. Utterances with other emotions are ignored in the loss.
    class_weights : str
        Class weights; see :class:`AuxiliaryTask`.
    """

    kind = "emotion"
    always_predicted = True

    def __init__(
        self, emotions: Sequence[str] = EMOTIONS, class_weights: str = "inverse_frequency"
    ):
        super().__init__(emotions, class_weights)
        self._index = {name.casefold(): index for index, name in enumerate(self.names)}

    def target(self, vad: Tensor, emotion: str) -> int:
        """Return the index of the emotion (case-insensitive), or -1 if it is not a class."""
        return self._index.get(emotion.casefold(), -1)


class NoTask(AuxiliaryTask):
    """No auxiliary task: regression with CCC loss only (table 1 of the paper, last row)."""

    def __init__(self):
        super().__init__((), "none")

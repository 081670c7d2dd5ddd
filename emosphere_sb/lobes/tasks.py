"""The auxiliary task that guides the regression: regions of the sphere, emotion classes, or none.

A task knows its classes, gives an utterance its target, and computes its loss; nothing else in the
library asks which task it is.
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
    """What every task shares: class names, class weights from the training set, and the loss.

    Arguments
    ---------
    names : sequence of str
        The classes.
    class_weights : str
        ``inverse_frequency``, N / (K · n_k) over the training set and 0 for an empty class
        (published), or ``none``.

    Raises
    ------
    ValueError
        If a class is named twice, or ``class_weights`` is neither of the two.
    """

    kind = "none"

    def __init__(self, names: Sequence[str], class_weights: str = "inverse_frequency"):
        super().__init__()
        self.regions = SphericalRegions(90)  # reports name a point's region whatever the task
        if class_weights not in CLASS_WEIGHTS:
            allowed = ", ".join(CLASS_WEIGHTS)
            raise ValueError(f"class_weights must be one of {allowed}; found {class_weights!r}.")
        self.names = list(names)
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"Each class must be named once; found {', '.join(self.names)}.")
        self.class_weights = class_weights
        self.register_buffer("weights", torch.ones(len(self.names)))

    @property
    def size(self) -> int:
        """Number of classes; 0 means that there is no auxiliary task."""
        return len(self.names)

    def target(self, vad: Tensor, emotion: str) -> int:
        """Class of an utterance with float64 ``vad`` (3,) in [-1, 1], or -1 where unknown."""
        return -1

    def set_targets(self, targets: Tensor) -> None:
        """Take the class weights from the targets of the training set, (utterances,).

        Raises
        ------
        ValueError
            If no utterance has a class, so that there is nothing to learn.
        """
        if self.size and not bool((targets >= 0).any()):
            raise ValueError(
                f"The auxiliary task needs utterances of the classes {', '.join(self.names)}; the "
                f"training set has none. Take --preset=no_regions to train without it."
            )
        if self.class_weights == "inverse_frequency":
            counts = torch.bincount(targets[targets >= 0], minlength=self.size)
            self.weights.copy_(inverse_frequency(counts))

    def forward(self, logits: Tensor, target: Tensor, vad: Tensor) -> Tensor:
        """Loss of ``logits`` (batch, classes) against ``target`` (batch,)."""
        return region_loss(logits, target, self.weights)


class RegionTask(AuxiliaryTask):
    """Classify the region of the sphere around neutral (EmoSphere-SER, section 2).

    Arguments
    ---------
    angle : int
        Angle of a region in degrees: 30, 45, 60, 90 (octants) or 180.
    class_weights : str
        See ``AuxiliaryTask``.
    concentration : float, optional
        ``None``: hard classes (published). A number: soft targets that fall with the angle to a
        region's centre (von Mises-Fisher), so that a near miss costs less than the opposite side.
    centre_radius : float
        Above 0, points nearer to neutral than this are a class of their own.

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
            regions.soft_targets([0.0, 0.0, 0.0], concentration)  # refuses what the loss would
        super().__init__(regions.names, class_weights)
        self.regions, self.concentration = regions, concentration

    def target(self, vad: Tensor, emotion: str) -> int:
        """Region of an utterance, or -1 where a dimension is unknown."""
        return int(self.regions.assign(vad))

    def forward(self, logits: Tensor, target: Tensor, vad: Tensor) -> Tensor:
        """Spherical cross-entropy: hard, or against soft targets from ``vad`` (batch, 3)."""
        if self.concentration is None:
            return super().forward(logits, target, vad)
        soft = self.regions.soft_targets(vad, self.concentration)
        return region_loss(logits, target, self.weights, targets=soft)


class EmotionTask(AuxiliaryTask):
    """Classify the categorical emotion in place of the region (the paper's table 2).

    Arguments
    ---------
    emotions : sequence of str
        The classes; an utterance of any other emotion takes no part in this loss.
    class_weights : str
        See ``AuxiliaryTask``.
    """

    kind = "emotion"

    def __init__(
        self, emotions: Sequence[str] = EMOTIONS, class_weights: str = "inverse_frequency"
    ):
        super().__init__(emotions, class_weights)
        self._index = {name.casefold(): index for index, name in enumerate(self.names)}

    def target(self, vad: Tensor, emotion: str) -> int:
        """Index of the emotion, or -1."""
        return self._index.get(emotion.casefold(), -1)


class NoTask(AuxiliaryTask):
    """No auxiliary task: plain CCC (the paper's table 1, last row)."""

    def __init__(self):
        super().__init__((), "none")

"""Regression and classification metrics, computed over an entire set in float64."""

from emosphere_sb.metrics.classification import (
    accuracy,
    classification_metrics,
    confusion_matrix,
    macro_f1,
    unweighted_recall,
)
from emosphere_sb.metrics.regression import (
    ccc,
    mae,
    pearson,
    regression_metrics,
    scale_ratio,
    shift,
)

__all__ = [
    "accuracy",
    "ccc",
    "classification_metrics",
    "confusion_matrix",
    "macro_f1",
    "mae",
    "pearson",
    "regression_metrics",
    "scale_ratio",
    "shift",
    "unweighted_recall",
]

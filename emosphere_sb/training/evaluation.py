"""Predictions of an evaluated set: split by utterance, gathered from all processes, and scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from emosphere_sb.data.dataset import Batch
from emosphere_sb.distributed import all_gather_object
from emosphere_sb.metrics import classification_metrics, regression_metrics
from emosphere_sb.scale import DIMENSIONS
from emosphere_sb.training.batch_outputs import Output


class LabelledOutput(NamedTuple):
    """Output and labels of one utterance on the CPU.

    ``vad`` and ``true_vad`` have shape (3,), ``target`` is a scalar, and ``logits`` has shape
    (classes,) or is None.
    """

    vad: Tensor
    logits: Tensor | None
    true_vad: Tensor
    target: Tensor


def split_predictions(batch: Batch, output: Output) -> dict[str, LabelledOutput]:
    """Split the output of a batch into predictions by utterance id."""
    vad = output.vad.float().cpu()
    logits = [None] * len(vad) if output.logits is None else output.logits.float().cpu()
    rows = zip(batch.ids, vad, logits, batch.vad, batch.target, strict=True)
    return {name: LabelledOutput(*values) for name, *values in rows}


def gather_predictions(predictions: Mapping[str, LabelledOutput]) -> dict[str, LabelledOutput]:
    """Gather the predictions of all processes, sorted by utterance id.

    Arguments
    ---------
    predictions : mapping
        Predictions of this process by utterance id.
    """
    # One tensor per field: a row is a view, and would be sent together with its complete batch.
    columns = [
        None if column[0] is None else torch.stack(column)
        for column in zip(*predictions.values(), strict=True)
    ]
    gathered = {}
    for ids, parts in all_gather_object((list(predictions), columns)):
        parts = [[None] * len(ids) if part is None else part for part in parts]
        rows = map(LabelledOutput._make, zip(*parts, strict=True))
        gathered.update(zip(ids, rows, strict=True))
    return {name: gathered[name] for name in sorted(gathered)}


def evaluation_metrics(predictions: Mapping[str, LabelledOutput]) -> tuple[dict, dict]:
    """Compute metrics over a complete set.

    Arguments
    ---------
    predictions : mapping
        Predictions by utterance id.

    Returns
    -------
    tuple of dict
        CCC of each dimension and ``mean_ccc``; and classification metrics of the auxiliary head,
        empty without logits.
    """
    vad, logits, true_vad, target = zip(*predictions.values(), strict=True)
    regression = regression_metrics(torch.stack(true_vad).numpy(), torch.stack(vad).numpy())
    metrics = {name: regression[name]["ccc"] for name in DIMENSIONS}
    metrics["mean_ccc"] = regression["mean_ccc"]
    if logits[0] is None:
        return metrics, {}
    classes = torch.stack(logits).argmax(dim=1).numpy()
    return metrics, classification_metrics(torch.stack(target).numpy(), classes)


def prediction_arrays(predictions: Mapping[str, LabelledOutput]) -> tuple[dict, dict | None]:
    """Convert predictions to NumPy arrays in float64.

    Arguments
    ---------
    predictions : mapping
        Predictions by utterance id.

    Returns
    -------
    tuple
        VAD values (3,) by id; and class probabilities (classes,) by id, or None without logits.

    Raises
    ------
    ValueError
        If a prediction is not finite.
    """
    undefined = [name for name, found in predictions.items() if not found.vad.isfinite().all()]
    if undefined:
        raise ValueError(
            f"Predictions must be finite; {len(undefined)} utterances have NaN or infinite "
            f"predictions (e.g. {', '.join(undefined[:5])}), so no metrics were computed. Check "
            f"the audio of these utterances, or train with a lower learning rate or "
            f"--precision=fp32."
        )
    vad = {name: found.vad.double().numpy() for name, found in predictions.items()}
    if any(found.logits is None for found in predictions.values()):
        return vad, None
    return vad, {
        name: found.logits.double().softmax(0).numpy() for name, found in predictions.items()
    }

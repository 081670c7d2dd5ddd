"""Statistics of the hidden states over the training set, for layer_normalisation: standardise."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from tqdm import tqdm

from emosphere_sb import distributed
from emosphere_sb.backbones.layer_normalisation import LayerStatistics
from emosphere_sb.data.dataset import SpeechDataset, eval_loader
from emosphere_sb.training.brain import EmoSphereBrain
from emosphere_sb.training.feature_extraction import hidden_states
from emosphere_sb.training.preemption import StoppedError

logger = logging.getLogger(__name__)


def set_layer_statistics(brain: EmoSphereBrain, dataset: SpeechDataset, hparams: Mapping) -> None:
    """Set mean and SD of the encoder's layer normalisation, if it needs them.

    Arguments
    ---------
    brain : EmoSphereBrain
        Brain with the pretrained weights of the backbone.
    dataset : SpeechDataset
        Training set, with or without cached features.
    hparams : mapping
        Hyperparameters, with the keys ``eval_batch`` and ``num_workers``.
    """
    states = getattr(brain.modules.encoder, "states", None)
    if states is None or not states.normalisation.needs_statistics:
        return
    logger.info("Computing mean and standard deviation of each layer over the training set")
    statistics = compute_layer_statistics(brain, dataset, hparams)
    states.normalisation.set_statistics(*statistics.mean_and_sd())


def compute_layer_statistics(
    brain: EmoSphereBrain, dataset: SpeechDataset, hparams: Mapping
) -> LayerStatistics:
    """Compute the statistics of a set in evaluation mode, in one pass over all processes.

    Utterances whose audio cannot be read are left out. See :func:`set_layer_statistics` for the
    arguments.

    Returns
    -------
    LayerStatistics
        Statistics of the complete set, the same in each process.

    Raises
    ------
    StoppedError
        If a request to stop was received.
    """
    if dataset.cache is not None:
        return dataset.cache.statistics()
    states, size = brain.modules.encoder.states, brain.modules.encoder.backbone.output_size
    own = LayerStatistics.zeros(states.count, size, brain.device)
    loader = eval_loader(
        dataset, batch_size=hparams["eval_batch"], num_workers=hparams["num_workers"]
    )
    brain.modules.eval()
    for batch in tqdm(loader, disable=brain.noprogressbar, desc="Layer statistics"):
        if brain.stop.received:
            raise StoppedError
        if batch.ids:
            own.add(*hidden_states(brain, batch))
    count = distributed.sum_over_processes(own.sum.new_tensor(float(own.count)))
    return LayerStatistics(
        int(count),
        distributed.sum_over_processes(own.sum),
        distributed.sum_over_processes(own.sum_of_squares),
    )

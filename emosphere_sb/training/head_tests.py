"""Metrics of the auxiliary head on the test sets, which selection never uses.

The region scores of the paper are those of the head, but the paper does not state the epoch. So the
head is scored with the tested weights, in whose epoch it may no longer be trained, and with the
weights of the last epoch in which it was trained.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from torch.utils.data import DataLoader

logger = logging.getLogger(__name__)

HEAD_WEIGHTS = "auxiliary_head_weights"
"""Folder with the weights of the last epoch in which the head was trained, kept until tested."""
TESTED, LAST_TRAINED = "tested_weights", "last_trained"
"""Keys of the two metrics in ``auxiliary_head`` of each set in ``metrics.json``."""


def last_trained_epoch(brain) -> int | None:
    """Return the last epoch in which the head was trained, or None if there is none."""
    newest = brain.checkpointer.find_intact(ckpt_predicate=lambda c: c.meta.get("head"))
    return newest[0].meta["head"]["epoch"] if newest else None


def auxiliary_head_metrics(
    brain,
    loaders: Mapping[str, Callable[[], DataLoader]],
    tested: Mapping[str, Mapping],
    earlier: Mapping[str, Mapping],
) -> dict[str, dict]:
    """Return the metrics of the head on each test set.

    This function loads other weights, so it must be called after all predictions.

    Arguments
    ---------
    brain : EmoSphereBrain
        Brain with the tested weights.
    loaders : mapping
        Function that creates the loader of each set.
    tested : mapping
        Result of ``brain.head_metrics_of_test()`` with the tested weights, by set.
    earlier : mapping
        Result of this function from an earlier test of the same run, used if the weights of the
        last epoch in which the head was trained have been deleted since.

    Returns
    -------
    dict
        ``tested_weights`` and ``last_trained`` by set, each with the epoch, whether the head was
        trained in that epoch, and the metrics of the head.
    """
    names = [name for name in tested if tested[name]]
    if not names:
        return {}
    epoch = brain.tested_checkpoints[0].meta["epoch"]
    facts = {"epoch": epoch, "trained": brain.auxiliary_active}
    results = {name: {TESTED: {**facts, **tested[name]}} for name in names}
    last = last_trained_epoch(brain)
    if last is None:
        return results
    if len(brain.tested_checkpoints) == 1 and last == epoch:
        return {
            name: {TESTED: own[TESTED], LAST_TRAINED: own[TESTED]} for name, own in results.items()
        }
    if brain.checkpointer.load_weights_of_epoch(last, HEAD_WEIGHTS):
        for name in names:
            brain.evaluate(loaders[name](), max_key="mean_ccc")
            own = brain.head_metrics_of_test()
            results[name][LAST_TRAINED] = {"epoch": last, "trained": True, **own}
        return results
    for name in names:
        before = (earlier.get(name) or {}).get(LAST_TRAINED) or {}
        if before.get("epoch") == last and before.get("n") == tested[name]["n"]:
            results[name][LAST_TRAINED] = before
        else:
            logger.warning(
                "%s: the weights of epoch %d, the last in which the auxiliary head was trained, "
                "are not available, so the head is not tested with them.", name, last,
            )  # fmt: skip
    return results

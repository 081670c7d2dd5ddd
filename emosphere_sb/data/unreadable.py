"""Audio that vanishes or breaks during a run: logged, left out, and limited to a small share."""

from __future__ import annotations

import logging
from collections import defaultdict

from emosphere_sb import distributed

logger = logging.getLogger(__name__)

LIMIT = 0.01
"""Largest share of a set that may be unreadable."""


class UnreadableAudio:
    """Utterances of each set whose audio could not be read.

    ``reasons`` says why, by set and id, over all restarts. Those that may be too many are counted
    since the process began: the files may have been mended before.

    Example
    -------
    >>> missing = UnreadableAudio()
    >>> missing.note("train", {"a": "Audio file a.wav is gone"}, size=200)
    >>> missing.reasons
    {'train': {'a': 'Audio file a.wav is gone'}}
    """

    def __init__(self):
        self.reasons: dict[str, dict[str, str]] = {}
        self._gone: dict[str, dict[str, str]] = defaultdict(dict)

    def note(self, name: str, reasons: dict[str, str], *, size: int) -> None:
        """Log and count unreadable utterances; every process must call this with its own.

        Arguments
        ---------
        name : str
            The set.
        reasons : dict
            Why, by id of the utterance.
        size : int
            Utterances of the set.

        Raises
        ------
        ValueError
            If more than :data:`LIMIT` of the set are unreadable.
        """
        gone = self._gone[name]
        for share in distributed.all_gather_object(reasons):
            for utterance, reason in share.items():
                if utterance not in gone:
                    logger.warning("Utterance %s of %s is left out: %s", utterance, name, reason)
                    gone[utterance] = reason
        if gone:
            self.reasons[name] = {**gone, **self.reasons.get(name, {})}
        if len(gone) > LIMIT * size:
            listed = "; ".join(f"{key}: {reason}" for key, reason in list(gone.items())[:5])
            raise ValueError(
                f"The audio of {len(gone)} of {size} utterances of {name} cannot be read, more "
                f"than {LIMIT:.0%}: {listed}. Mend the files (is the disk still mounted?) and "
                f"start the same command again: it goes on from the last checkpoint."
            )


def check_all_readable(reasons: dict[str, str]) -> None:
    """Reject a test set with unreadable audio: metrics over the rest are not comparable.

    Every process must call this with its own.

    Arguments
    ---------
    reasons : dict
        Why audio could not be read, by id of the utterance.

    Raises
    ------
    ValueError
        If there is any, in any process.
    """
    shares = distributed.all_gather_object(reasons)
    unreadable = [reason for share in shares for reason in share.values()]
    if unreadable:
        raise ValueError(
            f"The audio of {len(unreadable)} utterances that are to be tested cannot be read: "
            f"{'; '.join(unreadable[:5])}. Mend the files and start the same command again: the "
            f"model is trained."
        )

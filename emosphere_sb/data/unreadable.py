"""Handling of audio that cannot be read during a run: it is logged and skipped, up to a limit."""

from __future__ import annotations

import logging
from collections import defaultdict

from emosphere_sb import distributed

logger = logging.getLogger(__name__)

MAX_UNREADABLE_SHARE = 0.01
"""Largest share of the utterances of a set that may be unreadable."""


class UnreadableAudio:
    """Record of the utterances whose audio could not be read.

    Only those found since the process started count towards the limit, because the files may have
    been fixed before a restart.

    Attributes
    ----------
    reasons : dict
        Reason by set and utterance id, across all restarts.

    Example
    -------
    >>> missing = UnreadableAudio()
    >>> missing.note("train", {"a": "Audio file a.wav is gone"}, size=200)
    >>> missing.reasons
    {'train': {'a': 'Audio file a.wav is gone'}}
    """

    def __init__(self):
        self.reasons: dict[str, dict[str, str]] = {}
        self._current: dict[str, dict[str, str]] = defaultdict(dict)

    def note(self, name: str, reasons: dict[str, str], *, size: int) -> None:
        """Log and count unreadable utterances. Call this in every process.

        Arguments
        ---------
        name : str
            Name of the set.
        reasons : dict
            Reason by utterance id, for the utterances of this process.
        size : int
            Number of utterances in the set.

        Raises
        ------
        ValueError
            If the share of unreadable utterances exceeds :data:`MAX_UNREADABLE_SHARE`.
        """
        unreadable = self._current[name]
        for share in distributed.all_gather_object(reasons):
            for utterance, reason in share.items():
                if utterance not in unreadable:
                    logger.warning("Skipping utterance %s of set %s: %s", utterance, name, reason)
                    unreadable[utterance] = reason
        if unreadable:
            self.reasons[name] = {**unreadable, **self.reasons.get(name, {})}
        if len(unreadable) > MAX_UNREADABLE_SHARE * size:
            listed = "; ".join(f"{key}: {reason}" for key, reason in list(unreadable.items())[:5])
            raise ValueError(
                f"{len(unreadable)} of {size} utterances of set {name} could not be read (limit: "
                f"{MAX_UNREADABLE_SHARE:.0%}): {listed}. Check that the disk is mounted, fix the "
                f"files, and re-run the same command to resume from the last checkpoint."
            )


def check_all_readable(reasons: dict[str, str]) -> None:
    """Check that all audio files of a test set were readable. Call this in every process.

    Metrics over the remaining utterances would not be comparable.

    Arguments
    ---------
    reasons : dict
        Reason by utterance id, for the unreadable utterances of this process.

    Raises
    ------
    ValueError
        If any process has unreadable utterances.
    """
    shares = distributed.all_gather_object(reasons)
    unreadable = [reason for share in shares for reason in share.values()]
    if unreadable:
        raise ValueError(
            f"{len(unreadable)} utterances of the test set could not be read: "
            f"{'; '.join(unreadable[:5])}. Training has finished. Fix these files and re-run the "
            f"same command to test."
        )

"""A cluster's warning (SIGTERM): the run saves between two steps and leaves with a code."""

from __future__ import annotations

import signal
from contextlib import contextmanager

STOPPED = 75
"""Exit status of a run that was told to stop and has saved: EX_TEMPFAIL, try again later."""


class StoppedError(Exception):
    """The run was told to stop; what it had is saved."""


class StopRequest:
    """Whether SIGTERM came.

    Example
    -------
    >>> import os
    >>> request = StopRequest()
    >>> with request.listening():
    ...     os.kill(os.getpid(), signal.SIGTERM)
    ...     request.came
    True
    """

    def __init__(self):
        self.came = False

    @contextmanager
    def listening(self):
        """Note the signal instead of dying of it, where this is the main thread."""
        try:
            before = signal.signal(signal.SIGTERM, self._note)
        except ValueError:  # another thread: signals are its host's business
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _note(self, _number, _frame) -> None:
        self.came = True

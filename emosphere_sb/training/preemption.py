"""Preemption by a cluster (SIGTERM): a run saves a checkpoint after the current step and exits."""

from __future__ import annotations

import signal
from contextlib import contextmanager

EXIT_STOPPED = 75
"""Exit status of a run that was stopped by SIGTERM and has saved (EX_TEMPFAIL: try again)."""


class StoppedError(Exception):
    """Raised when the run has saved a checkpoint and stops after SIGTERM."""


class StopRequest:
    """Record of a request to stop (SIGTERM).

    Attributes
    ----------
    received : bool
        Whether SIGTERM was received.

    Example
    -------
    >>> import os
    >>> request = StopRequest()
    >>> with request.handle_sigterm():
    ...     os.kill(os.getpid(), signal.SIGTERM)
    ...     request.received
    True
    """

    def __init__(self):
        self.received = False

    @contextmanager
    def handle_sigterm(self):
        """Record SIGTERM instead of terminating. Outside the main thread, this has no effect."""
        try:
            before = signal.signal(signal.SIGTERM, self._note)
        except ValueError:  # signal handlers can only be set in the main thread
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _note(self, _number, _frame) -> None:
        self.received = True

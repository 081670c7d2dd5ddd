"""Requests to stop (SIGTERM, Ctrl-C): a run saves a checkpoint after the current step and exits."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_STOPPED = 75
"""Exit status of a run that was stopped by SIGTERM and has saved (EX_TEMPFAIL: try again)."""
EXIT_INTERRUPTED = 130
"""Exit status of a run that was stopped by Ctrl-C (128 + SIGINT)."""
RESUME = "Re-run the same command to resume."


class StoppedError(Exception):
    """Raised when the run has saved its state and stops after SIGTERM or Ctrl-C.

    Arguments
    ---------
    progress : str
        What was saved, such as ``checkpoint saved at epoch 2, step 7``.

    Example
    -------
    >>> StoppedError("checkpoint saved").text
    'Interrupted by SIGTERM; checkpoint saved. Re-run the same command to resume.'
    """

    def __init__(self, progress: str = "finished work is saved"):
        super().__init__(progress)
        self.progress = progress
        self.signal = signal.SIGTERM

    @property
    def text(self) -> str:
        """Message for the user."""
        by = " by SIGTERM" if self.signal == signal.SIGTERM else ""
        return f"Interrupted{by}; {self.progress}. {RESUME}"

    @property
    def status(self) -> int:
        """Exit status of the run."""
        return EXIT_STOPPED if self.signal == signal.SIGTERM else EXIT_INTERRUPTED


class StopRequest:
    """Record of a request to stop (SIGTERM or Ctrl-C).

    Attributes
    ----------
    received : bool
        Whether a signal was received.

    Example
    -------
    >>> request = StopRequest()
    >>> with request.handle_signals():
    ...     os.kill(os.getpid(), signal.SIGTERM)
    ...     request.received
    True
    """

    def __init__(self):
        self.received = False
        self._signal = signal.SIGTERM  # the last one received
        self._immediate = False
        self._process = os.getpid()

    @contextmanager
    def handle_signals(self) -> Iterator[None]:
        """Record SIGTERM and Ctrl-C instead of terminating; a second Ctrl-C ends the run at once.

        Outside the main thread, this has no effect.
        """
        before = {}
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                before[number] = signal.signal(number, self._note)
        except ValueError:  # signal handlers can only be set in the main thread
            yield
            return
        try:
            yield
        except StoppedError as error:
            error.signal = self._signal
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def interrupt_immediately(self) -> Iterator[None]:
        """Let Ctrl-C raise ``KeyboardInterrupt``, for work that does not check ``received``."""
        self._immediate = True
        try:
            yield
        finally:
            self._immediate = False

    def _note(self, number: int, _frame) -> None:
        if os.getpid() != self._process:  # a data loader process; the main process stops it
            return
        again = self.received and self._signal == signal.SIGINT
        self.received, self._signal = True, signal.Signals(number)
        if number == signal.SIGINT and (again or self._immediate):
            raise KeyboardInterrupt

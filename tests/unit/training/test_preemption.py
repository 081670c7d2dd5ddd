"""SIGTERM is recorded while a run handles it; the previous handler is restored."""

import os
import signal
import threading

import pytest

from emosphere_sb.training.preemption import EXIT_STOPPED, StopRequest


def test_sigterm_is_recorded():
    request = StopRequest()
    with request.handle_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.received


def test_previous_handler_is_restored():
    before = signal.getsignal(signal.SIGTERM)
    request = StopRequest()
    with pytest.raises(KeyError), request.handle_sigterm():
        assert signal.getsignal(signal.SIGTERM) != before
        raise KeyError
    assert signal.getsignal(signal.SIGTERM) == before
    assert not request.received


def test_other_threads_do_not_change_the_handler():
    request, ended = StopRequest(), []

    def listen():
        with request.handle_sigterm():
            ended.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert ended == [signal.getsignal(signal.SIGTERM)]


def test_exit_status_is_ex_tempfail():
    assert os.EX_TEMPFAIL == EXIT_STOPPED

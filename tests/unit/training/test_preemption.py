"""SIGTERM and Ctrl-C are recorded while a run handles it; the previous handler is restored."""

import os
import signal
import threading

import pytest

from emosphere_sb.training.preemption import (
    EXIT_INTERRUPTED,
    EXIT_STOPPED,
    StoppedError,
    StopRequest,
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_is_recorded(number):
    request = StopRequest()
    with request.handle_signals():
        os.kill(os.getpid(), number)
        assert request.received


def test_previous_handler_is_restored():
    before = signal.getsignal(signal.SIGTERM)
    request = StopRequest()
    with pytest.raises(KeyError), request.handle_signals():
        assert signal.getsignal(signal.SIGTERM) != before
        raise KeyError
    assert signal.getsignal(signal.SIGTERM) == before
    assert not request.received


def test_other_threads_do_not_change_the_handler():
    request, ended = StopRequest(), []

    def listen():
        with request.handle_signals():
            ended.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert ended == [signal.getsignal(signal.SIGTERM)]


def test_exit_status_is_ex_tempfail():
    assert os.EX_TEMPFAIL == EXIT_STOPPED
    assert EXIT_INTERRUPTED == 128 + signal.SIGINT


@pytest.mark.parametrize(
    ("number", "status", "begin"),
    [(signal.SIGTERM, 75, "Interrupted by SIGTERM; "), (signal.SIGINT, 130, "Interrupted; ")],
)
def test_error_names_the_signal(number, status, begin):
    request = StopRequest()
    with pytest.raises(StoppedError) as stopped, request.handle_signals():
        os.kill(os.getpid(), number)
        raise StoppedError("checkpoint saved at epoch 1, step 2")
    assert stopped.value.status == status
    saved = "checkpoint saved at epoch 1, step 2. Re-run the same command to resume."
    assert stopped.value.text == begin + saved


def test_second_interrupt_ends_at_once():
    request = StopRequest()
    with pytest.raises(KeyboardInterrupt), request.handle_signals():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_interrupt_is_immediate_while_nothing_checks_for_it():
    request = StopRequest()
    with (
        pytest.raises(KeyboardInterrupt),
        request.handle_signals(),
        request.interrupt_immediately(),
    ):
        os.kill(os.getpid(), signal.SIGINT)

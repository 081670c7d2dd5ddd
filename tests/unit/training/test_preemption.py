"""SIGTERM is noted while a run listens, and is what it was before and after."""

import os
import signal
import threading

import pytest

from emosphere_sb.training.preemption import STOPPED, StopRequest


def test_signal_is_noted_and_nobody_dies():
    request = StopRequest()
    with request.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.came


def test_before_and_after_the_signal_is_whose_it_was():
    before = signal.getsignal(signal.SIGTERM)
    request = StopRequest()
    with pytest.raises(KeyError), request.listening():
        assert signal.getsignal(signal.SIGTERM) != before
        raise KeyError
    assert signal.getsignal(signal.SIGTERM) == before
    assert not request.came


def test_in_another_thread_it_is_the_hosts_business():
    request, ended = StopRequest(), []

    def listen():
        with request.listening():
            ended.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert ended == [signal.getsignal(signal.SIGTERM)]


def test_the_exit_status_means_try_again():
    assert os.EX_TEMPFAIL == STOPPED

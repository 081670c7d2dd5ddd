"""A watchdog for tests that read damaged files."""

import faulthandler

import pytest


@pytest.fixture(autouse=True)
def watchdog():
    """End the tests with a traceback if one takes a minute."""
    faulthandler.dump_traceback_later(60, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()

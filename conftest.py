"""Settings of pytest for the tests and the docstring examples."""

import gc
import os

import pytest

# One thread per process: the models of tests are tiny, and test processes run side by side. Set
# before torch is imported; worker processes and processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

pytest.register_assert_rewrite("tests.helpers")
pytest_plugins = ["tests.helpers.parallel", "tests.helpers.assertion_count"]


def pytest_collection_finish() -> None:
    """Exclude the imported modules and the tests from garbage collections, which is faster."""
    gc.collect()
    gc.freeze()

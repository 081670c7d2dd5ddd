"""Pytest plugin: distribute test modules over worker processes (``pytest -n 2``).

All tests of a module run in the same worker, so that each fixture of a module is set up once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from emosphere_sb.fileio.lock import file_lock
from emosphere_sb.tables.launcher import available_cores

# These modules start several processes or a browser, or kill processes. They run one after the
# other in the same worker, because they would slow down each other too much side by side.
ONE_WORKER = (
    "tests/integration/test_demo_page.py",
    "tests/integration/test_demo_page_requests.py",
    "tests/integration/test_distributed_backbones.py",
    "tests/integration/test_distributed_training.py",
    "tests/integration/test_kill.py",
    "tests/integration/test_report_page.py",
    "tests/unit/test_distributed.py",
)
# Folders of modules that take long. They start before the others, so that no worker has to wait
# for another one at the end.
LONG = ("tests/integration/", "tests/recipes/")

# Modules of ONE_WORKER limit the gain of more workers.
MOST_WORKERS = 4
GIGABYTES_PER_WORKER = 4


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Return the number of workers of ``-n auto``: one more than cores, within the memory.

    Tests that wait, for processes that they start or for a browser, leave cores to the others.
    """
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # xdist reads it
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return max(1, min(available_cores() + 1, MOST_WORKERS, int(memory / GIGABYTES_PER_WORKER)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the tests of workers by module: :data:`ONE_WORKER`, :data:`LONG`, all others."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: start_rank(item.nodeid))


def start_rank(nodeid: str) -> int:
    """Return 0 for tests that start first, 1 and 2 for later ones."""
    return 0 if scope_of(nodeid) == "one worker" else 1 if nodeid.startswith(LONG) else 2


def scope_of(nodeid: str) -> str:
    """Return the name of the group of tests that run in the same worker.

    Example
    -------
    >>> scope_of("tests/unit/test_scale.py::test_range[1-7]")
    'tests/unit/test_scale.py'
    >>> scope_of("tests/integration/test_kill.py::test_kill")
    'one worker'
    """
    module = nodeid.partition("::")[0]
    return "one worker" if module in ONE_WORKER else module


class ModuleScheduling(LoadScopeScheduling):
    """Send all tests of a module to the same worker, in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log) -> ModuleScheduling | None:
    """Use :class:`ModuleScheduling` unless ``--dist`` asks for another order."""
    if config.option.dist != "load":
        return None
    config.option.loadscopereorder = False  # xdist would start with the module with most tests
    return ModuleScheduling(config, log)


def make_once(shared: Path, name: str, write: Callable[[Path], object]) -> Path:
    """Return a folder that all workers share, and which the first one to need it writes.

    Arguments
    ---------
    shared : Path
        Existing folder that is the same in all workers.
    name : str
        Name of the new folder.
    write : callable
        Writes the files to the given folder, which exists. If it fails, the next call starts again.
    """
    folder, complete = shared / name, shared / f"{name}.complete"
    with file_lock(shared / f"{name}.lock", timeout=-1):
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that crashed
            folder.mkdir()
            write(folder)
            complete.touch()
    return folder

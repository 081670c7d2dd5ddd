"""Test the distribution of tests over worker processes (``tests/helpers/parallel.py``)."""

import os
import re
import subprocess
import sys

import pytest

from tests.helpers import parallel
from tests.helpers.parallel import ONE_WORKER, make_once, start_rank

# Torchrun, processes of torch, and browsers.
HEAVY = re.compile(r"torch\.distributed\.run\b|\bstart_processes\b|\bwebdriver\b|\bBROWSER\b")

CONFTEST = """
import os
from functools import partial
from pathlib import Path

import pytest

from tests.helpers.parallel import make_once

LOG = Path(__file__).with_name("log.txt")

def log(*words):
    with open(LOG, "a") as file:
        print(*words, os.environ["PYTEST_XDIST_WORKER"], file=file)

@pytest.fixture(scope="session", autouse=True)
def shared(tmp_path_factory):
    write = lambda folder: log("written", "once")
    return make_once(tmp_path_factory.getbasetemp().parent, "shared", write)

@pytest.fixture(scope="module", autouse=True)
def module(request):
    log("set-up", request.node.nodeid)

@pytest.fixture(autouse=True)
def _log(request):
    log("test", request.node.nodeid.partition("::")[0])
"""
TESTS = """
import pytest

@pytest.mark.parametrize("number", range(6))
def test(number):
    pass
"""


def test_modules_with_several_processes_or_a_browser_run_in_one_worker(root):
    heavy = {
        str(path.relative_to(root))
        for path in (root / "tests").rglob("test_*.py")
        if HEAVY.search(path.read_text(encoding="utf-8")) and path.name != "test_parallel.py"
    }
    assert len(heavy) >= 5
    assert heavy <= set(ONE_WORKER)
    assert all((root / name).is_file() for name in ONE_WORKER)


def test_long_modules_start_first():
    names = ["tests/unit/test_scale.py", "tests/recipes/test_recipes.py", *ONE_WORKER]
    assert [start_rank(f"{name}::test") for name in names] == [2, 1, *[0] * len(ONE_WORKER)]


@pytest.mark.parametrize(("cores", "gigabytes", "expected"), [
    (2, 16, 3), (1, 16, 2), (2, 9, 2), (64, 256, 4), (8, 9, 2), (8, 2, 1),
])  # fmt: skip
def test_automatic_number_of_workers(cores, gigabytes, expected, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_AUTO_NUM_WORKERS", raising=False)
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": gigabytes * 2**18}
    monkeypatch.setattr(os, "sysconf", sizes.get)
    monkeypatch.setattr(parallel, "available_cores", lambda: cores)
    assert parallel.pytest_xdist_auto_num_workers() == expected


def test_each_module_runs_in_one_worker_and_shared_folder_is_written_once(root, tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    modules = ["tests/test_a.py", "tests/unit/test_b.py", ONE_WORKER[0], ONE_WORKER[-1]]
    for name in modules:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    plugins = ["-p", "xdist", "-p", "tests.helpers.parallel"]  # others would only take time
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "-n", "2"], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0 and "24 passed" in run.stdout, run.stdout + run.stderr
    lines = [line.split() for line in (tmp_path / "log.txt").read_text().splitlines()]
    workers = {}
    for kind, name, worker in lines:
        workers.setdefault((kind, name), []).append(worker)
    assert len(workers["written", "once"]) == 1
    for name in modules:
        assert len(workers["set-up", name]) == 1
        assert workers["test", name] == workers["set-up", name] * 6
    assert workers["set-up", ONE_WORKER[0]] == workers["set-up", ONE_WORKER[-1]]
    assert {worker for _, _, worker in lines} == {"gw0", "gw1"}


def test_shared_folder_is_written_again_after_an_error(tmp_path):
    def fail(folder):
        (folder / "half").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        make_once(tmp_path, "model", fail)
    folder = make_once(tmp_path, "model", lambda folder: (folder / "whole").touch())
    assert [path.name for path in folder.iterdir()] == ["whole"]
    assert make_once(tmp_path, "model", fail) == folder

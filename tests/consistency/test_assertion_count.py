"""Test the number of assertions that ``pytest --count-assertions`` prints."""

import os
import re
import subprocess
import sys

import pytest

ONE = """
import pytest

def test_three_statements_and_six_executions():
    assert 1
    for number in range(4):
        assert number < 4
    assert [number for number in (2, 1)] == [2, 1]

@pytest.mark.parametrize("number", [1, 2])
def test_one_statement_twice(number):
    assert number in (1, 2)

def test_failed_assertion_is_not_counted():
    assert 0
"""
TWO = """
from hypothesis import given, settings, strategies

@settings(max_examples=10, derandomize=True)
@given(strategies.integers())
def test_two_statements_and_twenty_executions(number):
    assert number <= number
    assert number >= number
"""


@pytest.fixture
def count(root, tmp_path):
    """Run pytest on two modules, and return its output."""
    (tmp_path / "test_one.py").write_text(ONE)
    (tmp_path / "test_two.py").write_text(TWO)
    (tmp_path / "pytest.ini").write_text("[pytest]\nenable_assertion_pass_hook = true\n")

    def run(*options):
        plugins = ["-p", "xdist", "-p", "tests.helpers.assertion_count"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *plugins, *options], cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(root), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True, text=True,
        )  # fmt: skip
        assert "1 failed, 4 passed" in done.stdout, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("workers", [0, 2])
def test_assertions_of_all_workers_are_counted(workers, count):
    output = count("--count-assertions", f"-n{workers}")
    (found,) = re.findall(r"^Assertions: (.+)$", output, re.MULTILINE)
    assert found == "7 (executed 28 times)"


def test_nothing_is_counted_without_the_option(count):
    assert "Assertions" not in count()


def test_hook_is_enabled(pytestconfig):
    assert pytestconfig.getini("enable_assertion_pass_hook") is True

"""Pytest plugin: count the assertions that pass (``pytest --count-assertions``).

It counts ``assert`` statements of test modules, of ``conftest.py`` and of ``tests/helpers``, once
per test. Statements in loops count once, because the passes of a loop can depend on time or chance.
"""

from __future__ import annotations

import sys

import pytest

OPTION = "--count-assertions"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption(
        OPTION, action="store_true", help="print the number of assertions that passed (slower)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Count only if the option was given: with the hook, pytest describes each passed assertion."""
    if config.getoption(OPTION):
        config.pluginmanager.register(AssertionCount(config))


class AssertionCount:
    """Counts of the assertions in this process and in the workers of xdist.

    Arguments
    ---------
    config : pytest.Config
        Configuration of the session.
    """

    def __init__(self, config: pytest.Config):
        self.config = config
        self.statements = self.executions = 0
        self._root = str(config.rootpath)
        self._seen: set[tuple[str, int]] = set()

    def pytest_runtest_logstart(self) -> None:
        """Forget the statements of the previous test."""
        self._seen.clear()

    def pytest_assertion_pass(self, lineno: int) -> None:
        """Count an assertion, unless it is in a package such as Hypothesis."""
        file = _asserting_file()
        # An environment in the repository (.venv) contains packages.
        if not file.startswith(self._root) or file.startswith(sys.prefix):
            return
        self.executions += 1
        if (file, lineno) not in self._seen:
            self._seen.add((file, lineno))
            self.statements += 1

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Send the counts of a worker to the main process."""
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput["assertions"] = (self.statements, self.executions)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node) -> None:
        """Add the counts of a worker that has finished; one that crashed has none."""
        statements, executions = getattr(node, "workeroutput", {}).get("assertions", (0, 0))
        self.statements += statements
        self.executions += executions

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the counts."""
        terminalreporter.write_line(
            f"Assertions: {self.statements} (executed {self.executions} times)"
        )


def _asserting_file() -> str:
    """Return the file of the assertion for which pytest calls the hook."""
    frame = sys._getframe()
    while frame.f_code.co_name != "_call_assertion_pass":
        frame = frame.f_back
    return frame.f_back.f_code.co_filename

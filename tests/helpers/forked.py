"""Start Python programs as forks of a process that has already imported the large packages.

Starting a run in a new interpreter takes five times as long as the run of a tiny model. Tests of
how a new interpreter starts, and of process trees, use :mod:`subprocess`.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import reduction
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "emosphere_sb.recipe.run",
        "transformers.models.wavlm.modeling_wavlm",
        "transformers.optimization",  # learning rate schedules
    ]
)


class ForkedProcess:
    """A running program, with the interface of :class:`subprocess.Popen`.

    Arguments
    ---------
    words : sequence of str
        ``sys.executable``, followed by the path of a script or ``-m`` and a module, and arguments.
    cwd : path, optional
        Working directory.
    env : mapping, optional
        Environment variables. The packages were imported before they are set, so the number of
        threads is that of this process.
    stdin, stdout : int or file, optional
        ``subprocess.PIPE``, ``subprocess.DEVNULL`` or an open file.
    stderr : int, optional
        ``subprocess.STDOUT``: standard error is written to standard output.
    text : bool
        Whether standard output is text.
    start_new_session : bool
        Whether the program runs in its own session.
    """

    def __init__(
        self, words: Sequence[str], *, cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr: int = subprocess.STDOUT, text: bool = False, start_new_session: bool = False,
    ):  # fmt: skip
        executable, *arguments = (str(word) for word in words)
        assert executable == sys.executable and stderr == subprocess.STDOUT
        self.stdin = self.stdout = None
        read, write = _descriptor(stdin), _descriptor(stdout)
        if stdin == subprocess.PIPE:
            read, other = os.pipe()
            self.stdin = os.fdopen(other, "wb", buffering=0)
        if stdout == subprocess.PIPE:
            other, write = os.pipe()
            self.stdout = os.fdopen(other, "r" if text else "rb")
        self._process = CONTEXT.Process(
            target=run_program,
            args=(
                arguments, str(cwd or os.getcwd()), dict(os.environ if env is None else env),
                start_new_session, Descriptor(read), Descriptor(write),
            ),
        )  # fmt: skip
        self._process.start()
        for own, given in ((read, stdin), (write, stdout)):
            if isinstance(given, int):  # opened here
                os.close(own)
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status; negative if a signal ended the program, ``None`` while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return :attr:`returncode`."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status.

        Raises
        ------
        subprocess.TimeoutExpired
            If the program still runs after ``timeout`` seconds.
        """
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(["forked program"], timeout)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple:
        """Read standard output until its end, wait, and return it with ``None``."""
        output = None if self.stdout is None else self.stdout.read()
        self.wait(timeout)
        return output, None

    def send_signal(self, number: int) -> None:
        """Send a signal unless the program has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()


class Descriptor:
    """A file descriptor that is duplicated for the new process; there, it is a number."""

    def __init__(self, number: int):
        self.number = number

    def __reduce__(self):
        return _detach, (reduction.DupFd(self.number),)


def _detach(handle) -> int:
    return handle.detach()


def _descriptor(file) -> int:
    """Return the descriptor of an open file, or a new one of the null device; -1 for a pipe."""
    if file == subprocess.PIPE:
        return -1
    return os.open(os.devnull, os.O_RDWR) if file == subprocess.DEVNULL else file.fileno()


def run_program(
    arguments: Sequence[str], cwd: str, env: Mapping[str, str], new_session: bool, *files: int
) -> None:
    """Run a program in this process, which is a fork."""
    if new_session:
        os.setsid()
    read, write = files
    for target, number in ((0, read), (1, write), (2, write)):
        os.dup2(number, target)
    for number in files:
        os.close(number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, closefd=False, **options)  # noqa: SIM115
        for number, mode, options in ((0, "r", {}), (1, "w", {}), (2, "w", {"buffering": 1}))
    )
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path.insert(0, cwd)
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(arguments)
        sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
        runpy.run_path(arguments[0], run_name="__main__")


def run(words: Sequence[str], **options) -> subprocess.CompletedProcess:
    """Run a program and return its exit status and its output, including standard error."""
    process = ForkedProcess(words, stdout=subprocess.PIPE, text=True, **options)
    output, _ = process.communicate()
    return subprocess.CompletedProcess(words, process.returncode, output)

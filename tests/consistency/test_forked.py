"""``tests/helpers/forked.py`` behaves like ``subprocess``."""

import signal
import subprocess
import sys

import pytest

from tests.helpers import forked

PROGRAM = """
import os, sys
print(os.getcwd(), os.environ["NAME"], sys.argv[1:], "torch" in sys.modules, __name__)
print("to stderr", file=sys.stderr)
line = sys.stdin.readline()
print(repr(line))
sys.exit(3)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(PROGRAM)
    return path


def test_program_has_arguments_environment_streams_and_status(script, tmp_path):
    words = [sys.executable, script, "a", "b"]
    process = forked.ForkedProcess(
        words, cwd=tmp_path, env={"NAME": "value"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    process.stdin.write(b"typed\n")
    output, _ = process.communicate()
    expected = [f"{tmp_path} value ['a', 'b'] True __main__", "'typed\\n'", "to stderr"]
    assert sorted(output.splitlines()) == sorted(expected)
    assert process.returncode == process.poll() == 3


def test_output_can_be_a_file_and_input_is_empty(script, tmp_path):
    with open(tmp_path / "log", "w") as log:
        process = forked.ForkedProcess([sys.executable, script], env={"NAME": "x"}, stdout=log)
    assert process.wait() == 3
    assert (tmp_path / "log").read_text().endswith("''\n")


def test_module_runs_as_a_program(tmp_path):
    (tmp_path / "own.py").write_text("import sys; print(sys.argv[1:], __name__)")
    done = forked.run([sys.executable, "-m", "own", "x"], cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "['x'] __main__\n")


def test_signals_end_the_program(tmp_path):
    (tmp_path / "wait.py").write_text("import time; print('begun', flush=True); time.sleep(600)")
    for send in ("kill", "terminate"):
        process = forked.ForkedProcess(
            [sys.executable, tmp_path / "wait.py"], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "begun\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        getattr(process, send)()
        expected = signal.SIGKILL if send == "kill" else signal.SIGTERM
        assert process.wait() == -expected

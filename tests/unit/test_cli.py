"""The ``emosphere`` command: help without torch, one-line errors and closed pipes."""

import logging
import subprocess
import sys
import types

import pytest

from emosphere_sb import __version__, cli

HEAVY = ("torch", "pandas", "speechbrain", "transformers", "matplotlib", "scipy")
HELP = f"""
import sys
from emosphere_sb.cli import main
status = main(sys.argv[1:])
print("status", status, [name for name in {HEAVY!r} if name in sys.modules])
"""
FULL_PIPE = "import sys; from emosphere_sb.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(autouse=True)
def _own_log_handlers(monkeypatch):
    """Remove log handlers that write to the captured stream of an earlier test."""
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.delenv("EMOSPHERE_TRACEBACK", raising=False)


@pytest.fixture
def command(monkeypatch):
    """Function that registers a command: ``command(run)`` defines ``emosphere own``."""

    def make(run):
        module = types.ModuleType("own_command")
        module.run = run
        monkeypatch.setitem(sys.modules, "own_command", module)
        monkeypatch.setitem(cli.COMMANDS, "own", ("own_command", "a test"))

    return make


@pytest.mark.parametrize(
    "words", [["--help"], *([name, "--help"] for name in cli.COMMANDS)], ids=str
)
def test_help_does_not_import_heavy_packages(words, root):
    run = subprocess.run(
        [sys.executable, "-c", HELP, *words], cwd=root, capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(root)},
    )  # fmt: skip
    *text, last = run.stdout.splitlines()
    assert last == "status 0 []"
    assert text[0].startswith(f"usage: emosphere {'COMMAND' if words[0] == '--help' else words[0]}")


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"], ["help"]], ids=str)
def test_help_lists_all_commands(words, capsys):
    assert cli.main(words) == 0
    text = capsys.readouterr().out
    assert text == cli.commands_help() + "\n"
    assert {"table", "report", "submission"} <= set(cli.COMMANDS)
    for name, (_, about) in cli.COMMANDS.items():
        assert any(line.split() == [name, *about.split()] for line in text.splitlines())


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"emosphere {__version__}\n"


def test_unknown_command_suggests_the_closest_match(capsys):
    assert cli.main(["tabel", "ablation"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: Unknown command 'tabel'. Did you mean 'table'?")
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize("status", [0, 1, 75])
def test_arguments_and_exit_status_are_passed_on(command, status):
    seen = []
    command(lambda words: seen.append(words) or status)
    assert cli.main(["own", "a", "--b=c"]) == status
    assert seen == [["a", "--b=c"]]


@pytest.mark.parametrize("kind", [ValueError, FileNotFoundError, MemoryError, ImportError])
def test_error_is_printed_on_one_line(command, capsys, kind):
    def run(words):
        raise kind("found nothing;\n\n    say what to do")

    command(run)
    assert cli.main(["own"]) == 2
    text = capsys.readouterr().err
    assert text == "error: found nothing; say what to do\n"


def test_traceback_is_shown_on_request(command, monkeypatch):
    def run(words):
        raise ValueError("found nothing")

    command(run)
    monkeypatch.setenv("EMOSPHERE_TRACEBACK", "1")
    with pytest.raises(ValueError, match="found nothing"):
        cli.main(["own"])


def test_programming_error_is_raised(command):
    def run(words):
        raise KeyError("mean")

    command(run)
    with pytest.raises(KeyError):
        cli.main(["own"])


def test_error_of_a_command_is_printed_on_one_line(capsys):
    assert cli.main(["table", "no_such_table"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: Unknown table 'no_such_table'.")
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize("words", [["--help"], ["table", "--help"], ["predict", "--help"]], ids=str)
def test_closed_pipe_is_not_an_error(words, root):
    run = subprocess.Popen(
        [sys.executable, "-c", FULL_PIPE, *words], cwd=root, env={"PYTHONPATH": str(root)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    run.stdout.close()  # before any output
    assert run.stderr.read() == ""
    assert run.wait() == 0
    run.stderr.close()


def test_ctrl_c_prints_no_traceback(command, capsys):
    def run(words):
        raise KeyboardInterrupt

    command(run)
    assert cli.main(["own"]) == 130
    assert capsys.readouterr().err == "Stopped.\n"


def test_error_without_message_is_shown_by_its_class_name(command, capsys):
    def run(words):
        raise MemoryError

    command(run)
    assert cli.main(["own"]) == 2
    assert capsys.readouterr().err == "error: MemoryError\n"

"""``emosphere release``: output and exit status."""

import subprocess
import sys

import pytest

from emosphere_sb.cli import main
from emosphere_sb.release.load import load_released
from tests.helpers.models import untrained_run


def test_writes_a_model_and_prints_its_name_and_licence(tmp_path, capsys):
    untrained_run(tmp_path / "run")
    assert main(["release", str(tmp_path / "run"), str(tmp_path / "out"), "--name=Mine"]) == 0
    text = capsys.readouterr().out
    assert f"Mine: {tmp_path / 'out'}" in text and text.startswith("Synthetic speech:")
    assert "Licence: Trained on synthetic speech only" in text
    assert load_released(tmp_path / "out")[1].name == "Mine"


@pytest.mark.parametrize("place", ["none", "file"])
def test_error_is_printed_on_one_line(tmp_path, capsys, place):
    (tmp_path / "file").write_text("x")
    assert main(["release", str(tmp_path / place), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "must be the folder of a finished run" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "missing arguments: RUN, OUT"),
        (["a"], "missing arguments: OUT"),
        (["a", "b", "c"], "unrecognized arguments: c"),
        (["a", "b", "--nam=x"], "unrecognized arguments: --nam=x"),
    ],
)
def test_invalid_arguments_are_rejected(words, message, capsys):
    assert main(["release", *words]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}. See emosphere release --help.")


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom emosphere_sb.cli import main\n"
        "try:\n    main(['release', '--help'])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "print({'torch', 'pandas', 'transformers', 'speechbrain'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "set()"
    assert "it is written atomically" in run.stdout

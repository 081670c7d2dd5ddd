"""``emosphere submission``: what it writes, what it prints, and its exit status."""

import subprocess
import sys

import pandas as pd
import pytest

from emosphere_sb.commands.submission import run
from emosphere_sb.results.predictions import PREDICTED
from tests.helpers.run_folders import change_metrics, set_of, write_run

NAMES = [f"u{n:03d}.wav" for n in range(5)]


@pytest.fixture
def folder(tmp_path):
    test3 = set_of(5, labelled=False)
    test3[list(PREDICTED)] = 3.0
    test3.loc[0, list(PREDICTED)] = [2.0, 7.5, 0.5]
    return write_run(tmp_path / "7", {"test1": set_of(), "test3": test3})


def said(capsys):
    return capsys.readouterr().out


def test_writes_the_set_and_checks_it(folder, tmp_path, capsys):
    out = tmp_path / "deep" / "s.csv"
    assert run([str(folder), "--set=test3", f"--out={out}"]) == 0
    table = pd.read_csv(out)
    assert table["FileName"].tolist() == NAMES
    assert table.iloc[0].tolist() == ["u000.wav", 7.0, 2.0, 1.0]
    assert table.iloc[1].tolist() == ["u001.wav", 3.0, 3.0, 3.0]
    text = said(capsys)
    assert "5 files of test3 written" in text
    assert "ends of the scale, 1 or 7: 2 of 15" in text
    assert "5 files, no problem found" in text


def test_list_gives_order_and_names_and_what_is_left_out_is_said(folder, tmp_path, capsys):
    (tmp_path / "list.txt").write_text("u003.wav\nu001.wav\n")
    out = tmp_path / "s.csv"
    assert run([str(folder), "--set", "test3", f"--out={out}", f"--list={tmp_path}/list.txt"]) == 0
    assert pd.read_csv(out)["FileName"].tolist() == ["u003.wav", "u001.wav"]
    text = said(capsys)
    assert "not in the list and not handed in: 3 (u000, u002, u004)" in text
    assert "1 or 7: 0 of 6" in text


def test_list_with_a_file_that_was_not_predicted_is_refused(folder, tmp_path):
    (tmp_path / "list.txt").write_text("u003.wav\nu009.wav\n")
    words = [str(folder), "--set=test3", f"--out={tmp_path}/s.csv", f"--list={tmp_path}/list.txt"]
    with pytest.raises(ValueError, match=r"1 \(u009\.wav\) have none"):
        run(words)
    assert not (tmp_path / "s.csv").exists()


def test_check_passes_what_was_written_and_prints_every_problem_otherwise(folder, tmp_path, capsys):
    out = tmp_path / "s.csv"
    run([str(folder), "--set=test3", f"--out={out}"])
    (tmp_path / "list.txt").write_text("\n".join(NAMES))
    words = ["--check", str(out), f"--list={tmp_path}/list.txt"]
    assert run(words) == 0
    out.write_text(out.read_text().replace("u001.wav,3.0", "u001.wav,9.0").replace("u004", "u005"))
    said(capsys)
    assert run(words) == 1
    text = said(capsys)
    assert "missing: 1 (u004.wav)" in text
    assert "not in the list: 1 (u005.wav)" in text
    assert "EmoAct must lie in [1, 7]; not so for 1 (u001.wav)" in text
    assert "3 problems." in text


def test_older_run_needs_its_scale_said(folder, tmp_path):
    change_metrics(folder, lambda metrics: metrics["protocol"].pop("scale"))
    words = [str(folder), "--set=test3", f"--out={tmp_path}/s.csv"]
    with pytest.raises(ValueError, match="--label_low=1 --label_high=7"):
        run(words)
    assert run([*words, "--label_low=0", "--label_high=8"]) == 0
    # 3 of 0..8 is 3/8 of the way: 1 + 6 * 3/8.
    assert pd.read_csv(tmp_path / "s.csv").loc[1, "EmoVal"] == 3.25


def test_scale_that_the_run_knows_is_not_said_again(folder, tmp_path):
    words = [str(folder), "--set=test3", f"--out={tmp_path}/s.csv", "--label_low=1"]
    with pytest.raises(ValueError, match="its scale is 1 to 7; leave"):
        run(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["RUN", "--set=test3"], "found no out"),
        (["--set=test3", "--out=x"], "found no run"),
        (["RUN", "--set=test9", "--out=x"], "one of test1, test3, .*found 'test9'"),
        (["--check", "x.csv"], "found no list"),
        (["RUN", "--check", "x.csv", "--list=y"], "nothing else; found run"),
    ],
)
def test_command_line_at_fault(folder, words, message):
    with pytest.raises(ValueError, match=message):
        run([str(folder) if word == "RUN" else word for word in words])


def test_several_runs_are_averaged_first(folder, tmp_path):
    write_run(tmp_path / "8")
    with pytest.raises(ValueError, match=r"is 2 runs\. Average runs first"):
        run([str(tmp_path), "--set=test3", f"--out={tmp_path}/s.csv"])


def test_options_are_not_abbreviated(folder):
    with pytest.raises(ValueError, match="unrecognized arguments: --se=test3"):
        run([str(folder), "--se=test3", "--out=x"])


def test_help_loads_neither_torch_nor_pandas():
    code = (
        "import sys; from emosphere_sb.commands.submission import parser;"
        "parser().format_help(); assert not {'torch', 'pandas', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""``emosphere submission``: what it writes, what it prints, and its exit status."""

import subprocess
import sys

import pandas as pd
import pytest

from emosphere_sb.commands.submission import run
from emosphere_sb.results.predictions import PREDICTED
from tests.helpers.run_folders import change_metrics, random_predictions, write_run

NAMES = [f"u{n:03d}.wav" for n in range(5)]


@pytest.fixture
def folder(tmp_path):
    test3 = random_predictions(5, labelled=False)
    test3[list(PREDICTED)] = 3.0
    test3.loc[0, list(PREDICTED)] = [2.0, 7.5, 0.5]
    return write_run(tmp_path / "7", {"test1": random_predictions(), "test3": test3})


def said(capsys):
    return capsys.readouterr().out


def test_submission_is_written_and_checked(folder, tmp_path, capsys):
    out = tmp_path / "deep" / "s.csv"
    assert run([str(folder), "--set=test3", f"--out={out}"]) == 0
    table = pd.read_csv(out)
    assert table["FileName"].tolist() == NAMES
    assert table.iloc[0].tolist() == ["u000.wav", 7.0, 2.0, 1.0]
    assert table.iloc[1].tolist() == ["u001.wav", 3.0, 3.0, 3.0]
    text = said(capsys)
    assert "Wrote predictions for 5 files of test3" in text
    assert "clipped to [1, 7]: 2 of 15" in text
    assert "5 files, no problems found" in text


def test_list_defines_order_and_names_and_reports_skipped(folder, tmp_path, capsys):
    (tmp_path / "list.txt").write_text("u003.wav\nu001.wav\n")
    out = tmp_path / "s.csv"
    assert run([str(folder), "--set", "test3", f"--out={out}", f"--list={tmp_path}/list.txt"]) == 0
    assert pd.read_csv(out)["FileName"].tolist() == ["u003.wav", "u001.wav"]
    text = said(capsys)
    assert "not in the list: 3 (u000, u002, u004)" in text
    assert "clipped to [1, 7]: 0 of 6" in text


def test_list_with_unpredicted_file_raises(folder, tmp_path):
    (tmp_path / "list.txt").write_text("u003.wav\nu009.wav\n")
    words = [str(folder), "--set=test3", f"--out={tmp_path}/s.csv", f"--list={tmp_path}/list.txt"]
    with pytest.raises(ValueError, match=r"missing: 1 \(u009\.wav\)"):
        run(words)
    assert not (tmp_path / "s.csv").exists()


def test_check_accepts_written_file_and_prints_all_problems(folder, tmp_path, capsys):
    out = tmp_path / "s.csv"
    run([str(folder), "--set=test3", f"--out={out}"])
    (tmp_path / "list.txt").write_text("\n".join(NAMES))
    words = ["--check", str(out), f"--list={tmp_path}/list.txt"]
    assert run(words) == 0
    out.write_text(out.read_text().replace("u001.wav,3.0", "u001.wav,9.0").replace("u004", "u005"))
    said(capsys)
    assert run(words) == 1
    text = said(capsys)
    assert "Missing files that are in the list: 1 (u004.wav)" in text
    assert "not in the list: 1 (u005.wav)" in text
    assert "EmoAct must be in [1, 7]; out of range: 1 (u001.wav)" in text
    assert "3 problems." in text


def test_old_run_requires_scale_options(folder, tmp_path):
    change_metrics(folder, lambda metrics: metrics["protocol"].pop("scale"))
    words = [str(folder), "--set=test3", f"--out={tmp_path}/s.csv"]
    with pytest.raises(ValueError, match="--label_low=1 --label_high=7"):
        run(words)
    assert run([*words, "--label_low=0", "--label_high=8"]) == 0
    # 3 of 0..8 is 3/8 of the way: 1 + 6 * 3/8.
    assert pd.read_csv(tmp_path / "s.csv").loc[1, "EmoVal"] == 3.25


def test_scale_options_are_rejected_if_recorded(folder, tmp_path):
    words = [str(folder), "--set=test3", f"--out={tmp_path}/s.csv", "--label_low=1"]
    with pytest.raises(ValueError, match="its label scale \\(1 to 7\\)"):
        run(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["RUN", "--set=test3"], "missing: out"),
        (["--set=test3", "--out=x"], "missing: run"),
        (
            ["RUN", "--set=test9", "--out=x"],
            "no predictions for the 'test9' set.*one of test1, test3",
        ),
        (["--check", "x.csv"], "found no --list"),
        (["RUN", "--check", "x.csv", "--list=y"], "no other options; found run"),
    ],
)
def test_invalid_options_are_rejected(folder, words, message):
    with pytest.raises(ValueError, match=message):
        run([str(folder) if word == "RUN" else word for word in words])


def test_several_runs_must_be_averaged_first(folder, tmp_path):
    write_run(tmp_path / "8")
    with pytest.raises(ValueError, match=r"is a folder of 2 runs\. To average runs"):
        run([str(tmp_path), "--set=test3", f"--out={tmp_path}/s.csv"])


def test_options_are_not_abbreviated(folder):
    with pytest.raises(ValueError, match="unrecognized arguments: --se=test3"):
        run([str(folder), "--se=test3", "--out=x"])


def test_help_imports_neither_torch_nor_pandas():
    code = (
        "import sys; from emosphere_sb.commands.submission import build_submission_parser;"
        "build_submission_parser().format_help(); "
        "assert not {'torch', 'pandas', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_modified_predictions_are_not_submitted(folder, tmp_path):
    path = folder / "predictions" / "test3.csv"
    path.write_text(path.read_text().replace("7.5", "6.5"))
    with pytest.raises(ValueError, match=r"predictions/test3\.csv of .*was modified after the run"):
        run([str(folder), "--set=test3", f"--out={tmp_path}/s.csv"])
    assert not (tmp_path / "s.csv").exists()

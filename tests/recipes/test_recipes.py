"""Run each recipe from the command line, as listed in tests/recipes/*.csv."""

import csv
import json
import sys
from pathlib import Path

import pytest

from tests.helpers import forked

ROWS = [
    row
    for table in sorted(Path(__file__).parent.glob("*.csv"))
    for row in csv.DictReader(table.read_text(encoding="utf-8").splitlines())
]


def test_each_recipe_is_listed(root):
    scripts = {str(path.relative_to(root)) for path in root.glob("recipes/*/train.py")}
    assert scripts, "no recipe found"
    assert scripts == {row["Script_file"] for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["Dataset"])
def test_recipe_runs_and_writes_expected_files(row, root, tmp_path):
    for column in ("Script_file", "Hparam_file", "Data_prep_file", "Readme_file"):
        assert (root / row[column]).is_file()
    options = [*row["test_debug_flags"].split(), f"--results_folder={tmp_path}", "--noprogressbar"]
    command = [sys.executable, row["Script_file"], row["Hparam_file"], *options]
    run = forked.run(command, cwd=root)
    assert run.returncode == 0, run.stdout[-2000:]
    metrics = list(tmp_path.rglob("metrics.json"))
    assert len(metrics) == 1
    for name in row["test_debug_checks"].split(","):
        assert (metrics[0].parent / name).is_file(), name
    scores = json.loads(metrics[0].read_text(encoding="utf-8"))
    assert scores["protocol"]["synthetic"] is True
    assert "Synthetic speech:" in run.stdout
    assert f"{scores['valid']['mean_ccc']:.4f}" in run.stdout

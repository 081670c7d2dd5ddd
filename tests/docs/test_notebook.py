"""Test the notebook: its outputs belong to its code, and it runs (``make docs``)."""

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

nbformat = pytest.importorskip("nbformat", reason="the 'docs' extra is not installed")
execute_notebook = pytest.importorskip("execute_notebook")


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(execute_notebook.NOTEBOOK, as_version=4)


def outputs(notebook):
    """Count the outputs by type: plots, audio players, tables, text and errors."""
    kinds = Counter()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "<audio" in data.get("text/html", ""):
                kinds["audio"] += 1
            elif "image/png" in data:
                kinds["plot"] += 1
            elif "text/html" in data:
                kinds["table"] += 1
            else:
                kinds[output["output_type"]] += 1
    return kinds


def test_outputs_belong_to_the_code(notebook):
    written_for = notebook.metadata["emosphere"]["code"]
    assert written_for == execute_notebook.code_digest(notebook), "run make notebook"
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


def test_notebook_shows_plots_and_audio_and_states_synthetic_speech(notebook):
    found = outputs(notebook)
    assert found["plot"] >= 3 and found["audio"] >= 3 and found["error"] == 0
    assert "SYNTHETIC" in notebook.cells[0].source


@pytest.mark.docs
def test_notebook_runs_with_the_same_kinds_of_outputs(notebook, tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader", reason="the 'demo' extra is not installed")
    for name in ("PATH", "PYTHONPATH", "HF_HUB_OFFLINE", "OMP_NUM_THREADS"):  # restored afterwards
        monkeypatch.setenv(name, execute_notebook.os.environ.get(name, ""))
    assert outputs(execute_notebook.execute(tmp_path)) == outputs(notebook)

"""Run the commands of the tutorial in this process with a tiny backbone, and check the results."""

import json
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from emosphere_sb.scale import DIMENSIONS
from tests.helpers.docs_pages import PYTHON, snippets

PAGE = "docs/tutorial.md"
SHORTER = {"emosphere report": " --no_plots --resamples=100"}  # tested with the reports
SKIPPED = {"emosphere demo": "tested in tests/integration/test_demo_page.py"}
ON_SCALE = [f"{name}_on_scale" for name in DIMENSIONS]


def follow(place, snippet):
    """Run a snippet in this process, which avoids slow imports."""
    text = place.text(snippet)
    if snippet.language == PYTHON:
        exec(compile(text, snippet.location, "exec"), {"__name__": "__main__"})
    elif snippet.program == "python":
        from emosphere_sb.recipe.run import run_recipe

        script, *words = shlex.split(text)[1:]
        run_recipe([*words, "--noprogressbar"], corpus=Path(script).parent.name)
    elif snippet.program == "emosphere":
        from emosphere_sb.cli import main

        text += next((more for name, more in SHORTER.items() if text.startswith(name)), "")
        assert main(shlex.split(text)[1:]) == 0, f"{snippet.location}: {text}"
    else:
        place.run(snippet)


@pytest.fixture(scope="module")
def followed(root, workspace_of):
    """The folder after running all commands of the page."""
    place = workspace_of(PAGE)
    found = snippets((root / PAGE).read_text(encoding="utf-8"), PAGE)
    skipped = [s for s in found if any(s.text.startswith(name) for name in SKIPPED)]
    assert len(skipped) == len(SKIPPED) and len(found) >= 12
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place.folder)
        for snippet in found:
            if snippet not in skipped:
                follow(place, snippet)
    return place.folder


def table(folder, name):
    """Read a table of predictions, indexed by file name."""
    found = pd.read_csv(folder / name)
    return found.set_index(found["file"].map(lambda path: Path(path).stem)).sort_index()


def test_predictions_match_the_predictions_of_the_run(followed):
    found = table(followed, "predictions.csv")
    assert len(found) == 36 + 12 + 12  # the synthetic corpus of size smoke
    run = pd.read_csv(followed / "results/mine/predictions/test.csv").set_index("ID")
    assert len(run) == 12
    names = [name.removeprefix("wav-") for name in run.index]  # IDs are derived from paths
    expected = run[[f"{name}_predicted" for name in DIMENSIONS]].to_numpy()
    np.testing.assert_allclose(found.loc[names, ON_SCALE], expected, atol=1e-5)


def test_json_lines_match_csv_and_contain_embeddings(followed):
    lines = (followed / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = pd.DataFrame(map(json.loads, lines)).set_index("file")
    found = pd.read_csv(followed / "predictions.csv").set_index("file")
    assert list(rows.index) == list(found.index)
    np.testing.assert_allclose(rows[list(DIMENSIONS)], found[list(DIMENSIONS)], atol=2e-6)
    embeddings = np.array(rows["embedding"].tolist())
    assert embeddings.shape[0] == 60 and embeddings.std(axis=0).max() > 0


def test_timeline_covers_the_recording(followed):
    found = pd.read_csv(followed / "timeline.csv")
    seconds = soundfile.info(followed / "long_recording.wav").duration
    assert found["start"].iloc[0] == 0
    assert found["end"].iloc[-1] == pytest.approx(seconds, abs=1e-3)
    np.testing.assert_allclose(np.diff(found["start"]), 1.0, atol=1e-3)  # the hop
    assert (followed / "timeline.png").stat().st_size > 10_000


def test_onnx_predictions_match_pytorch(followed):
    found, expected = table(followed, "by_onnx.csv"), table(followed, "predictions.csv")
    np.testing.assert_allclose(found[list(DIMENSIONS)], expected[list(DIMENSIONS)], atol=1e-4)


def test_report_and_model_card_state_synthetic_speech(followed):
    for name in ("results/mine/report/report.html", "my_model/README.md"):
        assert "synthetic speech" in (followed / name).read_text(encoding="utf-8").lower(), name

"""Test the HTML report in a browser: it shows the scores, logs no error, and loads nothing."""

import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.report.html.page import run_page
from emosphere_sb.results.predictions import PREDICTED, region_names
from emosphere_sb.results.scores import prediction_metrics
from emosphere_sb.scale import DIMENSIONS, Scale
from emosphere_sb.sphere.regions import SphericalRegions

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="module")
def table():
    chance = np.random.default_rng(3)
    true = np.clip(4 + chance.normal(size=(200, 3)), 1, 7)
    predicted = 4 + 0.7 * (true - 4) + 0.4 * chance.normal(size=(200, 3))
    table = pd.DataFrame(np.hstack([true, predicted]), columns=[*DIMENSIONS, *PREDICTED])
    table.insert(0, "ID", [f"u{n}" for n in range(200)])
    scale, regions = Scale(1, 7), SphericalRegions(90)
    table["region"] = region_names(scale.normalise(true), regions)
    table["region_point"] = region_names(scale.normalise(predicted), regions)
    return table


@pytest.fixture(scope="module")
def page(table):
    metrics = prediction_metrics(table)
    # Negative ends are the longest: [-.123, .456]
    ends = {name: {"ccc": [-0.123, 0.456]} for name in DIMENSIONS}
    report = {
        "title": "A report <b>escaped</b>",
        "protocol": {"scale": {"low": 1, "high": 7}},
        "run": {"command": "python train.py"},
        "synthetic": False,
        "sets": {
            "test1": {
                "metrics": {**metrics, "utterances": 30_647},
                "intervals": {**ends, "mean_ccc": [-0.123, 0.456], "unit": "speakers", "units": 60},
                "warnings": ["A warning"],
            }
        },
    }
    log = {"epoch": [1, 2], "train loss": [0.9, 0.5], "valid mean_ccc": [0.2, 0.4]}
    return run_page(report, {"test1": table}, log)


def test_page_contains_no_external_resources(page):
    assert not re.search(r"https?://", page)


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_page_shows_scores_without_browser_errors(page, table, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    # The broken page has an external image, to show that the log would contain an error.
    broken = tmp_path / "broken.html"
    broken.write_text(page.replace("</body>", '<img src="http://localhost:9/x.png"></body>'))
    dom, log = browse(path, tmp_path / "profile")
    for dimension in DIMENSIONS:
        written = f"{prediction_metrics(table)[dimension]['ccc']:.3f}".lstrip("0")
        assert f"{dimension} CCC {written}" in dom
    assert "A report &lt;b&gt;escaped&lt;/b&gt;" in dom
    assert "A warning" in dom
    assert console(log) == []
    assert any("Content Security Policy" in line for line in console(browse(broken, tmp_path)[1]))


MEASURE = """
<iframe width="390" height="844" style="border: 0"></iframe>
<script>
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument;
  for (const fold of page.querySelectorAll("details")) fold.open = true;
  const boxes = [...page.querySelectorAll(".wide")];
  const cut = boxes.filter((box) => box.scrollWidth > box.clientWidth);
  const texts = cut.map((box) => `${box.ariaLabel} ${box.scrollWidth} > ${box.clientWidth}`);
  document.title = [frame.clientWidth, boxes.length, ...texts].join("; ");
};
frame.srcdoc = PAGE;
</script>
"""
"""Page that opens a report in a frame 390 pixels wide and has a title with the boxes that are too
wide. Chromium has no windows that are narrower than 500 pixels."""


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_tables_and_plots_fit_on_a_phone(page, tmp_path):
    inner = json.dumps(page).replace("</", "<\\/")
    path = tmp_path / "phone.html"
    path.write_text(MEASURE.replace("PAGE", inner), encoding="utf-8")
    dom, _ = browse(path, tmp_path / "profile")
    # results, metrics, points, sphere, classes, training
    assert re.search("<title>(.*)</title>", dom)[1] == "390; 6"


def browse(path, profile):
    """Return the DOM after loading and the log of the browser."""
    words = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    words += ["--enable-logging=stderr", "--v=0", "--dump-dom", path.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


def console(log):
    """Return the console messages in a browser log."""
    return [line for line in log.splitlines() if "CONSOLE" in line]

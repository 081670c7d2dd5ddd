"""The report of a run in a browser: it shows its figures, logs no error, and asks for nothing."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from emosphere_sb.report.html.page import run_page
from emosphere_sb.results.predictions import PREDICTED, region_names
from emosphere_sb.results.scores import figures
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
    report = {
        "title": "A report <b>escaped</b>",
        "protocol": {"scale": {"low": 1, "high": 7}},
        "run": {"command": "python train.py"},
        "synthetic": False,
        "sets": {
            "test1": {"figures": figures(table), "intervals": None, "warnings": ["A warning"]}
        },
    }
    return run_page(report, {"test1": table})


def test_page_holds_no_resource_from_elsewhere(page):
    assert not re.search(r"https?://", page)


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_page_in_a_browser(page, table, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    # A page that asks for something shows that the log would hold an error.
    broken = tmp_path / "broken.html"
    broken.write_text(page.replace("</body>", '<img src="http://localhost:9/x.png"></body>'))
    dom, log = browse(path, tmp_path / "profile")
    for dimension in DIMENSIONS:
        written = f"{figures(table)[dimension]['ccc']:.3f}".lstrip("0")
        assert f"{dimension} CCC {written}" in dom
    assert "A report &lt;b&gt;escaped&lt;/b&gt;" in dom
    assert "A warning" in dom
    assert console(log) == []
    assert any("Content Security Policy" in line for line in console(browse(broken, tmp_path)[1]))


def browse(path, profile):
    """The page's elements once it is loaded, and the browser's log."""
    words = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    words += ["--enable-logging=stderr", "--v=0", "--dump-dom", path.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


def console(log):
    """Lines of the page's console."""
    return [line for line in log.splitlines() if "CONSOLE" in line]

"""Test the extensions of the documentation site, and build it without warnings (``make docs``)."""

import importlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "docs"))

pytest.importorskip("sphinx", reason="the 'docs' extra is not installed")
pytest.importorskip("latex2mathml", reason="the 'docs' extra is not installed")

from site_extensions import api_links, api_pages, mathml  # noqa: E402

PUBLIC = re.compile(r"^\| `(emosphere_sb[\w.]+)` \| .+ \| (stable|provisional) \|$", re.M)
WITHOUT_EXAMPLE = {
    "emosphere_sb.inference.prediction.Prediction",  # returned by EmoSphere.predict
    "emosphere_sb.results.predictions.read_predictions",  # reads a file
    "emosphere_sb.lobes.EmotionTask", "emosphere_sb.lobes.NoTask",  # used like RegionTask
}  # fmt: skip


def test_names_are_resolved_to_the_defining_module():
    assert api_links.defining_name("emosphere_sb.EmoSphere") == (
        "emosphere_sb.inference.interface.EmoSphere"
    )
    assert api_links.defining_name("emosphere_sb.metrics.ccc") == (
        "emosphere_sb.metrics.regression.ccc"
    )
    assert api_links.defining_name("emosphere_sb.losses") == "emosphere_sb.losses"
    assert (
        api_links.defining_name("emosphere_sb.scale.DIMENSIONS") == "emosphere_sb.scale.DIMENSIONS"
    )


@pytest.mark.parametrize("name", ["emosphere_sb.nothing", "emosphere_sb.metrics.nothing"])
def test_unknown_name_raises(name):
    with pytest.raises(ValueError, match=f"{name} does not exist; correct the name"):
        api_links.defining_name(name)


def test_each_package_has_a_page_with_its_modules():
    names = [package.__name__ for package in api_pages.packages()]
    assert {"emosphere_sb", "emosphere_sb.report.stats", "data_prep.own_data"} <= set(names)
    assert len(names) == len(set(names))
    import emosphere_sb.sphere

    page = api_pages.page(emosphere_sb.sphere)
    assert re.findall(r"automodule:: (\S+)", page) == [
        "emosphere_sb.sphere", "emosphere_sb.sphere.geometry", "emosphere_sb.sphere.grid",
        "emosphere_sb.sphere.regions",
    ]  # fmt: skip


def test_formula_is_mathml():
    assert "95%" in mathml.mathml(r"\text{95\% quantile}", display="inline").split(">", 1)[1]
    text = mathml.mathml(r"\frac{a}{b} < 1", display="block")
    assert "<mfrac>" in text and 'aria-label="\\frac{a}{b} &lt; 1"' in text


def test_public_objects_exist_with_an_example(root):
    """Each object of the public API can be imported, and its docstring shows an example."""
    text = (root / "docs" / "api" / "index.md").read_text(encoding="utf-8")
    found = PUBLIC.findall(text)
    assert len(found) == text.count("\n| `") >= 40
    for name, _ in found:
        module, attribute = name.rsplit(".", 1)
        documentation = getattr(importlib.import_module(module), attribute).__doc__
        assert documentation, name
        assert ">>> " in documentation or name in WITHOUT_EXAMPLE, name


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built with warnings as errors and without a network."""
    folder = tmp_path_factory.mktemp("site")
    options = ["--nitpicky", "--fail-on-warning", "--keep-going", "-q", "-c", "docs"]
    run = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, ".", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-5000:]
    return folder


class Page(HTMLParser):
    """Links, embedded resources and anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.resources, self.anchors = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") in ("stylesheet", "preload", "icon"):
            self.resources.append(values["href"])
        elif values.get("src"):
            self.resources.append(values["src"])


def is_remote(address):
    parts = urlsplit(address)
    return parts.scheme in ("http", "https") or bool(parts.netloc)


@pytest.mark.docs
def test_site_has_no_warnings_and_no_broken_links(site):
    pages = {path: Page(path) for path in site.rglob("*.html")}
    assert len(pages) > 60
    broken = []
    for path, page in pages.items():
        for address in page.links + page.resources:
            parts = urlsplit(address)
            if is_remote(address) or parts.scheme in ("mailto", "data"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            found = pages[target].anchors if target in pages else {anchor}
            if not target.is_file() or (anchor and anchor not in found):
                broken.append(f"{path.relative_to(site)}: {address}")
    assert broken == []


@pytest.mark.docs
def test_site_loads_nothing_from_other_servers(site):
    remote = {x for path in site.rglob("*.html") for x in Page(path).resources if is_remote(x)}
    assert remote == set()
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)\"']*", text) == [], path

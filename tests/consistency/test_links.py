"""Test that links in Markdown pages point to existing files and headings."""

import json
import re
from urllib.parse import unquote

import pytest

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+?)\s*$", re.M)
BLOCK = re.compile(r"^(`{3,}).*?^\1\s*$", re.M | re.S)
PATTERNS = ("*.md", "docs/**/*.md", "docs/*.ipynb", "recipes/*/*.md", "benchmarks/*.md")


def pages(root):
    return sorted({path for pattern in PATTERNS for path in root.glob(pattern)})


def text_of(path):
    """Return the Markdown of a page or notebook, without code blocks."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return BLOCK.sub("", text)


def anchors(path):
    """Return the anchors that GitHub and the site create for the headings of a page."""
    found = set()
    for heading in HEADING.findall(text_of(path)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def broken(path):
    """Return the links of a page whose file or heading does not exist."""
    found = []
    for link in LINK.findall(text_of(path)):
        if re.match(r"https?:|mailto:", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


def test_links_have_existing_targets(root):
    found = pages(root)
    assert len(found) >= 20
    assert sum(len(LINK.findall(text_of(path))) for path in found) > 60
    assert {str(p.relative_to(root)): broken(p) for p in found if broken(p)} == {}


@pytest.mark.parametrize(
    ("link", "is_broken"),
    [
        ("other.md", False), ("other.md#two-words-a-b", False), ("#here", False),
        ("https://example.org/x", False), ("missing.md", True), ("other.md#three", True),
        ("#there", True),
    ],
)  # fmt: skip
def test_broken_links_are_found(tmp_path, link, is_broken):
    (tmp_path / "other.md").write_text("# Title\n\n## Two words: `a_b`?\n".replace("_", "-"))
    page = tmp_path / "page.md"
    page.write_text(f"# Here\n\nSee [x]({link}).\n\n```\n# There\n[y](no.md)\n```\n")
    assert broken(page) == ([link] if is_broken else [])

"""Cells of a table of made-up runs, in the repository's root."""

import pytest

from emosphere_sb.tables.cells import Cells


@pytest.fixture(autouse=True)
def _at_the_root(root, monkeypatch):
    monkeypatch.chdir(root)


@pytest.fixture
def cells(tmp_path):
    """Of preset smoke, in a folder of their own."""
    return Cells(tmp_path, preset="smoke")

"""Loopback addresses, and independence of the page from the commands."""

import ast

import pytest

from emosphere_sb.demo_page.address import LOOPBACK, exposure_warning


def test_loopback_addresses():
    assert {"127.0.0.1", "localhost", "::1"} == set(LOOPBACK)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7"])
def test_warning_contains_the_address_and_a_remedy(host):
    assert f"listens on {host} and may be reachable from other machines" in exposure_warning(host)
    assert "Use --host=127.0.0.1" in exposure_warning(host)


def test_page_does_not_import_commands(root):
    files = sorted((root / "emosphere_sb" / "demo_page").glob("*.py"))
    assert len(files) > 5
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert not node.module.startswith("emosphere_sb.commands"), path.name

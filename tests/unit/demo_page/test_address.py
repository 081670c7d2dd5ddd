"""Addresses to listen on, and that the page needs no command."""

import ast

import pytest

from emosphere_sb.demo_page.address import LOOPBACK, exposure


def test_loopback_addresses_are_those_of_this_machine():
    assert {"127.0.0.1", "localhost", "::1"} == set(LOOPBACK)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7"])
def test_warning_names_the_address_and_what_closes_it(host):
    assert f"listens on {host}, not on this machine alone" in exposure(host)
    assert "--host=127.0.0.1 closes it" in exposure(host)


def test_the_page_imports_no_command(root):
    files = sorted((root / "emosphere_sb" / "demo_page").glob("*.py"))
    assert len(files) > 5
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert not node.module.startswith("emosphere_sb.commands"), path.name

"""Test docs/faults.md: each test that it lists exists, and each test of a failure is listed."""

import ast
import re


def find_tests(folder) -> set[str]:
    """Return the names of all tests below a folder."""
    found = set()
    for path in folder.rglob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return {name for name in found if name.startswith("test_")}


def rows(root) -> list[str]:
    text = (root / "docs" / "faults.md").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith("| ")][1:]


def test_each_row_lists_existing_tests(root):
    known = find_tests(root / "tests")
    assert len(rows(root)) > 10
    for row in rows(root):
        assert len(row.split(" | ")) == 4, row
        named = re.findall(r"`(test_\w+)`", row.split(" | ")[3])
        assert named, row
        assert [name for name in named if name not in known] == []


def test_each_integration_test_of_a_failure_is_listed(root):
    text = (root / "docs" / "faults.md").read_text(encoding="utf-8")
    integration = root / "tests" / "integration"
    for name in ("test_failures.py", "test_kill.py"):
        tree = ast.parse((integration / name).read_text(encoding="utf-8"))
        tests = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        tests = [test for test in tests if test.startswith("test_")]
        assert tests
        assert [test for test in tests if f"`{test}`" not in text] == []

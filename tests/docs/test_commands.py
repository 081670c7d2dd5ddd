"""Run each command and each Python block of the documentation pages: ``make docs``."""

from pathlib import Path

import pytest

from emosphere_sb.cli import COMMANDS
from tests.helpers.docs_pages import PYTHON, all_snippets, pages

FOUND = all_snippets(Path(__file__).resolve().parents[2])

WITHOUT_COMMANDS = {f"docs/{name}.md" for name in ("index", "faults", "fidelity", "security")}
WITHOUT_COMMANDS.add("docs/api/modules.md")


@pytest.mark.docs
@pytest.mark.parametrize("snippet", FOUND, ids=lambda snippet: snippet.location)
def test_snippet_runs(snippet, workspace_of):
    workspace_of(snippet.page).run(snippet)


def test_pages_contain_all_commands_and_python_blocks(root):
    assert len(FOUND) >= 60
    with_commands = {snippet.page for snippet in FOUND}
    assert with_commands == set(pages(root)) - WITHOUT_COMMANDS
    shown = {snippet.text.split()[1] for snippet in FOUND if snippet.program == "emosphere"}
    assert shown - {"--help", "--version"} == set(COMMANDS)  # each command is documented
    blocks = {snippet.page for snippet in FOUND if snippet.language == PYTHON}
    assert blocks >= {"README.md", "docs/tutorial.md", "docs/api/index.md"}

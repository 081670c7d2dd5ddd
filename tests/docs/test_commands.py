"""Every command and every block of Python of the pages runs: ``make docs``."""

from pathlib import Path

import pytest

from emosphere_sb.cli import COMMANDS
from tests.helpers.docs_pages import PYTHON, all_snippets, pages

FOUND = all_snippets(Path(__file__).resolve().parents[2])


@pytest.mark.docs
@pytest.mark.parametrize("snippet", FOUND, ids=lambda snippet: snippet.place)
def test_it_runs(snippet, workspace_of):
    workspace_of(snippet.page).run(snippet)


def test_there_are_as_many_as_there_should_be(root):
    assert len(FOUND) >= 45
    assert {snippet.page for snippet in FOUND} == set(pages(root))
    shown = {snippet.text.split()[1] for snippet in FOUND if snippet.program == "emosphere"}
    assert shown == set(COMMANDS)  # every command is shown somewhere, and run
    blocks = {snippet.page for snippet in FOUND if snippet.language == PYTHON}
    assert blocks >= {"README.md", "docs/tutorial.md"}

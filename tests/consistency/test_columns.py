"""Test that the columns of ``emosphere predict`` are all described, and that the docs list them."""

import re

from emosphere_sb.inference.output.columns import CLASS_COLUMN, COLUMNS, describe_columns
from emosphere_sb.inference.output.files import prediction_columns
from tests.helpers.models import tiny_about


def test_each_column_of_the_table_is_described_in_order():
    about = tiny_about()
    described = [column.name for column in describe_columns(about) if column.name != "embedding"]
    assert described == prediction_columns(about, words=2)
    without_head = [column.name for column in describe_columns(tiny_about(head=False))]
    assert not [name for name in without_head if name.startswith("p_")]


def test_docs_list_each_column_with_unit_and_range(root):
    text = (root / "docs" / "inference.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    assert len(COLUMNS) > 20 and CLASS_COLUMN in [row[0] for row in rows]
    assert rows == [tuple(cell.strip() for cell in column) for column in COLUMNS]

"""Tests of HTML tables."""

import pytest

from emosphere_sb.html import environment
from emosphere_sb.report.html.sections import HtmlTable, Score
from tests.helpers.html import EVIL, Reader


def shown(table):
    macros = environment().get_template("report/elements.html.jinja").module
    return Reader(macros.table(table))


def test_table_headers_have_scopes():
    read = shown(HtmlTable(["set", "n"], [["test1", "3"], [EVIL, "4"]], "Sets"))
    assert [attrs["scope"] for attrs in read.of("th")] == ["col", "col", "row", "row"]
    assert len(read.of("td")) == 2
    assert len(read.of("caption")) == 1
    assert read.elements[0][1]["aria-label"] == "Sets"
    assert read.cells == [["set", "n"], ["test1", "3"], [EVIL, "4"]]


def test_table_without_caption_has_label():
    read = shown(HtmlTable(["set"], [], label=EVIL))
    assert read.elements[0][1]["aria-label"] == EVIL
    assert read.of("caption") == []


def test_interval_is_below_score():
    read = shown(HtmlTable(["set", "CCC"], [["test1", Score(".5", "[.4, .6]")], ["b", ".1"]]))
    assert read.of("span") == [{"class": "interval"}]
    assert read.cells[1:] == [["test1", ".5[.4, .6]"], ["b", ".1"]]


def test_row_of_wrong_length_raises():
    with pytest.raises(ValueError, match=r"Row 2 of a table must have 2 cells.*found 1"):
        HtmlTable(["a", "b"], [["1", "2"], ["1"]])

"""Tables of a page, as the template shows them."""

import pytest

from emosphere_sb.html import environment
from emosphere_sb.report.html.sections import Score, Table
from tests.helpers.html import EVIL, Reader


def shown(table):
    macros = environment().get_template("report/elements.html.jinja").module
    return Reader(macros.table(table))


def test_table_has_scopes():
    read = shown(Table(["set", "n"], [["test1", "3"], [EVIL, "4"]], "Sets"))
    assert [attrs["scope"] for attrs in read.of("th")] == ["col", "col", "row", "row"]
    assert len(read.of("td")) == 2
    assert len(read.of("caption")) == 1
    assert read.elements[0][1]["aria-label"] == "Sets"
    assert read.cells == [["set", "n"], ["test1", "3"], [EVIL, "4"]]


def test_a_table_without_a_caption_has_a_label():
    read = shown(Table(["set"], [], label=EVIL))
    assert read.elements[0][1]["aria-label"] == EVIL
    assert read.of("caption") == []


def test_an_interval_stands_below_its_figure():
    read = shown(Table(["set", "CCC"], [["test1", Score(".5", "[.4, .6]")], ["b", ".1"]]))
    assert read.of("span") == [{"class": "interval"}]
    assert read.cells[1:] == [["test1", ".5[.4, .6]"], ["b", ".1"]]


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"Row 2 of a table must have 2 cells.*found 1"):
        Table(["a", "b"], [["1", "2"], ["1"]])

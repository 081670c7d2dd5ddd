"""Tables, rows and cells that stand in no file: what tests of tables share."""

from emosphere_sb.tables.grid import Group, Row, Table


def make_table(**changes):
    facts = {
        "name": "t", "caption": "T", "row": "", "seeds": (1,), "groups": (), "columns": (),
        "labels": ("model",), "reference": None, "rows": (),
    }  # fmt: skip
    return Table(**{**facts, **changes})


def make_row(name="r", row="", options=None, corpus=None):
    return Row(name, (name,), row, options or {}, corpus, ())


def make_group(corpus="MSP-Podcast", name="test1", *, tested_on=None, elsewhere=None, folds=1, **o):
    return Group(tested_on or corpus, corpus, name, elsewhere or name, folds, o)


def cell(cells, line=None, block=None, **changes):
    """The one cell of a row in a block; changes go to the table."""
    table = make_table(**changes)
    (found,) = cells.of(table, line or make_row(), block or make_group()).values()
    return found

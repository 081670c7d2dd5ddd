"""Tables of a model card as Markdown."""

from emosphere_sb.release.card_tables import table


def test_wide_cells_stay_in_their_column():
    text = table(["a", "b|c"], [["d\ne", "|"]])
    assert text.splitlines() == ["| a | b\\|c |", "|:---|---:|", "| d e | \\| |"]

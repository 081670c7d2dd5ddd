"""MSP-IMPROV's label file: the order of its dimensions, and its scale, of which one is reversed."""

import pytest

from data_prep.msp_improv.reader import SCALE, read_labels


@pytest.mark.parametrize(
    "values",
    [
        "A:1.500000; V:2.000000; D:4.500000 ; N:3.666667;",
        "V:2.000000; D:4.500000; A:1.500000 ; N:3.666667;",
    ],
)
def test_dimensions_in_the_order_of_the_file_or_any_other(tmp_path, values):
    (tmp_path / "Evalution.txt").write_text(f"UTD-IMPROV-S01A-F01-R-FF01.avi; A; {values}\n")
    block = next(read_labels(tmp_path / "Evalution.txt"))
    assert (block.valence, block.arousal, block.dominance) == (2.0, 1.5, 4.5)


def test_activation_is_turned_round_and_nothing_else():
    assert SCALE.normalise([1.0, 1.0, 1.0]).tolist() == [-1.0, 1.0, -1.0]
    assert SCALE.normalise([4.0, 4.0, 4.0]).tolist() == [0.5, -0.5, 0.5]

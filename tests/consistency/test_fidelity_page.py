"""The page docs/fidelity.md lists every known difference, and its statements on presets hold."""

import pytest

from emosphere_sb.fileio.yaml_tree import scalars
from emosphere_sb.recipe.arguments import HPARAMS, Arguments
from emosphere_sb.recipe.hparams import merge

PAGE = HPARAMS.parent / "docs" / "fidelity.md"


@pytest.fixture(scope="module")
def rows():
    lines = [x for x in PAGE.read_text(encoding="utf-8").splitlines() if x.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {item: rest for item, *rest in cells}


@pytest.mark.parametrize(
    ("item", "column", "text"),
    [
        ("Backbone", 0, "WavLM Base+"), ("Backbone", 1, "wavlm-large"),
        ("Batch", 0, "32"), ("Batch", 1, "64"),
        ("Order of batches", 2, "sorts utterances by length"),
        ("Last step of an epoch", 1, "2.599 where the mean is 5.204"),
        ("CCC denominator", 1, "1e-8"), ("Duration limits", 2, "over 60 s are rejected"),
        ("Model selection", 2, "unrounded"), ("Validation data", 1, "all of Development"),
        ("Validation data", 2, "--partition=official"),
        ("Regions at 90°", 0, "N_φ = 2, N_θ = 4"), ("Regions at 90°", 1, "4 intervals of azimuth"),
        ("Classes O and X", 0, "X is removed"), ("Classes O and X", 1, "O and X are removed"),
    ],
)  # fmt: skip
def test_difference_is_listed(rows, item, column, text):
    assert rows["Item"] == ["Paper", "Official code", "This package"]
    assert text in rows[item][column]


def test_statements_on_settings_hold():
    paper, default = (
        scalars(merge(Arguments(HPARAMS / "emosphere.yaml", presets, {})))
        for presets in (["published"], [])
    )
    assert (paper["batch_size"], paper["micro_batch"], paper["bucket_batches"]) == (64, 16, 0)
    assert (default["batch_size"], default["micro_batch"], default["bucket_batches"]) == (32, 16, 8)
    assert paper["backbone"] == default["backbone"] == "microsoft/wavlm-large"
    assert paper["max_duration"] == 60.0 and paper["max_seconds"] == 12.0
    assert (paper["ccc_window"], default["ccc_window"]) == ("micro", "effective")
    assert paper["drop_train"] == ["no_agreement", "other"] and default["drop_train"] == []


def test_readme_links_to_the_page():
    text = (HPARAMS.parent / "README.md").read_text(encoding="utf-8")
    assert "](docs/fidelity.md)" in text

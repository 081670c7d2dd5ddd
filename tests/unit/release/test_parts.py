"""Parts of a model as plain data and back."""

import json

import pytest

from emosphere_sb.fileio.yaml_tree import read_tree
from emosphere_sb.lobes import AttentiveStatsPooling, StylePooling
from emosphere_sb.recipe.hparams import build
from emosphere_sb.release import parts

TREE = """\
size: 12
width: 2.5
encoder: !new:emosphere_sb.lobes.MeanPooling [!ref <size>]
style: !new:emosphere_sb.lobes.StylePooling [!ref <encoder.output_size>, 8, 2, 5, 0.1, d_model]
statistics: !new:emosphere_sb.lobes.AttentiveStatsPooling [!ref <size>]
named: !new:emosphere_sb.lobes.MeanPooling
    input_size: 12
foreign: !new:torch.nn.Linear [2, 2]
task: !new:emosphere_sb.lobes.NoTask []
nothing: null
text: a text
own: !new:emosphere_sb.lobes.StylePooling [!ref <encoder>, 8]
reckoned: !new:emosphere_sb.lobes.MeanPooling [!ref <size> * 2]
"""


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "a.yaml").write_text(TREE)
    return read_tree(tmp_path / "a.yaml")


@pytest.fixture
def built(tree):
    for key in ("own", "reckoned"):
        tree.pop(key)
    return build(tree)


def test_references_become_values(tmp_path, built):
    (tmp_path / "a.yaml").write_text(TREE)
    tree = read_tree(tmp_path / "a.yaml")
    found = parts.describe(tree, "style", built, parts.POOLINGS)
    expected = {"class": "StylePooling", "arguments": [12, 8, 2, 5, 0.1, "d_model"]}
    assert found == expected == json.loads(json.dumps(found))
    assert isinstance(parts.build(found, parts.POOLINGS), StylePooling)
    found = parts.describe(tree, "statistics", built, parts.POOLINGS)
    assert found == {"class": "AttentiveStatsPooling", "arguments": [12]}
    part = parts.build(found, parts.POOLINGS)
    assert isinstance(part, AttentiveStatsPooling) and part.output_size == 24
    assert {type(value) for value in found["arguments"]} == {int}


@pytest.mark.parametrize(
    ("key", "match"),
    [
        ("foreign", "must be one of"), ("task", "must be one of"), ("nothing", "must be one of"),
        ("text", "must be one of"), ("named", "a list of arguments"),
        ("own", "must be a plain value"), ("reckoned", "a value or a reference"),
    ],
)  # fmt: skip
def test_what_is_no_plain_part_is_refused(tmp_path, built, key, match):
    (tmp_path / "a.yaml").write_text(TREE)
    with pytest.raises(ValueError, match=match):
        parts.describe(read_tree(tmp_path / "a.yaml"), key, built, parts.POOLINGS)


@pytest.mark.parametrize(
    "description",
    [
        {}, [], None, "StylePooling", {"class": "StylePooling"}, {"class": ["StylePooling"]},
        {"class": "StylePooling", "arguments": {}}, {"class": "Linear", "arguments": [1]},
        {"class": "MeanPooling", "arguments": [1, 2]}, {"class": "MeanPooling", "arguments": []},
        {"class": "__init__", "arguments": []},
    ],
)  # fmt: skip
def test_what_is_no_description_is_refused(description):
    with pytest.raises(ValueError, match=r"must be one of|does not take"):
        parts.build(description, parts.POOLINGS)

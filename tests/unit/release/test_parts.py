"""Conversion of model parts to JSON data and back."""

import json

import pytest

from emosphere_sb.fileio.yaml_tree import read_tree
from emosphere_sb.lobes import AttentiveStatsPooling, StylePooling
from emosphere_sb.recipe.hparams import build_objects
from emosphere_sb.release import parts

TREE = """\
size: 12
width: 2.5
encoder: !new:emosphere_sb.lobes.MeanPooling [!ref <size>]
style: !new:emosphere_sb.lobes.StylePooling [!ref <encoder.output_size>, 8, 2, 5, 0.1, d_model]
statistics: !new:emosphere_sb.lobes.AttentiveStatsPooling [!ref <size>]
named: !new:emosphere_sb.lobes.StylePooling
    input_size: !ref <encoder.output_size>
    heads: 4
    width: 8
mean: !new:emosphere_sb.lobes.MeanPooling {input_size: 12}
foreign: !new:torch.nn.Linear [2, 2]
task: !new:emosphere_sb.lobes.NoTask []
nothing: null
text: a text
own: !new:emosphere_sb.lobes.StylePooling [!ref <encoder>, 8]
own_named: !new:emosphere_sb.lobes.StylePooling {input_size: !ref <encoder>, width: 8}
reckoned: !new:emosphere_sb.lobes.MeanPooling [!ref <size> * 2]
bare: !new:emosphere_sb.lobes.MeanPooling
longer: !new:emosphere_sb.lobes.MeanPooling [12, 8]
unknown: !new:emosphere_sb.lobes.MeanPooling {input_size: 12, size: 8}
incomplete: !new:emosphere_sb.lobes.StylePooling {width: 8}
"""
NOT_BUILT = ("own", "own_named", "reckoned", "bare", "longer", "unknown", "incomplete")
STYLE = {
    "input_size": 12, "width": 8, "heads": 2, "kernel_size": 5, "dropout": 0.1,
    "attention_scale": "d_model",
}  # fmt: skip


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "a.yaml").write_text(TREE)
    return read_tree(tmp_path / "a.yaml")


@pytest.fixture
def built(tree):
    for key in NOT_BUILT:
        tree.pop(key)
    return build_objects(tree)


@pytest.fixture
def fresh(tmp_path, built):
    """Tree that was not modified by creating objects from it."""
    (tmp_path / "a.yaml").write_text(TREE)
    return read_tree(tmp_path / "a.yaml")


def test_references_become_values(fresh, built):
    found = parts.describe_part(fresh, "style", built, parts.POOLINGS)
    assert found == {"class": "StylePooling", "arguments": STYLE} == json.loads(json.dumps(found))
    assert isinstance(parts.build(found, parts.POOLINGS), StylePooling)
    found = parts.describe_part(fresh, "statistics", built, parts.POOLINGS)
    assert found == {
        "class": "AttentiveStatsPooling",
        "arguments": {"input_size": 12, "initialisation": "normal"},
    }
    part = parts.build(found, parts.POOLINGS)
    assert isinstance(part, AttentiveStatsPooling) and part.output_size == 24
    assert {type(value) for value in found["arguments"].values()} == {int, str}


def test_description_contains_all_arguments_by_name(fresh, built):
    found = parts.describe_part(fresh, "named", built, parts.POOLINGS)
    expected = {**STYLE, "heads": 4}
    assert found == {"class": "StylePooling", "arguments": expected}
    assert list(found["arguments"]) == list(expected)
    assert {type(value) for value in found["arguments"].values()} == {int, float, str}
    assert parts.build(found, parts.POOLINGS).attention.heads == 4
    found = parts.describe_part(fresh, "mean", built, parts.POOLINGS)
    assert found == {"class": "MeanPooling", "arguments": {"input_size": 12}}


@pytest.mark.parametrize(
    ("key", "match"),
    [
        ("foreign", "must be one of"), ("task", "must be one of"), ("nothing", "must be one of"),
        ("text", "must be one of"), ("bare", "a mapping of arguments"),
        ("own", "must be a plain value"), ("own_named", "must be a plain value"),
        ("reckoned", "a value or a reference"),
        ("longer", r"MeanPooling\(12, 8\): too many"),
        ("unknown", r"MeanPooling\(input_size=12, size=8\): .*unexpected .*'size'"),
        ("incomplete", r"StylePooling\(width=8\): missing .*'input_size'"),
    ],
)  # fmt: skip
def test_custom_or_invalid_part_is_rejected(fresh, built, key, match):
    with pytest.raises(ValueError, match=match):
        parts.describe_part(fresh, key, built, parts.POOLINGS)


@pytest.mark.parametrize(
    "description",
    [
        {}, [], None, "StylePooling", {"class": "StylePooling"}, {"class": ["StylePooling"]},
        {"class": "StylePooling", "arguments": {}}, {"class": "MeanPooling", "arguments": [1]},
        {"class": "Linear", "arguments": {"in_features": 1, "out_features": 1}},
        {"class": "MeanPooling", "arguments": {"input_size": 1, "width": 2}},
        {"class": "MeanPooling", "arguments": {"width": 1}},
        {"class": "__init__", "arguments": {}},
    ],
)  # fmt: skip
def test_invalid_description_is_rejected(description):
    with pytest.raises(ValueError, match=r"must be one of|Invalid arguments"):
        parts.build(description, parts.POOLINGS)

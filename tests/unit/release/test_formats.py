"""Formats of model descriptions: supported formats and conversion of format 1."""

import json
from pathlib import Path

import pytest

from emosphere_sb.release.formats import (
    FORMAT,
    check_format,
    format_header,
    name_arguments,
    upgrade,
)
from tests.helpers.format_1 import MODEL

PATH = Path("emosphere.json")


@pytest.fixture
def first():
    return json.loads((MODEL / "emosphere.json").read_text(encoding="utf-8"))


def test_fixture_is_in_format_1_with_arguments_by_position(first):
    assert first["format"] == 1
    assert first["parts"]["pooling"]["arguments"] == [16, 16, 2, 5, 0.1, "d_model"]


def test_both_formats_are_read():
    assert [check_format({"format": number}, PATH) for number in (1, 2)] == [1, 2]
    assert check_format(format_header(), PATH) == FORMAT == 2


def test_newer_format_names_the_version_that_reads_it():
    expected = (
        r"^emosphere\.json has format 3; this version of emosphere-sb reads formats 1 and 2\. "
        r"Update to emosphere-sb>=0\.7\.1: pip install 'emosphere-sb>=0\.7\.1'\.$"
    )
    with pytest.raises(ValueError, match=expected):
        check_format({"format": 3, "requires": "emosphere-sb>=0.7.1"}, PATH)


@pytest.mark.parametrize(
    "requires", [None, 3, "emosphere-sb", "emosphere-sb>=1' ; rm -rf ~ '", "evil>=1"]
)
def test_only_a_plain_version_is_quoted(requires):
    with pytest.raises(ValueError, match=r"has format 3; .* Update to a newer version\.$"):
        check_format({"format": 3, "requires": requires}, PATH)


@pytest.mark.parametrize("number", [None, "2", 2.5, True, [1], 0, -1])
def test_invalid_format_is_rejected(number):
    with pytest.raises(ValueError, match="reads formats 1 and 2"):
        check_format({"format": number}, PATH)


def test_upgrade_names_the_arguments(first):
    found = upgrade(first, PATH)
    assert found["parts"] == {
        "normaliser": {"mode": "corpus"},
        "encoder": {"layers": "last"},
        "pooling": {
            "class": "StylePooling",
            "arguments": {
                "input_size": 16, "width": 16, "heads": 2, "kernel_size": 5, "dropout": 0.1,
                "attention_scale": "d_model",
            },
        },
        "vad_head": {
            "class": "VADHead",
            "arguments": {"input_size": 16, "hidden_size": 16, "dropout": 0.5},
        },
        "class_head": {
            "class": "EmotionHead",
            "arguments": {"input_size": 16, "output_size": 8, "hidden_size": 16, "dropout": 0.5},
        },
    }  # fmt: skip
    assert found["about"] == first["about"] and check_format(found, PATH) == FORMAT
    assert first["format"] == 1, "the description that was given has changed"


def test_upgrade_does_not_change_the_current_format(first):
    second = upgrade(first, PATH)
    assert upgrade(second, PATH) == second


def test_model_without_a_class_head_stays_without(first):
    first["parts"]["class_head"] = None
    assert upgrade(first, PATH)["parts"]["class_head"] is None


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("MeanPooling", [7], {"input_size": 7}),
        ("AttentiveStatsPooling", [7], {"input_size": 7}),
        (
            "StylePooling",
            [7, 8, 4],
            {
                "input_size": 7, "width": 8, "heads": 4, "kernel_size": 5, "dropout": 0.1,
                "attention_scale": "d_model",
            },
        ),
        ("VADHead", [7], {"input_size": 7, "hidden_size": 1024, "dropout": 0.5}),
        (
            "EmotionHead",
            [7, 3],
            {"input_size": 7, "output_size": 3, "hidden_size": 1024, "dropout": 0.5},
        ),
        ("VADHead", [], {"hidden_size": 1024, "dropout": 0.5}),  # rejected when it is created
    ],
)  # fmt: skip
def test_omitted_arguments_have_the_defaults_of_version_0_1(name, given, expected):
    found = name_arguments({"class": name, "arguments": given})
    assert found == {"class": name, "arguments": expected}


@pytest.mark.parametrize(
    "description",
    [
        None, [], "StylePooling", {}, {"class": "StylePooling"}, {"class": ["StylePooling"]},
        {"class": "Linear", "arguments": [1]}, {"class": "MeanPooling", "arguments": "12"},
        {"class": "MeanPooling", "arguments": {"input_size": 12}},
        {"class": "MeanPooling", "arguments": [1, 2]},
    ],
)  # fmt: skip
def test_invalid_part_of_format_1_is_rejected(description):
    with pytest.raises(
        ValueError, match=r"must be one of .* a list of|Too many arguments .* found \[1, 2\]"
    ):
        name_arguments(description)


@pytest.mark.parametrize("parts", [None, 3, []])
def test_parts_must_be_a_mapping(first, parts):
    with pytest.raises(ValueError, match=r"must contain a mapping .parts."):
        upgrade({**first, "parts": parts}, PATH)

"""Tests of metadata lists."""

import pytest

from emosphere_sb.report.html.metadata import format_metadata, metadata_list


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("release", None, "–"),
        ("release", "", "–"),
        ("shuffle_labels", False, "no"),
        ("train", 84030, "84,030"),
        ("partition_seed", 20250101, "20250101"),
        ("max_seconds", 12.0, "12 s"),
        ("peak_memory_mib", 911, "911 MiB"),
        ("peak_gpu_memory_mib", 1536, "1.5 GiB"),
        ("lr", 1e-5, "1e-05"),
        ("accuracy", 0.123456, ".123"),
    ],
)
def test_format_metadata(name, value, text):
    assert format_metadata(name, value) == text


def test_nested_metadata():
    facts = {"sets": {"train": [], "test": ["angry", "<sad>"]}, "parts": [{"a": 1}]}
    assert metadata_list(facts) == (
        "<dl><dt>sets</dt><dd><dl><dt>train</dt><dd>none</dd>"
        "<dt>test</dt><dd>angry, &lt;sad&gt;</dd></dl></dd>"
        "<dt>parts</dt><dd><ul><li><dl><dt>a</dt><dd>1</dd></dl></li></ul></dd></dl>"
    )


def test_command_and_digest():
    facts = {"command": "make demo", "predictions": {"test": "0f" * 32}, "commit": ""}
    text = metadata_list(facts)
    assert "<pre><span>make</span> <span>demo</span></pre>" in text
    assert f"<code>{'0f' * 32}</code>" in text
    assert "<dt>commit</dt><dd>–</dd>" in text


def test_several_commands_can_each_be_copied():
    text = metadata_list({"commands": ["make a", None, "make b"]})
    assert text.count("<pre>") == 2
    assert text.index("<span>a</span>") < text.index("<span>b</span>")


def test_empty_metadata():
    assert metadata_list({}) == '<p class="soft">none</p>'

"""Public information about the origin of a model contains no local paths."""

import pytest

from emosphere_sb.release.origin import (
    is_hub_name,
    licence_of,
    public_command,
    public_name,
    public_protocol,
)

PROTOCOL = {"corpus": "IEMOCAP", "synthetic": False, "backbone": "microsoft/wavlm-large"}


def test_licence_includes_corpus_and_backbone():
    text = licence_of(PROTOCOL)
    assert "University of Southern California" in text and "Contact its owners" in text
    assert text.endswith("derived from microsoft/wavlm-large, whose licence also applies.")


def test_licence_of_synthetic_speech_and_random_weights():
    text = licence_of({**PROTOCOL, "synthetic": True, "backbone": "wavlm_demo.json"})
    assert text == "Trained on synthetic speech only; no corpus terms apply."


def test_protocol_contains_no_local_paths():
    given = {
        **PROTOCOL, "backbone": "/data/models/wavlm-tuned", "seed": 7, "drop": {"train": ["x"]},
        "labels_file": "/data/labels.csv", "options": {"files": ["C:\\me\\a.csv", "~/b.csv"]},
    }  # fmt: skip
    assert public_protocol(given) == {
        **PROTOCOL, "backbone": "wavlm-tuned", "seed": 7, "drop": {"train": ["x"]},
        "labels_file": "labels.csv", "options": {"files": ["a.csv", "b.csv"]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "hub"),
    [
        ("microsoft/wavlm-large", True), ("./microsoft/wavlm-large", False), ("a/b/c", False),
        ("/a", False), ("~/a", False), ("wavlm_demo.json", False), ("a\\b/c", False),
        ("hparams/backbones", False), ("folder/config.json", False),
    ],
)  # fmt: skip
def test_names_on_the_hub(name, hub):
    assert is_hub_name(name) is hub
    assert (public_name(name) == name) is (hub or "/" not in name)


def test_command_contains_no_local_paths():
    words = "python t.py a.yaml --preset=x+y '--data_folder=/my data' --results_folder=../r /a/b -q"
    expected = "python t.py a.yaml --preset=x+y --data_folder=… --results_folder=… … -q"
    assert public_command(words) == expected
    assert public_command("python t.py '--test_options={a: 1}'") == (
        "python t.py '--test_options={a: 1}'"
    )
    assert public_command("") == ""

"""A command line and its file: parsed once, checked for version and corpus."""

from collections import Counter
from pathlib import Path

import pytest

from emosphere_sb.recipe import arguments
from emosphere_sb.recipe.arguments import HPARAMS
from emosphere_sb.recipe.command_line import read_command

FILE = str(HPARAMS / "emosphere.yaml")


def test_request_has_the_merged_tree_and_run_options():
    words = [FILE, "--preset=smoke", "--lr", "0.5", "--device=cpu"]
    request = read_command(words, corpus="IEMOCAP")
    assert (request.tree["lr"], request.tree["head_width"]) == (0.5, 16)
    assert request.run_options == {"device": "cpu"}
    assert request.command.startswith("python recipes/IEMOCAP/train.py ")


def test_files_and_command_line_are_parsed_once(monkeypatch):
    read, parse = Path.read_text, arguments.parse_arguments
    files, parsed = Counter(), []

    def read_text(path, *rest, **options):
        files[path.name] += 1
        return read(path, *rest, **options)

    def parse_arguments(*words):
        parsed.append(words)
        return parse(*words)

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr("emosphere_sb.recipe.command_line.parse_arguments", parse_arguments)
    read_command([FILE, "--preset=published+smoke", "--seed=3"], corpus="MSP-Podcast")
    assert {name: files[name] for name in files if name.endswith(".yaml")} == {
        "emosphere.yaml": 1, "presets.yaml": 1,
    }  # fmt: skip
    assert len(parsed) == 1


def test_file_of_version_0_1_names_its_renamed_keys(tmp_path):
    text = Path(FILE).read_text(encoding="utf-8")
    old = text.replace("\npreset: ", "\nrow: ").replace("\ncheck_memory: ", "\ndry_run: ")
    (tmp_path / "own.yaml").write_text(old, encoding="utf-8")
    with pytest.raises(ValueError, match=r"version 0\.1\.0.*row \(now preset\), dry_run \(now ch"):
        read_command([str(tmp_path / "own.yaml")], corpus="IEMOCAP")


def test_key_of_another_corpus_is_rejected():
    with pytest.raises(ValueError, match="--four_classes is a setting of IEMOCAP"):
        read_command([FILE, "--four_classes=True"], corpus="MSP-IMPROV")

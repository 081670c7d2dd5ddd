"""Test the READMEs and docs: commands, presets, keys, files and make targets exist."""

import contextlib
import re
import shlex

import pytest

from emosphere_sb.cli import COMMANDS, main
from emosphere_sb.fileio.yaml_tree import read_tree
from emosphere_sb.recipe.arguments import HPARAMS, parse_arguments
from emosphere_sb.recipe.hparams import merge, read_presets


def readmes(root):
    pages = [
        *root.glob("recipes/*/README.md"),
        *root.glob("docs/*.md"),
        *root.glob("docs/api/*.md"),
    ]
    return [root / "README.md", *sorted(pages)]


def commands(root):
    """Find lines of code blocks and inline code that run a recipe."""
    found = []
    for path in readmes(root):
        text = path.read_text(encoding="utf-8")
        starts = r"(?:python |torchrun [^`\n]*?|^ +)"  # the last one continues a torchrun
        found += re.findall(starts + r"(recipes/\S+/train\.py) ([^\n`#]*)", text, re.M)
    return found


def test_arguments_of_documented_commands_are_accepted(root):
    found = commands(root)
    assert len(found) >= 6
    known = set(read_tree(HPARAMS / "emosphere.yaml"))
    for script, arguments in found:
        assert (root / script).is_file()
        words = [word for word in shlex.split(arguments) if not word.startswith("--help")]
        if words:
            merge(parse_arguments([words[0].replace("hparams", str(HPARAMS)), *words[1:]], known))


def test_readme_is_short_and_lists_each_command(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert [name for name in COMMANDS if f"| `emosphere {name}` |" not in text] == []


def test_each_preset_is_listed(root):
    text = (root / "docs" / "presets.md").read_text(encoding="utf-8")
    presets = list(read_presets(HPARAMS / "emosphere.yaml"))
    assert len(presets) > 15
    assert [preset for preset in presets if f"`{preset}`" not in text] == []


def options_of_commands(capsys):
    """Return the options in the help texts of the ``emosphere`` commands."""
    found = set()
    for name in COMMANDS:
        with contextlib.suppress(SystemExit):  # raised by argparse after printing the help
            main([name, "--help"])
        options = re.findall(r"--(\w+)", capsys.readouterr().out)
        assert len(options) > 1, name
        found |= set(options)
    return found


def test_options_in_the_readmes_exist(root, capsys):
    known = set(read_tree(HPARAMS / "emosphere.yaml"))
    named = set()
    for path in readmes(root):
        named |= set(re.findall(r"`--(\w+)[=`]", path.read_text(encoding="utf-8")))
    assert len(named) > 10
    from emosphere_sb.recipe.arguments import RUN_OPTIONS

    known |= {*RUN_OPTIONS, *options_of_commands(capsys)}
    assert named - known <= {"preset", "help", "node_rank"}  # options of torchrun


def test_make_targets_in_the_readmes_exist(root):
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, flags=re.MULTILINE))
    named = set()
    for path in readmes(root):
        named |= set(
            re.findall(r"(?:^|`)make ([a-z][\w-]*)", path.read_text(encoding="utf-8"), re.M)
        )
    assert {"demo", "test"} <= named <= targets


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("demo-checks", "mean CCC"),
        ("demo-cost", "mean CCC"),
        ("learn", "mean CCC"),
        ("preparation", "| 264,705 |"),
        ("backbones", "microsoft/wavlm-large"),
        ("throughput", "training, audio seconds per second"),
        ("sorting", "--bucket_batches=0"),
        ("feature-cache", "cache / memory"),
        ("whisper-padding", "difference"),
        ("tables", "Synthetic speech"),
        ("figure", "Synthetic speech"),
        ("install-size", "CUDA"),
        ("coverage", "unequal sizes, skewed labels"),
        ("scale", "264,705 rows"),
        ("startup", "ONNX Runtime, int8"),
        ("speech-detection", "all without speech"),
        ("training-distance", "standardised"),
    ],
)
def test_generated_tables_contain_their_results_and_command(root, name, content):
    pages = [*readmes(root), root / "benchmarks" / "RESULTS.md"]
    text = "".join(path.read_text(encoding="utf-8") for path in pages)
    table = text.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    assert content in table
    assert re.search(r"(Generated|Made) by `make", table)  # "Made" up to version 0.1

"""Test how commands are found in documentation pages, and that each of them can be run."""

import pytest

from tests.helpers.docs_pages import PYTHON, SHELL, Snippet, all_snippets, snippets
from tests.helpers.docs_substitutions import TABLE, substituted
from tests.helpers.docs_workspace import Workspace

PAGE = """\
# Title

```
make demo    # a comment
torchrun --nproc_per_node=4 \\
    train.py   --x=1

```

Inline `emosphere nothing`, and a block that is not run:

```text
results/   a tree
```

```python
if True:
    print("{x}")
```
"""


def test_commands_and_python_blocks_have_line_numbers():
    assert snippets(PAGE, "a.md") == [
        Snippet("a.md", 4, SHELL, "make demo"),
        Snippet("a.md", 5, SHELL, "torchrun --nproc_per_node=4 train.py --x=1"),
        Snippet("a.md", 17, PYTHON, 'if True:\n    print("{x}")\n'),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("```\nls -l\n```\n", "a.md:2: a command must start with one of emosphere, make"),
        ("```rust\n```\n", "a.md:1: the language of a block must be python"),
        ("```\nmake demo\n", "a.md:1: the block is not closed"),
        ("```\nmake \\\n```\n", "a.md:2: the last line ends with a backslash"),
    ],
)
def test_invalid_block_raises(text, reason):
    with pytest.raises(ValueError, match=reason):
        snippets(text, "a.md")


@pytest.mark.parametrize(
    ("command", "run"),
    [
        (
            "python recipes/MSP-Podcast/train.py hparams/emosphere.yaml --data_folder=… "
            "--preset=published+no_regions",
            "python recipes/MSP-Podcast/train.py hparams/emosphere.yaml "
            "--data_folder={MSP-PODCAST} --preset=published+smoke+no_regions",
        ),
        (
            "emosphere table ablation --preset=demo_small --seeds=1,2,3 --jobs=2",
            "emosphere table ablation --preset=smoke --results_folder=results/small --seeds=1 "
            "--jobs=2 --tables={tables}",
        ),
        (
            "emosphere table pooling --data_folder=/path/to/MSP-PODCAST",
            "emosphere table pooling --data_folder={MSP-PODCAST} --seeds=1 --tables={tables}",
        ),
    ],
)
def test_substitutions(command, run):
    assert substituted(Snippet("a.md", 1, SHELL, command))[0] == run


def test_placeholder_without_substitution_raises():
    snippet = Snippet("a.md", 7, SHELL, "emosphere evaluate /path/to/model IEMOCAP")
    with pytest.raises(
        ValueError, match=r"a.md:7: '/path/to/model' in .* has no substitution.*TABLE"
    ):
        substituted(snippet)


def test_each_substitution_is_used_and_has_a_reason(root):
    used = [line for snippet in all_snippets(root) for line in substituted(snippet)[1]]
    assert [line.pattern for line in TABLE if line not in used] == []
    assert all(line.why for line in TABLE)


@pytest.fixture
def place(root, tmp_path):
    return Workspace(root, tmp_path, {"name": lambda: "value"})


def shell(text):
    return Snippet("a.md", 1, SHELL, text)


def test_workspace_runs_python_and_commands(place):
    block = Snippet("a.md", 1, PYTHON, 'x = {1: 2}\nprint("{name}", x)\n')
    assert place.run(block) == "value {1: 2}\n"
    assert "usage: emosphere COMMAND" in place.run(shell("emosphere --help"))


def test_failing_command_or_missing_output_raises(place):
    with pytest.raises(AssertionError, match=r"exit status 2:\n.*error: .*nothing"):
        place.run(shell("emosphere nothing"))
    with pytest.raises(AssertionError, match=r"did not write page\.csv"):
        place.run(shell("emosphere --help --out=page.csv"))


def test_unknown_make_targets_and_extras_raise(place):
    place.run(shell("make VENV=/somewhere demo"))
    place.run(shell("pip install -e '.[onnx,demo]'"))
    with pytest.raises(AssertionError, match=r"unknown make targets: .'tee'"):
        place.run(shell("make tee"))
    with pytest.raises(AssertionError, match=r"unknown extras: .'tea'"):
        place.run(shell("pip install -e '.[onnx,tea]'"))


def test_repeated_command_is_run_once(place):
    block = Snippet("a.md", 1, PYTHON, 'open("a.txt", "a").write("x")\nprint("done")\n')
    assert place.run(block) == place.run(block) == "done\n"
    assert (place.folder / "a.txt").read_text() == "x"


def test_directives_of_the_site_are_not_run():
    assert snippets("```{toctree}\ninstallation\n```\n\n```\nmake demo\n```\n", "a.md") == [
        Snippet("a.md", 6, SHELL, "make demo")
    ]


def test_prediction_table_is_generated(root):
    text = (root / "docs" / "inference.md").read_text(encoding="utf-8")
    block = text.split("<!-- predict -->")[1].split("<!-- /predict -->")[0]
    assert "synthetic speech" in block and "by `make demo; make predict-example`" in block
    assert "| valence | arousal | dominance |" in block

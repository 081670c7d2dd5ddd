"""YAML trees keep tags, comments and references, and are independent copies."""

import os

import pytest
from ruamel.yaml import YAML

from emosphere_sb.fileio.yaml_tree import copy_tree, dump, read_tree, tag_of, tagged_value

TEXT = """\
# A comment
lr: 1.0e-5  # per step
backbone: 'a'
freeze: &names [1, 2]
again: *names
empty: !new:collections.OrderedDict {}
nothing: !new:list []
bare: !new:dict
part: !name:torch.nn.Linear
  in_features: !ref <lr>
  sizes: !tuple (1, 2)
text: |
  two
  lines
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.mark.parametrize("read", [read_tree, lambda path: copy_tree(read_tree(path))])
def test_tree_is_what_ruamel_reads(path, read):
    expected = YAML().load(TEXT)
    for _ in range(2):  # parsed, and from the cache
        tree = read(path)
        assert dump(tree) == dump(expected)
        assert tagged_value(tree) == tagged_value(expected)
        assert [tag_of(tree[key]) for key in ("empty", "nothing", "bare", "part")] == [
            "!new:collections.OrderedDict", "!new:list", "!new:dict", "!name:torch.nn.Linear",
        ]  # fmt: skip
        assert tree["freeze"] is tree["again"]


def test_files_of_the_package_are_what_ruamel_reads(root):
    files = sorted((root / "hparams").glob("*.yaml"))
    assert len(files) >= 3
    for file in files:
        assert dump(read_tree(file)) == dump(YAML().load(file.read_text(encoding="utf-8")))


def test_changes_of_a_tree_do_not_affect_other_copies(path):
    tree = read_tree(path)
    tree["lr"] = 1
    tree["freeze"].append(3)
    tree["part"]["in_features"] = 2
    assert dump(read_tree(path)) == dump(YAML().load(TEXT))


def test_changed_file_with_the_same_time_is_read_again(path):
    before = path.stat()
    read_tree(path)
    path.write_text(TEXT.replace("1.0e-5", "2.0e-5"), encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read_tree(path)["lr"] == 2e-5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1", "is not valid YAML"),
        (b"\xff", "is not valid YAML"),
        (b"- 1", "found CommentedSeq"),
    ],
)
def test_error_names_the_invalid_file(path, content, message):
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(ValueError, match=f"{path}.*{message}"):
            read_tree(path)

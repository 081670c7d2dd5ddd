"""``emosphere cache``: what it prints and deletes, and its exit status."""

import numpy as np
import pytest

from emosphere_sb.commands.cache import run
from emosphere_sb.data.feature_layout import Layout
from emosphere_sb.data.feature_store import FeatureStore


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "feature_cache"
    for name, layout, count in (
        ("aa", Layout("frames", "fp32", 2, 3), 3),
        ("bb", Layout("averages", "fp16", 2, 3, normalised=True), 1),
    ):
        store = FeatureStore(root / name, layout)
        store.create({"backbone": f"hub/{name}", "numbers": [0, 6], "states": ["x", "y"]})
        with store.writer() as writer:
            for number in range(count):
                writer.add(f"{number}", np.ones((4, 2, 3), np.float32))
    (root / "unrelated").mkdir()
    return root


def damage(root):
    (path,) = (root / "aa").glob("*.bin")
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)


def test_list(root, capsys):
    assert run(["list", str(root)]) == 0
    header, one, two, total = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "features", "backbone", "states", "utterances", "size"]
    assert one.split()[:-2] == ["aa", "frames", "fp32", "hub/aa", "0,6", "3"]
    assert two.split()[:-2] == ["bb", "averages", "fp16", "layer_norm", "hub/bb", "0,6", "1"]
    assert one.split()[-1] in ("B", "kB")
    assert total == f"2 entries in {root}"


def test_list_of_no_entries(tmp_path, capsys):
    assert run(["list", str(tmp_path / "missing")]) == 0
    assert capsys.readouterr().out == f"0 entries in {tmp_path / 'missing'}\n"


def test_verify_and_repair(root, capsys):
    assert run(["verify", str(root)]) == 0
    assert "aa: 3 utterances, 0 damaged" in capsys.readouterr().out
    damage(root)
    assert run(["verify", str(root), "bb"]) == 0
    assert run(["verify", str(root)]) == 1
    text = capsys.readouterr().out
    assert "aa: 3 utterances, 1 damaged" in text and "use --repair" in text
    assert run(["verify", str(root), "--repair"]) == 0
    assert "removed 1 damaged" in capsys.readouterr().out
    assert run(["verify", str(root)]) == 0
    assert "aa: 2 utterances, 0 damaged" in capsys.readouterr().out


def test_verify_finds_missing_data(root, capsys):
    (path,) = (root / "aa").glob("*.bin")
    path.unlink()
    assert run(["verify", str(root)]) == 1
    assert "aa: 3 utterances, 3 damaged" in capsys.readouterr().out


def test_remove(root, capsys):
    assert run(["remove", str(root), "aa"]) == 0
    assert f"Removed {root / 'aa'} (" in capsys.readouterr().out
    assert sorted(path.name for path in root.iterdir()) == ["bb", "unrelated"]
    assert run(["remove", str(root), "--all"]) == 0
    assert [path.name for path in root.iterdir()] == ["unrelated"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["remove"], "requires either names of entries or --all"),
        (["remove", "bb", "--all"], "requires either names of entries or --all"),
        (["remove", "cc"], "has no entry 'cc'.*emosphere cache list"),
        (["list", "--repair"], "--repair cannot be used with emosphere cache list"),
        (["verify", "--all"], "--all cannot be used with emosphere cache verify"),
    ],
)
def test_invalid_command_raises_and_removes_nothing(words, message, root):
    words.insert(1, str(root))
    with pytest.raises(ValueError, match=message):
        run(words)
    assert sorted(path.name for path in root.iterdir()) == ["aa", "bb", "unrelated"]

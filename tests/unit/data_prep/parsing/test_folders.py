"""Finding files and folders, parsing classes, and the imports of data_prep."""

import subprocess
import sys

import pytest

from data_prep.corpus import Utterance
from data_prep.parsing.folders import (
    exclude_classes,
    find_entry,
    parse_classes,
    resolve_data_folder,
    resolve_user_path,
)


def test_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "corpus").mkdir()
    assert resolve_data_folder("~/corpus") == tmp_path / "corpus"


def test_relative_folder_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve_data_folder(".") == tmp_path


def test_names_are_found_in_order_of_preference(tmp_path):
    (tmp_path / "B.TXT").write_text("")
    (tmp_path / "c.txt").write_text("")
    assert find_entry(tmp_path, ["a.txt", "b.txt", "c.txt"]) == tmp_path / "B.TXT"


def test_name_inside_a_file_is_not_found(tmp_path):
    (tmp_path / "labels").write_text("")
    assert find_entry(tmp_path, ["Labels/a.csv"]) is None


def test_folder_in_place_of_a_file_raises(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"--labels_file must be the path of a file.*is not a file"
    ):
        resolve_user_path(tmp_path.parent, tmp_path.name, option="labels_file")


@pytest.mark.parametrize(
    "words", ["other,sad", " Other , SAD,", ["sad", "other"], ("OTHER", "sad")]
)
def test_classes_are_parsed_in_all_notations(words):
    assert parse_classes(words, ["other", "sad", "happy"], option="drop_train") == {"other", "sad"}


def test_classes_of_a_numbered_set_can_be_excluded_separately():
    rows = [Utterance("a", "a.wav", emotion="sad")]
    kept, _, _ = exclude_classes({"test1": rows, "test2": rows}, {"test": {"sad"}, "test2": set()})
    assert [len(kept[name]) for name in ("test1", "test2")] == [0, 1]


def test_preparation_imports_only_lightweight_packages():
    code = (
        "import sys, data_prep.manifest, data_prep.msp_podcast.reader, data_prep.own_data.reader\n"
        "names = [name.split('.') for name in sys.modules]\n"
        "library = {tuple(name[1:2]) for name in names if name[0] == 'emosphere_sb'}\n"
        "assert library == {(), ('audio',), ('fileio',), ('scale',)}, library\n"
        "assert not {'torch', 'filelock'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

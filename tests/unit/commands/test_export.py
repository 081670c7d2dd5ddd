"""``emosphere export --labels``: the table of labelled files, in the format of OwnData."""

import numpy as np
import pytest

from emosphere_sb.commands.export import read_labelled_files

HEADER = "file,valence,arousal,dominance\n"


def write(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_relative_to_the_table_and_missing_labels_as_nan(tmp_path):
    (tmp_path / "a.wav").touch()
    path = write(tmp_path, f"{HEADER}a.wav,1,2.5,\n{tmp_path}/b.wav,2,NA,nan\n")
    paths, labels = read_labelled_files(path)
    assert paths == [f"{tmp_path}/a.wav", f"{tmp_path}/b.wav"]
    np.testing.assert_array_equal(labels, [[1, 2.5, np.nan], [2, np.nan, np.nan]])


def test_existing_paths_are_unchanged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.wav").touch()
    (tmp_path / "lists").mkdir()
    path = write(tmp_path / "lists", f"{HEADER}a.wav,1,2,3\nb.wav,1,2,3\n")
    assert read_labelled_files(path)[0] == ["a.wav", f"{tmp_path}/lists/b.wav"]


def test_manifest_columns_are_case_insensitive(tmp_path):
    text = "ID,Wav,Dominance,Arousal,Valence\n1,a.wav,3,2,1\n2,b.wav,6,5,4\n"
    paths, labels = read_labelled_files(write(tmp_path, text))
    assert [path.rpartition("/")[2] for path in paths] == ["a.wav", "b.wav"]
    np.testing.assert_array_equal(labels, [[1, 2, 3], [4, 5, 6]])


def test_column_file_has_precedence_over_wav(tmp_path):
    text = "wav,file,valence,arousal,dominance\nx,a.wav,1,2,3\ny,b.wav,1,2,3\n"
    paths, _ = read_labelled_files(write(tmp_path, text))
    assert [path.rpartition("/")[2] for path in paths] == ["a.wav", "b.wav"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,valence\na,1\n", "have the columns file or wav, valence, arousal, dominance"),
        ("name,valence\na,1\n", "found: name, valence"),
        ("wav,valence,arousal\na,1,1\n", "have the columns wav, .*missing: dominance"),
        (f"{HEADER}a,1,x,2\n", "line 2: labels must be numbers"),
        (f"{HEADER}a,1,inf,2\n", "line 2: labels must be numbers.*arousal is inf"),
        (f"{HEADER}a,1,1,2\nb,1,1\n", "labels.csv: malformed row: line 3 has 3 values, expected 4"),
        (f"{HEADER},1,1,2\n", "no file name: line 2"),
        (f"{HEADER}a,1,1,2\n", "at least two labelled files; found 1"),
        ("", "it is empty"),
    ],
)
def test_fault_invalid_labels(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_labelled_files(write(tmp_path, text))


@pytest.mark.parametrize(
    "written", [r"Wav\\b.wav", "wav/B.WAV", "wav/b", "file://{folder}/lists/wav/b.wav"]
)
def test_paths_that_are_spelt_differently(tmp_path, written):
    (tmp_path / "lists" / "wav").mkdir(parents=True)
    (tmp_path / "lists" / "wav" / "b.wav").touch()
    written = written.format(folder=tmp_path)
    text = f"file;valence;arousal;dominance\n{written};1,5;2;3\n{written};2;3;4,25\n"
    (tmp_path / "lists" / "labels.csv").write_text(text)
    paths, labels = read_labelled_files(tmp_path / "lists" / "labels.csv")
    assert paths == [f"{tmp_path}/lists/wav/b.wav"] * 2
    assert labels.tolist() == [[1.5, 2, 3], [2, 3, 4.25]]

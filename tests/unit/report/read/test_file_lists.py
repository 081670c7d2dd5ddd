"""Tests of reading file lists: text, CSV, errors."""

import pytest

from emosphere_sb.report.read.file_lists import (
    count_with_examples,
    find_duplicates,
    read_file_list,
    utterance_id,
)


def written(folder, text, name="list.txt"):
    (folder / name).write_bytes(text.encode("utf-8"))
    return folder / name


@pytest.mark.parametrize(
    "text",
    [
        "a.wav\nb.wav\n",
        "a.wav\r\n\r\n b.wav \r\n",
        "\ufeffa.wav\nb.wav",
        "FileName\na.wav\nb.wav\n",
        "\ufeffFileName,Split_Set\na.wav,Test3\nb.wav,Test3\n",
        'Split_Set,FileName\n"Test3,hidden",a.wav\nTest3,b.wav\n',
        "filename;Split_Set\r\na.wav;Test3\r\nb.wav;Test3\r\n",
    ],
)
def test_names_are_in_order(tmp_path, text):
    assert read_file_list(written(tmp_path, text)) == ["a.wav", "b.wav"]


@pytest.mark.parametrize("text", ["", "\n \n", "FileName\n"])
def test_list_without_names_raises(tmp_path, text):
    with pytest.raises(ValueError, match="a file name on each line; found 0 names"):
        read_file_list(written(tmp_path, text))


def test_empty_name_raises(tmp_path):
    with pytest.raises(ValueError, match="found 2 names, 1 of them empty"):
        read_file_list(written(tmp_path, "FileName,x\na,1\n,2\n"))


def test_duplicated_name_raises(tmp_path):
    with pytest.raises(ValueError, match=r"must be unique; duplicated: 1 \(b\)"):
        read_file_list(written(tmp_path, "b\na\nb\n"))


def test_csv_without_column_raises_with_columns(tmp_path):
    with pytest.raises(ValueError, match=r"column FileName, .*found the columns file, set"):
        read_file_list(written(tmp_path, "file,set\na.wav,Test3\n"))


def test_short_line_raises(tmp_path):
    with pytest.raises(ValueError, match="must have a FileName in column 2; found 'Test3'"):
        read_file_list(written(tmp_path, "Split_Set,FileName\nTest3\n"))


def test_list_with_several_names_on_a_line_raises(tmp_path):
    with pytest.raises(ValueError, match=r"one name per line, .* found 'b.wav,c.wav' on line 2"):
        read_file_list(written(tmp_path, "a.wav\nb.wav,c.wav\nd.wav\n"))


def test_utterance_id_removes_folders_and_audio_suffixes_only():
    names = ["/x/y/a.wav", "a.FLAC", "a.1", "x\\a.mp3", "a", "b.wav.wav"]
    assert [utterance_id(name) for name in names] == ["a", "a", "a.1", "a", "a", "b.wav"]


def test_find_duplicates_and_count_with_examples():
    assert find_duplicates("abcab") == ["a", "b"]
    assert count_with_examples(str(n) for n in range(2000)) == "2,000 (0, 1, 2, …)"

"""Lists of files: text and CSV, and what is refused."""

import pytest

from emosphere_sb.report.read.file_lists import read_list, repeated, some, stem


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
    ],
)
def test_names_in_their_order(tmp_path, text):
    assert read_list(written(tmp_path, text)) == ["a.wav", "b.wav"]


@pytest.mark.parametrize("text", ["", "\n \n", "FileName\n"])
def test_list_without_a_name_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match="a name on every line; found 0 names"):
        read_list(written(tmp_path, text))


def test_empty_name_is_refused(tmp_path):
    with pytest.raises(ValueError, match="found 2 names, 1 of them empty"):
        read_list(written(tmp_path, "FileName,x\na,1\n,2\n"))


def test_double_name_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"each file once; 1 \(b\) stand there more than once"):
        read_list(written(tmp_path, "b\na\nb\n"))


def test_csv_without_the_column_says_which_it_has(tmp_path):
    with pytest.raises(ValueError, match=r"column FileName, .*found the columns file, set"):
        read_list(written(tmp_path, "file,set\na.wav,Test3\n"))


def test_short_line_is_shown(tmp_path):
    with pytest.raises(ValueError, match="must have a FileName, in column 2; found 'Test3'"):
        read_list(written(tmp_path, "Split_Set,FileName\nTest3\n"))


def test_stem_takes_off_folders_and_audio_endings_only():
    names = ["/x/y/a.wav", "a.FLAC", "a.1", "x\\a.mp3", "a", "b.wav.wav"]
    assert [stem(name) for name in names] == ["a", "a", "a.1", "a", "a", "b.wav"]


def test_repeated_and_some():
    assert repeated("abcab") == ["a", "b"]
    assert some(str(n) for n in range(2000)) == "2,000 (0, 1, 2, …)"

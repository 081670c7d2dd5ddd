"""Paths that are spelt differently in a table than on disk."""

import time
import unicodedata

import pytest

from emosphere_sb.fileio.path_index import PathIndex, file_url_to_path, locate_file


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("file:///data/a.wav", "/data/a.wav"),
        ("file://localhost/data/a.wav", "/data/a.wav"),
        ("file:/data/a.wav", "/data/a.wav"),
        ("FILE:///data/%C3%A9%20%23.wav", "/data/é #.wav"),
        ("file:///C:/data/a.wav", "C:/data/a.wav"),
        ("file:wav/a.wav", "wav/a.wav"),
        ("wav/100%25.wav", "wav/100%25.wav"),
        ("profile:a.wav", "profile:a.wav"),
    ],
)
def test_file_urls(text, path):
    assert file_url_to_path(text) == path


def test_unicode_forms_match_after_case_folding():
    name = unicodedata.normalize("NFD", "/data/É ß.wav")
    assert PathIndex([name]).find("/data/é SS.WAV") == [name]


def test_lookups_take_constant_time():
    """A quarter of a million rows, each in another case than its file."""
    paths = [f"/data/Audios/MSP-PODCAST_{k:06}.wav" for k in range(264_705)]
    begin = time.perf_counter()
    index = PathIndex(paths)
    assert all(index.find(path.lower()) == [path] for path in paths)
    assert time.perf_counter() - begin < 60  # about 5 s; quadratic time would be hours


def test_files_in_folders_of_several_spellings_are_ambiguous(tmp_path):
    for folder in ("Wav", "WAV"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.wav").touch()
    with pytest.raises(ValueError, match=r"'wav/a\.wav' must match one file; found "):
        locate_file("wav/a.wav", [str(tmp_path)])
    assert locate_file("Wav/a.wav", [str(tmp_path)]) == f"{tmp_path}/Wav/a.wav"


def test_missing_file_is_relative_to_the_last_folder(tmp_path):
    assert locate_file("a/b.wav", ["", str(tmp_path)]) == f"{tmp_path}/a/b.wav"

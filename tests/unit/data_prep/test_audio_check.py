"""Audio files of a corpus: listing, reading of headers, and detection of changes."""

import os

import pytest

from data_prep.audio_check import check_audio_files, list_audio, listing_digest
from emosphere_sb.audio.errors import AudioError


@pytest.mark.parametrize("workers", [1, 3])
def test_headers_keep_the_order_of_the_paths(tmp_path, wav, workers):
    paths = [str(wav(tmp_path / f"{k}.wav", seconds=0.01 * (k + 1))) for k in range(5)]
    paths = paths * 120 + [str(tmp_path / "absent.wav")]
    headers = check_audio_files(paths, workers=workers)
    assert [header.frames for header in headers[:-1]] == [160, 320, 480, 640, 800] * 120
    assert str(headers[-1]) == f"{tmp_path / 'absent.wav'}: missing audio file"


def test_damaged_files_are_replaced_with_errors(tmp_path, wav):
    good, cut = wav(tmp_path / "a.wav", seconds=0.1), wav(tmp_path / "b.wav", seconds=0.1)
    cut.write_bytes(cut.read_bytes()[:-1])
    first, second, third = check_audio_files([str(good), str(cut), str(good)])
    assert first == third and first.frames == 1600
    assert isinstance(second, AudioError)
    reason = "truncated audio: the header declares 3200 bytes; found 3199 (0.00 s of 0.10 s lost)"
    assert second.reason == reason


def test_zero_workers_raise():
    with pytest.raises(ValueError, match="at least 1; found 0"):
        check_audio_files([], workers=0)


def test_listing_skips_dot_files_and_other_files(tmp_path, wav):
    wav(tmp_path / "Sub" / "A.WAV")
    wav(tmp_path / "Sub" / "._A.wav")
    wav(tmp_path / ".hidden" / "b.wav")
    (tmp_path / "labels.csv").write_text("x")
    assert list(list_audio([tmp_path])) == [str(tmp_path / "Sub" / "A.WAV")]


def test_listing_terminates_on_cyclic_links(tmp_path, wav):
    wav(tmp_path / "a.wav")
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    assert list(list_audio([tmp_path])) == [str(tmp_path / "a.wav")]


def test_listing_follows_a_link_to_another_folder(tmp_path, wav):
    wav(tmp_path / "disk" / "a.wav")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "Audios").symlink_to(tmp_path / "disk", target_is_directory=True)
    assert list(list_audio([tmp_path / "corpus"])) == [str(tmp_path / "corpus/Audios/a.wav")]


def test_digest_notices_size_time_and_name(tmp_path, wav):
    path = wav(tmp_path / "a.wav")
    digests = {listing_digest(list_audio([tmp_path]))}
    os.utime(path, ns=(1, 1))
    digests.add(listing_digest(list_audio([tmp_path])))
    path.write_bytes(b"1")
    os.utime(path, ns=(1, 1))
    digests.add(listing_digest(list_audio([tmp_path])))
    path.rename(tmp_path / "b.wav")
    digests.add(listing_digest(list_audio([tmp_path])))
    assert len(digests) == 4


def test_fault_links_and_pipes_in_the_folder_give_a_warning(tmp_path, wav):
    wav(tmp_path / "a.wav")
    (tmp_path / "broken.wav").symlink_to(tmp_path / "gone.wav")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe.wav")
    warnings = []
    assert list(list_audio([tmp_path], warnings=warnings)) == [str(tmp_path / "a.wav")]
    (warning,) = warnings
    assert warning.startswith("3 entries of the audio folders skipped: ")
    assert f"{tmp_path / 'broken.wav'} (broken link)" in warning
    assert f"{tmp_path / 'pipe.wav'} (not a regular file)" in warning


def test_fault_unreadable_folder_is_skipped(tmp_path, wav, monkeypatch):
    wav(tmp_path / "a.wav")
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def scandir(folder):
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    warnings = []
    assert list(list_audio([tmp_path], warnings=warnings)) == [str(tmp_path / "a.wav")]
    assert warnings == [
        f"1 entry of the audio folders skipped: {tmp_path / 'closed'} (unreadable folder, "
        f"Permission denied)."
    ]


def test_fault_pipe_named_by_a_label_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (found,) = check_audio_files([str(tmp_path / "pipe.wav")])
    assert found.reason == "unreadable audio file: pipes and devices are not supported"

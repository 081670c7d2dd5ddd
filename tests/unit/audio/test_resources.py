"""Time and memory are bounded: odd sampling rates, decoding bombs, pipes, many channels."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from emosphere_sb.audio import check
from emosphere_sb.audio.check import check_audio
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.inference.waveform import load_file

RATE = 16000
MEMORY = """
import resource, sys
from emosphere_sb.audio.check import check_audio
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.inference.waveform import load_file
from emosphere_sb.inference.windows import WindowPlan, file_windows
from emosphere_sb.data.waveform_statistics import corpus_statistics
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
for path in sys.argv[1:]:
    try:
        check_audio(path, max_seconds=60)
        load_file(path, seconds=12.0)
        for _ in file_windows(path, WindowPlan(64000, 64000, 1)):
            pass
        corpus_statistics({"a": {"wav": path}})
    except AudioError as error:
        print(error.reason)
print(peak() - before)
"""


def without_length(path):
    """Remove the number of samples from the header of a FLAC file."""
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)


@pytest.fixture(scope="module")
def bomb(tmp_path_factory):
    """Seven hours of silence in less than a megabyte."""
    path = tmp_path_factory.mktemp("bomb") / "silence.flac"
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(7 * 60):
            file.write(np.zeros(60 * RATE, dtype=np.int16))
    assert path.stat().st_size < 2e6
    return path


def test_memory_grows_by_at_most_600_megabytes(tmp_path):
    paths = []
    for rate in (15_999, 16_001, 384_001, 767_999):
        paths.append(tmp_path / f"{rate}.wav")
        soundfile.write(paths[-1], 0.1 * np.ones(3 * rate), rate)
    for channels in (2, 64, 1024):
        paths.append(tmp_path / f"{channels}.wav")
        soundfile.write(paths[-1], 0.1 * np.ones((3 * RATE, channels)), RATE)
    for suffix in ("mp3", "flac", "ogg"):
        paths.append(tmp_path / f"long.{suffix}")
        with soundfile.SoundFile(paths[-1], "w", 44100, 2) as file:
            for _ in range(60):  # libsndfile cannot encode long blocks
                file.write(0.1 * np.ones((44100, 2)))
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, *map(str, paths)],
        capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    (growth,) = done.stdout.split()
    assert float(growth) < 600


def test_header_limit_is_checked_before_decoding(bomb, monkeypatch):
    monkeypatch.setattr(check, "_decode_to_end", None)  # must not be called
    info = check_audio(bomb, max_seconds=60.0)
    assert info.duration == 7 * 3600


def test_decoding_stops_at_the_limit_if_the_header_has_no_length(bomb, tmp_path, monkeypatch):
    path = tmp_path / "piped.flac"
    path.write_bytes(bomb.read_bytes() + b"\1")  # the last frame does not tell the length either
    without_length(path)
    assert 60.0 < check_audio(path, max_seconds=60.0).duration < 63.0
    monkeypatch.setattr(check, "MAX_DECODED", 10 * RATE)
    with pytest.raises(AudioError, match="no length: the header does not give it"):
        check_audio(path)


def test_pipe_folder_and_broken_link_are_rejected(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "link.wav").symlink_to(tmp_path / "gone.wav")
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    (tmp_path / "folder.wav").mkdir()
    reasons = {
        "pipe.wav": "unreadable audio file: pipes and devices are not supported",
        "link.wav": "broken link: its target does not exist",
        "loop.wav": "unreadable audio file: Too many levels of symbolic links",
        "folder.wav": "unreadable audio file: it is a folder",
    }
    for name, reason in reasons.items():
        for use in (check_audio, load_file):
            with pytest.raises(AudioError) as error:
                use(tmp_path / name)
            assert error.value.reason == reason
    with pytest.raises(AudioError, match="pipes and devices are not supported"):
        check_audio("/dev/zero")


def test_result_is_preserved_until_the_file_changes(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.zeros(RATE), RATE)
    assert check_audio(path).frames == RATE
    soundfile.write(path, np.zeros(2 * RATE), RATE)
    assert check_audio(path).frames == 2 * RATE

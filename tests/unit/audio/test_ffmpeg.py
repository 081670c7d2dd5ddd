"""Containers that libsndfile does not support, with and without ffmpeg."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from emosphere_sb.audio import ffmpeg
from emosphere_sb.audio.check import check_audio
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.reading import read_mono
from emosphere_sb.inference.waveform import load_file

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
ENCODERS = {
    "m4a": "aac", "mp4": "aac", "mov": "aac", "mka": "aac", "webm": "libopus", "wma": "wmav2",
    "aac": "aac", "avi": "aac", "wv": "wavpack",
}  # fmt: skip


@pytest.fixture(scope="module")
def encode(tmp_path_factory):
    """Encode two seconds of noise with ffmpeg."""
    folder = tmp_path_factory.mktemp("audio")
    samples = np.random.default_rng(0).uniform(-0.3, 0.3, 2 * 44100)
    soundfile.write(folder / "a.wav", samples, 44100)

    def encode(suffix):
        path = folder / f"a.{suffix}"
        command = ["ffmpeg", "-v", "error", "-y", "-i", folder / "a.wav", "-c:a", ENCODERS[suffix]]
        done = subprocess.run(
            [*command, path], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
        if done.returncode:
            pytest.skip(f"this ffmpeg cannot write {suffix}: {done.stderr.strip()[:80]}")
        return path

    return encode


@needs_ffmpeg
@pytest.mark.parametrize("suffix", ENCODERS)
def test_container_is_decoded(encode, suffix):
    path = encode(suffix)
    info = check_audio(path)
    assert info.duration == pytest.approx(2.0, abs=0.1) and info.channels == 1
    samples, rate = read_mono(path)
    assert (len(samples), rate) == (info.frames, info.sample_rate)
    part, _ = read_mono(path, start=0.5, seconds=0.25)
    first = round(0.5 * rate)
    assert np.array_equal(part, samples[first : first + round(0.25 * rate)])
    assert load_file(path).end == pytest.approx(info.duration, abs=1e-3)


@needs_ffmpeg
@pytest.mark.parametrize("suffix", ["m4a", "webm", "wma"])
def test_fault_truncated_container(encode, tmp_path, suffix):
    path = tmp_path / f"cut.{suffix}"
    content = encode(suffix).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match=r"(damaged audio|not a recognised audio file): ffmpeg"):
        check_audio(path)


@needs_ffmpeg
def test_playlists_cannot_name_other_files(encode, tmp_path):
    path = tmp_path / "list.m4a"
    path.write_text(f"#EXTM3U\n#EXTINF:1,\n{encode('m4a')}\n")
    with pytest.raises(AudioError, match="not a recognised audio file"):
        check_audio(path)


@needs_ffmpeg
def test_names_are_never_options(encode, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(encode("m4a"), "-version.m4a")
    assert check_audio("-version.m4a").duration == pytest.approx(2.0, abs=0.1)


def test_fault_ffmpeg_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(ffmpeg, "find_ffmpeg", lambda: None)
    path = tmp_path / "a.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(200))
    with pytest.raises(AudioError, match=r"a\.m4a: unsupported format: .*ffmpeg is not installed"):
        check_audio(path)


def test_fault_ffmpeg_does_not_respond(tmp_path, monkeypatch):
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "find_ffmpeg", lambda: str(script))
    monkeypatch.setattr(ffmpeg, "TIMEOUT", 0.2)
    path = tmp_path / "a.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(200))
    with pytest.raises(AudioError, match=r"ffmpeg did not respond for 0\.2 s"):
        check_audio(path)

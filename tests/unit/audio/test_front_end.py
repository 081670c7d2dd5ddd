"""Preparation, training and prediction agree on every file, whatever its format or damage.

The files are generated: formats, sample types, chunk layouts, sampling rates and damage.
"""

import io
import math
import struct

import numpy as np
import pytest
import soundfile

from data_prep.audio_check import check_audio_files
from data_prep.screening import audio_problem
from emosphere_sb.audio.check import AudioInfo
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.reading import read_mono
from emosphere_sb.data.dataset import SpeechDataset
from emosphere_sb.inference.waveform import load_file
from emosphere_sb.inference.windows import WindowPlan, file_windows
from emosphere_sb.scale import Scale

RATE = 16000
SECONDS = 2.0


class NoTask:
    """Stands in for the auxiliary task."""

    size = 0

    def target(self, vad, emotion):
        return -1


def speech(rate=RATE, channels=1, seconds=SECONDS):
    """Noise with an envelope, different in each channel."""
    random = np.random.default_rng(rate + channels)
    count = round(rate * seconds)
    envelope = 0.2 + 0.2 * np.sin(2 * np.pi * 3 * np.arange(count) / rate)
    return (envelope[:, None] * random.uniform(-1, 1, (count, channels))).squeeze()


def encoded(samples=None, rate=RATE, **settings):
    buffer = io.BytesIO()
    soundfile.write(buffer, speech(rate) if samples is None else samples, rate, **settings)
    return buffer.getvalue()


def chunk(name, content, length=None):
    size = len(content) if length is None else length
    return name + struct.pack("<I", size) + content + b"\0" * (len(content) % 2)


def fmt(rate=RATE, channels=1, bits=16, code=1):
    frame = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", code, channels, rate, rate * frame, frame, bits))


def riff(*chunks, size=None):
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


PCM = (speech() * 32767).astype("<i2").tobytes()
DATA = chunk(b"data", PCM)


def cut(content, share=0.5):
    return content[: int(len(content) * share)]


def overwritten(content, place=0.5, count=500):
    start = int(len(content) * place)
    return content[:start] + np.random.default_rng(0).bytes(count) + content[start + count :]


def flac_total(content, total):
    """Change the number of samples in the header of a FLAC file."""
    changed = bytearray(content)
    changed[21] = changed[21] & 0xF0 | total >> 32
    changed[22:26] = (total & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(changed)


def good_files():
    """Yield name and content of files that must be used."""
    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW",
                    "GSM610", "IMA_ADPCM", "MS_ADPCM", "G721_32", "NMS_ADPCM_16"):  # fmt: skip
        yield f"{subtype}.wav", encoded(format="WAV", subtype=subtype)
    for subtype in ("PCM_S8", "PCM_16", "PCM_24", "FLOAT", "ULAW", "G721_32", "G723_24",
                    "G723_40"):  # fmt: skip
        yield f"{subtype}.au", encoded(format="AU", subtype=subtype)
    for format_, subtype in (
        ("WAVEX", "PCM_16"), ("RF64", "PCM_16"), ("W64", "PCM_16"), ("W64", "FLOAT"),
        ("AIFF", "PCM_16"), ("AIFF", "FLOAT"), ("AIFF", "IMA_ADPCM"), ("AIFF", "GSM610"),
        ("FLAC", "PCM_S8"), ("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("CAF", "PCM_16"),
        ("CAF", "ALAC_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"),
        ("NIST", "PCM_16"), ("NIST", "ULAW"), ("VOC", "PCM_16"), ("IRCAM", "PCM_16"),
        ("SVX", "PCM_16"), ("PAF", "PCM_16"), ("MAT5", "DOUBLE"), ("AVR", "PCM_16"),
    ):  # fmt: skip
        yield f"{format_}_{subtype}.bin", encoded(format=format_, subtype=subtype)
    for rate in (4000, 8000, 11025, 15999, 22050, 44100, 48000, 96000, 384001, 768000):
        yield f"{rate}.wav", encoded(speech(rate, seconds=0.5), rate, format="WAV")
    for rate, format_ in (
        (22050, "MP3"), (44100, "MP3"), (48000, "MP3"), (8000, "MP3"), (44100, "OGG"),
        (8000, "OGG"), (44100, "FLAC"), (96000, "FLAC"),
    ):  # fmt: skip
        yield f"{rate}.{format_.lower()}", encoded(rate=rate, format=format_)
    for channels, format_ in ((2, "WAV"), (6, "WAV"), (2, "FLAC"), (2, "OGG"), (2, "MP3"),
                              (8, "FLAC"), (200, "WAV")):  # fmt: skip
        yield f"{channels}.{format_.lower()}", encoded(speech(channels=channels), format=format_)
    for bitrate in ("CONSTANT", "VARIABLE"):
        yield f"{bitrate}.mp3", encoded(rate=44100, format="MP3", bitrate_mode=bitrate)
    flac, mp3 = encoded(format="FLAC"), encoded(format="MP3")
    for total in (0, 1000, 31999, 32001, 64000):
        yield f"total_{total}.flac", flac_total(flac, total)
    yield "tags.mp3", b"ID3\4\0\0\0\0\1\0" + bytes(128) + mp3 + b"TAG" + bytes(125)
    yield "tagged.flac", flac + b"TAG" + bytes(125)
    for excess in (8, 36, 44):
        size = 36 + len(PCM) + excess
        yield f"excess_{excess}.wav", riff(fmt(), chunk(b"data", PCM, len(PCM) + excess), size=size)
    yield "riff_size.wav", riff(fmt(), chunk(b"data", PCM, len(PCM) + 1000))
    yield "wrong_riff_size.wav", riff(fmt(), DATA, size=0)
    for size in (0x7FFFFFFF, 0xFFFFFFFF):
        yield f"pipe_{size}.wav", riff(fmt(), chunk(b"data", PCM, size), size=size)
    yield "before.wav", riff(chunk(b"LIST", bytes(301)), fmt(), chunk(b"fact", bytes(4)), DATA)
    yield "after.wav", riff(fmt(), DATA, chunk(b"LIST", b"INFO" + bytes(300)))
    yield "id3.wav", riff(fmt(), DATA, chunk(b"id3 ", bytes(100)))
    yield "zeros_after.wav", riff(fmt(), DATA, bytes(1000))
    yield "noise_after.wav", riff(fmt(), DATA, b"\xfe" * 50)
    yield "chunks_before.wav", riff(fmt(), *[chunk(b"junk", b"")] * 100, DATA)
    yield "chunks_after.wav", riff(fmt(), DATA, *[chunk(b"junk", b"")] * 200_000)
    yield "incomplete_frame.wav", riff(fmt(), chunk(b"data", PCM[:-1]))
    yield "short.wav", riff(fmt(), chunk(b"data", PCM[:800]))


def bad_files():
    """Yield name and content of files that must be rejected."""
    flac, mp3, ogg = encoded(format="FLAC"), encoded(format="MP3"), encoded(format="OGG")
    opus = encoded(format="OGG", subtype="OPUS")
    for name, content in (("flac", flac), ("mp3", mp3), ("ogg", ogg), ("opus", opus)):
        yield f"cut.{name}", cut(content)
        yield f"cut_end.{name}", cut(content, 0.97)
        yield f"overwritten.{name}", overwritten(content)
        yield f"overwritten_early.{name}", overwritten(content, 0.3, 200)
        yield f"twice.{name}", content * 2
        yield f"three.{name}", content + cut(content, 0.8)
    for name, settings in (
        ("wav", {"format": "WAV"}), ("float.wav", {"format": "WAV", "subtype": "FLOAT"}),
        ("gsm.wav", {"format": "WAV", "subtype": "GSM610"}),
        ("ima.wav", {"format": "WAV", "subtype": "IMA_ADPCM"}), ("aiff", {"format": "AIFF"}),
        ("au", {"format": "AU"}), ("caf", {"format": "CAF"}), ("w64", {"format": "W64"}),
        ("rf64", {"format": "RF64"}), ("sph", {"format": "NIST"}), ("voc", {"format": "VOC"}),
    ):  # fmt: skip
        yield f"cut.{name}", cut(encoded(**settings))
    yield "one_byte_missing.wav", riff(fmt(), DATA)[:-1]
    yield "data_twice.wav", riff(fmt(), DATA, DATA)
    yield "data_list_data.wav", riff(fmt(), DATA, chunk(b"LIST", b"INFO"), DATA)
    yield "fmt_twice.wav", riff(fmt(), fmt(8000), DATA)
    yield "fmt_after.wav", riff(fmt(), DATA, fmt(8000))
    yield "wav_twice.wav", riff(fmt(), DATA) * 2
    yield "channels_1025.wav", riff(fmt(channels=1025), chunk(b"data", bytes(2050 * 800)))
    yield "chunks_200000.wav", riff(fmt(), *[chunk(b"junk", b"")] * 200_000, DATA)
    yield "data_zero.wav", riff(fmt(), chunk(b"data", PCM, 0))
    yield "no_data.wav", riff(fmt())
    for rate in (1, 10, 100, 1000, 3999, 768001, 1_000_000, 16_000_000):
        yield f"rate_{rate}.wav", riff(fmt(rate=rate), DATA)
    for value in (np.nan, np.inf, -np.inf, 9830.0, -1e30):
        samples = speech()
        samples[20000] = value
        yield f"value_{value}.wav", encoded(samples, format="WAV", subtype="FLOAT")
    for name, content in (
        ("empty", b""), ("text", b"text " * 100), ("zeros", bytes(5000)), ("riff", b"RIFF"),
        ("id3", b"ID3\4\0\0\0\0\0\1" + bytes(500)), ("ogg", b"OggS" + bytes(500)),
        ("flac", b"fLaC" + bytes(500)), ("mp3", b"\xff\xfb\x90\x64" + bytes(500)),
        ("m4a", b"\0\0\0\x20ftypM4A " + bytes(500)), ("webm", b"\x1a\x45\xdf\xa3" + bytes(500)),
        ("wma", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(500)),
    ):  # fmt: skip
        yield f"no_audio.{name}", content


def prepared(path):
    """Return the properties according to preparation, or the reason for the rejection."""
    (info,) = check_audio_files([str(path)], workers=1, max_seconds=60.0)
    reason = audio_problem(info, min_duration=0.025, max_duration=60.0)
    return reason or info


def training_set(path, duration, **options):
    row = {"wav": str(path), "duration": duration, "emotion": ""}
    row |= dict.fromkeys(("valence", "arousal", "dominance"), "4")
    return SpeechDataset({"u": row}, scale=Scale(1, 7), task=NoTask(), **options)


def predicted(path):
    """Return the samples that prediction reads, or the reason for the rejection."""
    try:
        return load_file(path, tensors=False)
    except AudioError as error:
        return error.reason


GOOD, BAD = dict(good_files()), dict(bad_files())


def test_enough_files_are_generated():
    assert len(GOOD) + len(BAD) >= 120 and len(GOOD) >= 70 and len(BAD) >= 50


@pytest.mark.parametrize("name", GOOD)
def test_usable_file_gives_equal_samples_everywhere(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(GOOD[name])
    info = prepared(path)
    assert isinstance(info, AudioInfo), info
    samples, rate = read_mono(path)
    assert (len(samples), rate) == (info.frames, info.sample_rate)
    used = predicted(path)
    assert used.duration == info.duration
    assert set(info.warnings) <= set(used.warnings)
    assert len(used.signal) == math.ceil(info.frames * RATE / rate)
    trained = training_set(path, info.duration)[0]["signal"].numpy()
    assert np.abs(trained - used.signal).max() <= 1e-6
    windows = np.concatenate(
        [one.signal for one in file_windows(path, WindowPlan(4000, 4000, 1), tensors=False)]
    )
    assert np.abs(windows - used.signal).max() <= 1e-6


@pytest.mark.parametrize("name", GOOD)
def test_crop_equals_the_slice_of_the_complete_file(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(GOOD[name])
    samples, rate = read_mono(path)
    for start, seconds in ((0.1, 0.05), (0.33, 0.2), (1.7, 5.0)):
        first, last = round(start * rate), round(start * rate) + round(seconds * rate)
        expected = samples[first:last]
        if len(expected):
            found, _ = read_mono(path, start=start, seconds=seconds)
            assert len(found) == len(expected)
            assert np.abs(found - expected).max() <= 1e-6
    duration = len(samples) / rate
    dataset = training_set(path, duration, max_seconds=0.02, crop="random")
    start = dataset._start("u", duration)
    expected, _ = read_mono(path, start=start, seconds=0.02)
    first = round(start * rate)
    assert np.abs(expected - samples[first : first + len(expected)]).max() <= 1e-6


@pytest.mark.parametrize("name", BAD)
def test_unusable_file_is_rejected_everywhere_for_the_same_reason(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BAD[name])
    reason = prepared(path)
    assert isinstance(reason, str) and reason, reason
    assert predicted(path) == reason
    for options in ({}, {"max_seconds": 0.1}, {"max_seconds": 0.1, "crop": "random"}):
        item = training_set(path, SECONDS, **options)[0]
        assert item["missing"] == f"{path}: {reason}"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cut.mp3", r"truncated audio: 1\.\d\d s of 2\.\d\d s lost"),
        ("overwritten.mp3", r"damaged audio: 0\.\d\d s of 2\.\d\d s lost"),
        ("twice.mp3", r"several MP3 files in one.*\(2\.\d\d s of 4\.\d\d s lost\)"),
        ("cut.ogg", r"truncated audio: .* the part after [01]\.\d\d s is lost"),
        ("twice.ogg", r"2 chained streams.*\(2\.00 s of 4\.00 s lost\)"),
        ("twice.opus", r"2 chained streams.*\(2\.0\d s of 4\.0\d s lost\)"),
        ("cut.flac", r"damaged audio: .* of 2\.00 s lost"),
        ("twice.flac", r"several FLAC files in one"),
        ("cut.wav", r"truncated audio: .*\(1\.00 s of 2\.00 s lost\)"),
        ("value_9830.0.wav", r"wrong scale: samples must be scaled to \[-1, 1\]; found 9830\. "),
    ],
)
def test_reason_gives_the_seconds_lost(tmp_path, name, reason):
    import re

    path = tmp_path / name
    path.write_bytes(BAD[name])
    assert re.search(reason, prepared(path))


@pytest.mark.parametrize("total", [1000, 64000])
def test_wrong_length_of_flac_is_a_warning(tmp_path, total):
    path = tmp_path / "a.flac"
    path.write_bytes(GOOD[f"total_{total}.flac"])
    (warning,) = prepared(path).warnings
    lost = abs(total - 32000) / RATE
    assert warning.startswith(f"the length in the header is wrong by {lost:.2f} s")

"""``EmoSphere``: predictions, their order, and errors."""

import re
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from torchaudio.functional import resample

from emosphere_sb.audio import check
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.release.training_range import TrainingRange
from emosphere_sb.sphere.regions import SphericalRegions
from tests.helpers.models import WORDS, write_tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released") / "tiny"
    write_tiny_model(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return EmoSphere.from_pretrained(folder, device="cpu")


@pytest.fixture(scope="module")
def plain(folder):
    """The same model without the interface."""
    from emosphere_sb.release.load import load_released

    return load_released(folder)[0]


def noise(seconds, seed=0, rate=16000):
    return 0.1 * np.random.default_rng(seed).normal(size=round(seconds * rate)).astype(np.float32)


def audio_warnings(prediction):
    """Warnings except ``off scale``, which the random weights of the model cause."""
    return tuple(text for text in prediction.warnings if text != "off scale")


@pytest.fixture
def files(tmp_path):
    """Six files of six lengths, not in their order."""
    paths = []
    for number, seconds in enumerate((1.2, 0.3, 1.9, 0.7, 0.05, 1.5)):
        paths.append(tmp_path / f"{number}.wav")
        soundfile.write(paths[-1], noise(seconds, number), 16000, subtype="FLOAT")
    return paths


@torch.inference_mode()
def run_model(plain, signal):
    signal = torch.as_tensor(signal)
    return plain(signal.unsqueeze(0), torch.tensor([len(signal)]))


def test_prediction_matches_the_model(model, plain, files):
    found = model.predict(files[0])
    expected = run_model(plain, noise(1.2, 0))
    vad = expected.vad[0].double().numpy()
    np.testing.assert_allclose(found.vad, vad, atol=1e-6)
    np.testing.assert_allclose(found.embedding, expected.embedding[0].numpy(), atol=1e-6)
    # the scale of 1 to 7 has its middle at 4 and a half range of 3
    np.testing.assert_allclose(found.on_scale, 4 + 3 * vad, atol=1e-5)
    assert (found.valence, found.arousal, found.dominance) == tuple(found.vad)
    scores = np.exp(expected.logits[0].double().numpy())
    np.testing.assert_allclose(list(found.probabilities.values()), scores / scores.sum(), atol=1e-6)
    assert list(found.probabilities) == list(SphericalRegions(90).names)
    assert found.head == "region" and found.source == str(files[0])
    assert (found.duration, found.start, found.end) == (1.2, 0.0, 1.2)


def test_position_on_the_sphere(model, files):
    """Radius, angles and octant from the formulas of spherical coordinates, written out here."""
    found = model.predict(files[1])
    v, a, d = found.vad
    radius = float(np.sqrt(v * v + a * a + d * d))
    assert found.radius == pytest.approx(radius, abs=1e-9)
    regions = SphericalRegions(90)
    index = int(regions.assign(torch.from_numpy(found.vad)))
    assert (found.region, found.region_description) == (
        regions.names[index], regions.descriptions[index],
    )  # fmt: skip
    assert found.polar == pytest.approx(np.rad2deg(np.arccos(v / radius)), abs=1e-6)
    assert found.azimuth == pytest.approx(np.rad2deg(np.arctan2(d, a)), abs=1e-6)


def test_batch_size_does_not_change_predictions(model, files):
    together = model.predict(files, batch_size=6)
    alone = [model.predict(path) for path in files]
    by_two = model.predict(files, batch_size=2)
    assert [item.source for item in together] == [str(path) for path in files]
    for one, other, third in zip(together, alone, by_two, strict=True):
        assert one.source == other.source == third.source
        np.testing.assert_allclose(one.vad, other.vad, atol=1e-5)
        np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-5)
        np.testing.assert_allclose(third.vad, other.vad, atol=1e-5)
    assert len({tuple(item.vad.round(6)) for item in alone}) == 6


def test_chunks_keep_the_order(model, files):
    found = list(model.predict_each(files, chunk=2, batch_size=3))
    assert [item.source for item in found] == [str(path) for path in files]


@pytest.mark.parametrize("kind", ["float32", "float64", "tensor", "two channels"])
def test_array_gives_the_same_prediction_as_a_file(model, files, kind):
    samples = noise(1.2, 0)
    given = {
        "float32": samples, "float64": samples.astype(np.float64),
        "tensor": torch.from_numpy(samples), "two channels": np.stack([samples, samples]),
    }[kind]  # fmt: skip
    found, expected = model.predict(given, 16000), model.predict(files[0])
    np.testing.assert_allclose(found.vad, expected.vad, atol=1e-6)
    assert found.source == "array 0"


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_arrays_of_other_rates(model, plain, rate):
    samples = noise(0.8, 3, rate)
    expected = run_model(plain, resample(torch.from_numpy(samples), rate, 16000))
    found = model.predict(samples, rate)
    np.testing.assert_allclose(found.vad, expected.vad[0].numpy(), atol=1e-5)


def test_lists_of_arrays_keep_their_order(model):
    arrays = [noise(0.9, 1), noise(0.2, 2), noise(0.6, 3)]
    found = model.predict(arrays, 16000)
    assert [item.source for item in found] == ["array 0", "array 1", "array 2"]
    assert [round(item.duration, 3) for item in found] == [0.9, 0.2, 0.6]


def test_empty_list_gives_empty_list(model):
    assert model.predict([]) == [] == list(model.predict_each([]))


# --- truncation --------------------------------------------------------------------------------


def test_longer_utterances_are_means_over_windows_by_default(model, plain, tmp_path):
    """The model was evaluated on the first 2 s; 5 s are windows of 2, 2 and 1 s."""
    samples = noise(5.0, 5)
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    parts = [run_model(plain, part) for part in np.split(samples, [32000, 64000])]
    for given in (tmp_path / "a.wav", samples):
        found = model.predict(given, 16000, words=1)
        for name, field in (("vad", found.vad), ("embedding", found.embedding)):
            values = np.stack([getattr(one, name)[0].numpy() for one in parts])
            np.testing.assert_allclose(field, [0.4, 0.4, 0.2] @ values, atol=1e-6)
        scores = np.stack([one.logits[0].softmax(-1).numpy() for one in parts])
        expected = [0.4, 0.4, 0.2] @ scores
        np.testing.assert_allclose(list(found.probabilities.values()), expected, atol=1e-6)
        assert (found.start, found.end, found.duration, found.windows) == (0.0, 5.0, 5.0, 3)
        assert audio_warnings(found) == () and len(found.words) == 1


def test_long_and_short_utterances_keep_their_order(model, tmp_path):
    lengths = (0.5, 5.0, 1.0, 2.0, 2.1, 9.0)
    samples = [noise(length, number) for number, length in enumerate(lengths)]
    together = model.predict(samples, 16000, batch_size=4)
    assert [one.duration for one in together] == list(lengths)
    assert [one.windows for one in together] == [1, 3, 1, 1, 2, 5]
    for one, item in zip(together, samples, strict=True):
        np.testing.assert_allclose(one.vad, model.predict(item, 16000).vad, atol=1e-5)
    for one, other in zip(
        model.predict_each(samples, 16000, chunk=2), model.predict(samples, 16000), strict=True
    ):
        np.testing.assert_allclose(one.vad, other.vad, atol=1e-5)


def test_unreadable_long_utterances_are_returned_in_input_order(model, tmp_path):
    good = noise(3.0)
    items = [good, np.full(48000, np.nan), good]
    found = list(model.predict_each(items, 16000))
    assert [isinstance(item, AudioError) for item in found] == [False, True, False]
    assert "NaN or infinite" in str(found[1])


def test_model_without_a_limit_uses_one_pass_up_to_its_maximum(tmp_path, monkeypatch):
    write_tiny_model(tmp_path / "unlimited", max_seconds=None)
    model = EmoSphere.from_pretrained(tmp_path / "unlimited", device="cpu")
    assert (model.pass_seconds, model.window_seconds) == (600.0, 12.0)
    assert model.predict(noise(13.0), 16000).windows == 1
    monkeypatch.setattr(type(model.model), "max_samples", 3 * 16000)  # as for Whisper
    assert (model.pass_seconds, model.window_seconds) == (3.0, 3.0)
    assert model.predict(noise(7.0), 16000).windows == 3


def test_single_pass_of_the_evaluation(model, plain, tmp_path):
    samples = noise(3.0, 5)
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    for given in (tmp_path / "a.wav", samples):
        found = model.predict(given, 16000, max_seconds="evaluation")
        assert found.windows == 1
        expected = run_model(plain, samples[:32000])  # the model was tested on the first 2 s
        np.testing.assert_allclose(found.vad, expected.vad[0].numpy(), atol=1e-6)
        assert (found.duration, found.end) == (3.0, 2.0)
        assert audio_warnings(found) == ("only the first 2 s (of 3.0 s) were used",)


def test_max_seconds(model, plain):
    samples = noise(3.0, 5)
    whole = model.predict(samples, 16000, max_seconds=None)
    np.testing.assert_allclose(whole.vad, run_model(plain, samples).vad[0].numpy(), atol=1e-6)
    assert audio_warnings(whole) == () and whole.end == 3.0
    part = model.predict(samples, 16000, max_seconds=0.5)
    expected = run_model(plain, samples[:8000]).vad[0].numpy()
    np.testing.assert_allclose(part.vad, expected, atol=1e-6)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "all", True])
def test_invalid_max_seconds(model, files, value):
    with pytest.raises(ValueError, match="max_seconds must be"):
        model.predict(files[0], max_seconds=value)


@pytest.mark.parametrize(
    ("rate", "max_seconds"), [(8000, "evaluation"), (8000, None), (16000, None)]
)
def test_day_long_file_is_truncated_or_rejected_without_decoding_it(
    model, tmp_path, monkeypatch, rate, max_seconds
):
    """The file is as long as its header declares: 24 h, at 16 kHz more than 2 GiB. It is sparse."""
    monkeypatch.setattr(check, "_decode_to_end", None)  # must not be called
    soundfile.write(tmp_path / "a.wav", np.zeros(rate, dtype=np.int16), rate)
    size = 2 * rate * 86_400
    with open(tmp_path / "a.wav", "r+b") as file:
        file.truncate(44 + size)
        file.seek(4)
        file.write((36 + size).to_bytes(4, "little"))
        file.seek(40)
        file.write(size.to_bytes(4, "little"))
    if max_seconds is None:
        with pytest.raises(AudioError, match=r"at most 600 s .* found 86400\.0 s"):
            model.predict(tmp_path / "a.wav", max_seconds=None)
    else:
        found = model.predict(tmp_path / "a.wav", max_seconds=max_seconds)
        assert found.duration == 86_400 and found.end == 2.0 and "silent" in found.warnings


# --- errors ------------------------------------------------------------------------------------


def test_errors_are_returned_in_input_order(model, files, tmp_path):
    (tmp_path / "bad.wav").write_text("no audio")
    soundfile.write(tmp_path / "short.wav", np.zeros(1), 16000)
    mixed = [files[0], tmp_path / "bad.wav", files[1], tmp_path / "none.wav",
             tmp_path / "short.wav", files[2]]  # fmt: skip
    found = list(model.predict_each(mixed, batch_size=2))
    wrong = [isinstance(item, AudioError) for item in found]
    assert wrong == [False, True, False, True, True, False]
    for item, path in zip(found, mixed, strict=True):
        assert str(path) in (str(item) if isinstance(item, AudioError) else item.source)
    np.testing.assert_allclose(found[5].vad, model.predict(files[2]).vad, atol=1e-5)


def test_predict_raises_the_error_of_predict_each(model, files, tmp_path):
    with pytest.raises(AudioError, match=r"none\.wav: missing audio file"):
        model.predict([files[0], tmp_path / "none.wav"])


def test_invalid_arrays_are_returned_in_input_order(model):
    mixed = [noise(0.5), np.zeros(0), np.full(9000, np.nan), noise(0.4), 3, None]
    found = list(model.predict_each(mixed, 16000))
    wrong = [isinstance(item, AudioError) for item in found]
    assert wrong == [False, True, True, False, True, True]


@pytest.mark.parametrize("rate", [None, 0, "fast"])
def test_arrays_without_a_rate(model, rate):
    with pytest.raises(AudioError, match="require sampling_rate"):
        model.predict(noise(0.5), rate)


def test_silence_and_clipping_give_warnings(model):
    assert audio_warnings(model.predict(np.zeros(8000), 16000)) == ("silent",)
    assert audio_warnings(model.predict(np.ones(8000), 16000)) == ("clipped",)
    assert np.isfinite(model.predict(np.zeros(8000), 16000).vad).all()


@pytest.mark.parametrize("vad, expected", [([0, 1, -1], ()), ([0, 1.5, 0], ("off scale",))])
def test_prediction_outside_the_label_scale_gives_a_warning(model, monkeypatch, vad, expected):
    forward = model._forward

    def constant(signals):
        found, *others = forward(signals)
        return (np.float32([vad] * len(found)), *others)

    monkeypatch.setattr(model, "_forward", constant)
    assert model.predict(noise(0.5), 16000).warnings == expected


@pytest.mark.parametrize("window", [None, 0.5])
def test_clipping(model, monkeypatch, window):
    forward = model._forward

    def constant(signals):
        found, *others = forward(signals)
        return (np.float32([[0.5, -1.5, 3.0]] * len(found)), *others)

    monkeypatch.setattr(model, "_forward", constant)
    found = model.predict(noise(0.5), 16000, clip=True, window=window)
    assert found.vad.tolist() == [0.5, -1.0, 1.0] and found.on_scale.tolist() == [5.5, 1.0, 7.0]
    assert found.warnings == ("off scale",)
    assert model.predict(noise(0.5), 16000).dominance == 3.0  # the default


def test_difference_from_the_training_data_gives_warnings(tmp_path):
    """A model with a range of 0.5 to 1 s at -20 dBFS, and then with distant embeddings."""
    model, limits = EmoSphere.from_pretrained(tmp_released(tmp_path), device="cpu"), {}
    typical = [noise(0.5 + 0.025 * n, n) for n in range(21)]
    embeddings = np.stack([one.embedding for one in model.predict(typical, 16000)])
    range_ = TrainingRange.measure(np.linspace(0.5, 1, 21), [-20.0] * 21, embeddings)
    limits["level"] = 10 ** (3.2 / 20)  # 3.2 dB louder
    model.info = replace(model.info, training_range=range_)
    assert audio_warnings(model.predict(typical[0], 16000)) == ()
    assert audio_warnings(model.predict(noise(1.6), 16000)) == ("longer than the training data",)
    loud = audio_warnings(model.predict(limits["level"] * typical[0], 16000))
    assert "louder than the training data" in loud
    assert audio_warnings(model.predict(limits["level"] * typical[0], 16000, window=0.5)) == loud
    far = replace(range_, mean=tuple(value + 99 for value in range_.mean))
    model.info = replace(model.info, training_range=far)
    assert audio_warnings(model.predict(typical[0], 16000)) == ("far from the training data",)


def tmp_released(tmp_path):
    write_tiny_model(tmp_path / "ranged")
    return tmp_path / "ranged"


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"chunk": 0}, {"words": -1}, {"batch_size": -4}]
)
def test_invalid_options(model, files, options):
    with pytest.raises(ValueError, match="must be at least"):
        model.predict_each(files, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"window": 0.001},
        {"window": 1.0, "overlap": 1.0},
        {"max_seconds": -1},
        {"min_speech_share": 1.5},
        {"min_speech_share": -0.1},
        {"speech_detection": "yes"},
    ],
)
def test_invalid_options_are_rejected_before_iteration(model, files, options):
    with pytest.raises(ValueError, match="must be"):
        model.predict_each(files, **options)


def test_impossible_level_does_not_affect_other_utterances(model, tmp_path):
    paths = [tmp_path / "good.wav", tmp_path / "loud.wav"]
    soundfile.write(paths[0], noise(0.5, 1), 16000, subtype="FLOAT")
    soundfile.write(paths[1], noise(0.5, 2) * np.float32(1e30), 16000, subtype="FLOAT")
    alone = model.predict(paths[0])
    for window in (None, 0.25):
        good, loud = model.predict_each(paths, window=window)
        assert isinstance(loud, AudioError) and "scaled to [-1, 1]" in str(loud)
        if window is None:
            np.testing.assert_allclose(good.vad, alone.vad, atol=1e-5)


def test_single_path_is_rejected_by_predict_each(model, files):
    with pytest.raises(ValueError, match="requires a list"):
        list(model.predict_each(str(files[0])))


# --- words -------------------------------------------------------------------------------------


def test_nearest_words(model, files):
    found = model.predict(files[0], words=2)
    distances = {word: np.sqrt(((found.vad - np.array(v)) ** 2).sum()) for word, v in WORDS.items()}
    expected = sorted(distances, key=distances.get)[:2]
    assert [word for word, _ in found.words] == expected
    for word, distance in found.words:
        assert distance == pytest.approx(distances[word], abs=1e-5)
    assert not model.predict(files[0]).words


def test_model_without_words(tmp_path, files):
    write_tiny_model(tmp_path / "wordless", words={})
    model = EmoSphere.from_pretrained(tmp_path / "wordless", device="cpu")
    with pytest.raises(ValueError, match="provides no emotion words"):
        model.predict(files[0], words=1)


def test_model_without_a_class_head(tmp_path, files):
    write_tiny_model(tmp_path / "headless", head=False)
    model = EmoSphere.from_pretrained(tmp_path / "headless", device="cpu")
    found = model.predict(files[0])
    assert found.probabilities == {} and found.head == "none"


# --- loading, SpeechBrain's way ----------------------------------------------------------------


def test_from_hparams_matches_from_pretrained(model, folder, files):
    other = EmoSphere.from_hparams(str(folder), run_opts={"device": "cpu"})
    assert other.info == model.info
    ours, theirs = other.predict(files[0]), model.predict(files[0])
    assert np.array_equal(ours.vad, theirs.vad)
    assert np.array_equal(ours.embedding, theirs.embedding)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"hparams_file": "hyperparams.yaml"}, "hparams_file"),
        ({"pymodule_file": "custom.py"}, "pymodule_file"),
        ({"overrides": {"a": 1}}, "overrides"), ({"run_opts": {"precision": "fp16"}}, "precision"),
    ],
)  # fmt: skip
def test_from_hparams_rejects_unsupported_options(folder, given, name):
    with pytest.raises(ValueError, match=f"Unsupported options for a released model: {name}"):
        EmoSphere.from_hparams(str(folder), **given)


def test_yaml_in_the_folder_is_never_read(tmp_path, files):
    write_tiny_model(tmp_path / "m")
    sprung = tmp_path / "sprung"
    trap = f"a: !apply:os.system ['touch {sprung}']\n"
    for name in ("hyperparams.yaml", "custom.py", "config.json"):
        (tmp_path / "m" / name).write_text(trap)
    for load in (EmoSphere.from_pretrained, EmoSphere.from_hparams):
        assert np.isfinite(load(str(tmp_path / "m")).predict(files[0]).vad).all()
    assert not sprung.exists()


@pytest.mark.parametrize("device", ["cuda:99", "no such", "meta device", "meta"])
def test_unavailable_device_is_an_error(folder, device):
    with pytest.raises(ValueError, match=f"Device {device} is not available"):
        EmoSphere.from_pretrained(folder, device=device)


def test_forward_takes_relative_lengths(model, plain):
    signals = torch.zeros(2, 16000)
    signals[0] = torch.from_numpy(noise(1.0, 1))
    signals[1, :8000] = torch.from_numpy(noise(0.5, 2))
    ours = model(signals, torch.tensor([1.0, 0.5])).vad
    with torch.inference_mode():
        theirs = plain(signals, torch.tensor([16000, 8000])).vad
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "failure",
    [ZeroDivisionError("division by zero"), ValueError("math domain error"), IndexError("index 9")],
)
def test_arithmetic_error_names_the_folder_of_the_model(folder, monkeypatch, failure):
    def fail(*_):
        raise failure

    model = EmoSphere.from_pretrained(folder, device="cpu")
    monkeypatch.setattr(model.mods.model, "forward", fail)
    said = f"{re.escape(str(folder))} cannot process audio .{type(failure).__name__}: {failure}"
    with pytest.raises(ValueError, match=said):
        model.predict(noise(1), 16000)
    direct = EmoSphere(model.mods.model, model.info, "cpu")
    with pytest.raises(ValueError, match=r"The model tiny cannot process audio"):
        direct.predict(noise(1), 16000)

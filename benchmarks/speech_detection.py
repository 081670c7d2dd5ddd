"""Measure which files get a warning: generated sounds without speech, and speech.

The script writes the table of docs/inference.md. It needs the extra ``speech``, the model and the
corpus of the last ``make demo`` (SYNTHETIC speech), the TAVA dataset, and runs that were trained on
it. Each run predicts only its test set, whose speakers were not in its training set::

    make speech-detection TAVA=/path/to/tava RUNS="run_of_fold_1 run_of_fold_2 …"

Recorded sounds without speech are optional: ``RECORDED="NAME=/path/to/folder"``.
A false warning is a warning about a file with speech, except ``off scale``, which states a fact
about the prediction.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from predict_example import CORPUS, RUN
from runs import ROOT, add_tava, replace_between_markers

from emosphere_sb import cli
from emosphere_sb.inference.predictor import Predictor
from emosphere_sb.inference.speech_detection import load_detector
from emosphere_sb.inference.torch_predictor import TorchPredictor
from emosphere_sb.inference.warning_texts import (
    FAR,
    LITTLE_SPEECH,
    NO_SPEECH,
    OFF_SCALE,
)
from emosphere_sb.results.metrics_json import machine_description

RATE = 16_000
FILES = 200
"""Number of generated files without speech; melodies are generated in addition."""
SECONDS = (1.0, 12.0)
LEVELS = (-50.0, -6.0)
"""Range of levels in dBFS, drawn uniformly, as the durations."""
AUDIO = (".wav", ".flac", ".ogg", ".mp3")
COLUMNS = (NO_SPEECH, LITTLE_SPEECH, FAR, OFF_SCALE)
TARGETS = {"unflagged": 0.02, "false": 0.03}
"""Largest accepted shares: sounds without a warning, and speech with a false warning."""


# --- sounds without speech: functions of the time in seconds and a random generator ---------------


def silence(time: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Digital silence, or the noise of a converter."""
    return draw.choice([0.0, 1e-5, 1e-4]) * draw.standard_normal(len(time))


def white_noise(time: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """White noise."""
    return draw.standard_normal(len(time))


def pink_noise(time: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Noise whose power falls by 3 dB per octave."""
    spectrum = np.fft.rfft(draw.standard_normal(len(time)))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    return np.fft.irfft(spectrum, len(time))


def hum(time: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Harmonics of the mains frequency, 50 or 60 Hz."""
    base = draw.choice([50, 60])
    return sum(
        draw.uniform(0.1, 1) / n * np.sin(2 * np.pi * (base * n * time + draw.uniform()))
        for n in range(1, 8)
    )


def tone(time: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Sine from 80 to 6,000 Hz."""
    return np.sin(2 * np.pi * np.exp(draw.uniform(np.log(80), np.log(6000))) * time)


def chord(time: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Major chord with three harmonics per note."""
    base = draw.uniform(110, 440)
    notes = [(base * ratio * n, n) for ratio in (1, 1.26, 1.5) for n in (1, 2, 3)]
    return sum(np.sin(2 * np.pi * hertz * time) / n for hertz, n in notes)


def clicks(time: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Short bursts of noise at random times, about three per second."""
    found = np.zeros(len(time))
    size = min(400, len(time))
    decay = np.exp(-np.arange(size) / 60)
    for start in draw.integers(0, len(time) - size + 1, 1 + int(3 * time[-1])):
        found[start : start + size] += draw.standard_normal(size) * decay
    return found


def melody(time: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Notes of a scale with three harmonics, four per second."""
    steps = draw.choice([0, 2, 4, 5, 7, 9, 11, 12], int(4 * time[-1]) + 1)
    number = (4 * time).astype(int)
    hertz = draw.uniform(150, 400) * 2.0 ** (steps[number] / 12)
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    decay = np.exp(-6 * (time - number / 4))
    return decay * sum(np.sin(n * phase) / n for n in (1, 2, 3))


SOUNDS = (silence, white_noise, pink_noise, hum, tone, chord, clicks)
APART = (melody,)
"""Sounds that are reported apart, because they resemble speech in some respects."""


def generate(
    kinds: Sequence[Callable[..., np.ndarray]], count: int, seed: int
) -> list[tuple[str, np.ndarray]]:
    """Generate sounds of all kinds in turn, with random durations and levels.

    Returns
    -------
    list of (str, numpy.ndarray)
        Kind and samples of each sound, at 16 kHz.
    """
    draw, found = np.random.default_rng(seed), []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        time = np.arange(round(draw.uniform(*SECONDS) * RATE)) / RATE
        signal = kind(time, draw)
        if kind is not silence:
            level = 10 ** (draw.uniform(*LEVELS) / 20)
            signal = level * signal / np.sqrt(np.mean(signal**2))
        name = kind.__name__.replace("_", " ")
        found.append((name, np.clip(signal, -1, 1).astype(np.float32)))
    return found


# --- counts ---------------------------------------------------------------------------------------


def count_warnings(model: Predictor, audio: Iterable, rate: int | None = None) -> Counter[str]:
    """Predict utterances; count them by warning, without a warning, and with a false warning."""
    counts = Counter()
    for one in model.predict(list(audio), rate, speech_detection="on"):
        counts["files"] += 1
        counts.update(set(one.warnings))
        counts["unflagged"] += not one.warnings
        counts["false"] += bool(set(one.warnings) - {OFF_SCALE})
    return counts


def count_sounds(
    model: Predictor, kinds: Sequence[Callable], count: int, seed: int
) -> dict[str, Counter[str]]:
    """Count the warnings about generated sounds by kind."""
    sounds = generate(kinds, count, seed)
    names = dict.fromkeys(name for name, _ in sounds)
    return {
        name: count_warnings(model, [signal for own, signal in sounds if own == name], RATE)
        for name in names
    }


def released(run: Path, folder: Path) -> TorchPredictor:
    """Release the model of a run, and load it."""
    if cli.main(["release", str(run), str(folder), "--no-onnx"]):
        raise RuntimeError(f"{run} could not be released.")
    return TorchPredictor.from_pretrained(folder)


def files_of_set(run: Path, corpus: Path, name: str) -> list[Path]:
    """Return the audio files of a test set, which predictions/<name>.csv of the run lists."""
    with open(run / "predictions" / f"{name}.csv", encoding="utf-8", newline="") as file:
        ids = [row["ID"] for row in csv.DictReader(file)]
    known = {path.stem: path for path in corpus.rglob("*.wav")}
    # IDs of OwnData contain the folder: wav-speech for wav/speech.wav
    return [known.get(key) or known[key.partition("-")[2]] for key in ids]


def recorded_sounds(folder: Path) -> list[Path]:
    """Return the audio files below a folder, in order.

    Raises
    ------
    ValueError
        If there are none.
    """
    found = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in AUDIO]
    if not found:
        raise ValueError(f"Recorded sounds must be {', '.join(AUDIO)} files; {folder} has none.")
    return found


def measure(options: argparse.Namespace) -> dict[str, Counter[str]]:
    """Return the counts of each row of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        demo = released(options.run, folder / "demo")
        rows = count_sounds(demo, SOUNDS, FILES, options.seed)
        rows["all without speech"] = sum(rows.values(), Counter())
        rows |= count_sounds(demo, APART, FILES // len(SOUNDS), options.seed)
        for name, folder_of_sounds in options.recorded:
            rows[f"recorded: {name}"] = count_warnings(demo, recorded_sounds(folder_of_sounds))
        for number, run in enumerate(options.runs):
            model = released(run, folder / f"tava{number}")
            found = count_warnings(model, files_of_set(run, options.data, "test"))
            rows["TAVA, new speakers"] = rows.get("TAVA, new speakers", Counter()) + found
        sets = [path.stem for path in (options.run / "predictions").glob("test*.csv")]
        files = [
            path for one in sorted(sets) for path in files_of_set(options.run, options.corpus, one)
        ]
        rows["demo corpus, test sets (synthetic speech)"] = count_warnings(demo, files)
    return rows


def report(rows: Mapping[str, Counter[str]], options: argparse.Namespace) -> str:
    """Return the counts as a Markdown table with a description of the measurement."""
    head = ["audio", "files", *COLUMNS, "without a warning", "with a false warning"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    speech = [name for name in rows if name.startswith(("TAVA", "demo"))]
    for name, row in rows.items():
        files = row["files"]
        false = f"{row['false']} ({row['false'] / files:.1%})" if name in speech else ""
        cells = [name, f"{files}", *(f"{row[column]}" for column in COLUMNS)]
        cells += [f"{row['unflagged']} ({row['unflagged'] / files:.1%})", false]
        lines.append(f"| {' | '.join(cells)} |")
    preset, *others = (
        json.loads((run / "metrics.json").read_text(encoding="utf-8"))["protocol"]["preset"]
        for run in (options.run, *options.runs)
    )
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("silero-vad", "onnxruntime", "torch")
    )
    lines += [
        "",
        f"Generated sounds and the demo corpus are predicted by the model of `--preset={preset}` "
        f"(synthetic speech), TAVA by {len(options.runs)} models of "
        f"`--preset={' or '.join(sorted(set(others)))}` with a pretrained backbone, each on "
        f"speakers that it was not trained on. Generated sounds: "
        f"{SECONDS[0]:g} to {SECONDS[1]:g} s, {LEVELS[0]:g} to {LEVELS[1]:g} dBFS, seed "
        f"{options.seed}. Targets: at most {TARGETS['unflagged']:.0%} of the sounds without a "
        f"warning, and at most {TARGETS['false']:.0%} of the speech with a false one. Generated by "
        f"`make speech-detection` (python {platform.python_version()}, {versions}; "
        f"{machine_description()}).",
    ]
    return "\n".join(lines)


def named_folder(text: str) -> tuple[str, Path]:
    """Split an argument NAME=FOLDER."""
    name, separator, folder = text.partition("=")
    if not (name and separator and Path(folder).is_dir()):
        raise argparse.ArgumentTypeError(f"must be NAME=FOLDER with an existing folder: {text!r}")
    return name, Path(folder)


def main(words: Sequence[str] | None = None) -> None:
    """Run the measurement and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--run", type=Path, default=RUN, help="folder of a finished run of the demo preset")
    add("--corpus", type=Path, default=CORPUS, help="folder of the corpus of that run")
    add_tava(parser)
    add("--runs", type=Path, nargs="+", required=True, help="folders of runs on it, one per fold")
    add(
        "--recorded", type=named_folder, nargs="*", default=[], metavar="NAME=FOLDER",
        help="folders of recorded sounds without speech, with the names of their rows",
    )  # fmt: skip
    add("--seed", type=int, default=0, help="seed of the generated sounds (default: 0)")
    add("--print_only", action="store_true", help="write nothing")
    options = parser.parse_args(words)
    load_detector("on")  # fail early if it is not installed
    text = report(measure(options), options)
    print(text)
    if not options.print_only:
        replace_between_markers(ROOT / "docs" / "inference.md", "speech-detection", text)


if __name__ == "__main__":
    main()

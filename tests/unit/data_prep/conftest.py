"""Fixtures: small handwritten corpora."""

import csv
import types
from pathlib import Path

import pytest

from data_prep.corpus import Corpus, Utterance
from emosphere_sb.scale import Scale


@pytest.fixture
def rows_of():
    """Return a function that reads the rows of a CSV file as lists, including the header."""

    def read(path):
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.reader(file))

    return read


@pytest.fixture(scope="session")
def reader():
    """Return a function that creates a corpus reader, which returns given sets and counts calls."""

    def make(sets, **facts):
        module = types.SimpleNamespace(NAME="Tiny", calls=0)

        def read(data_folder, **options):
            module.calls += 1
            given = {
                "audio_folders": [data_folder],
                "inputs": [data_folder / "labels.csv"],
                **facts,
            }
            return Corpus("Tiny", data_folder, sets, Scale(1, 7), **given)

        module.read = read
        return module

    return make


@pytest.fixture(scope="session")
def utterance():
    """Return a function that creates an utterance with valid labels and its own speaker."""

    def make(name, **fields):
        defaults = {"valence": 4.0, "arousal": 2.5, "dominance": 3.0, "speaker": name}
        return Utterance(name, f"{name}.wav", **{**defaults, **fields})

    return make


@pytest.fixture(scope="session")
def sets_of(utterance):
    """Return a function that creates three sets of utterances with one-letter names."""

    def make(train="abcdef", valid="gh", test="ij"):
        names = {"train": train, "valid": valid, "test": test}
        return {name: [utterance(letter) for letter in letters] for name, letters in names.items()}

    return make


@pytest.fixture
def data(tmp_path, wav):
    """Create a folder with a label file and ten audio files, a.wav to j.wav."""
    folder = tmp_path / "data"
    for name in "abcdefghij":
        wav(folder / f"{name}.wav")
    (folder / "labels.csv").write_text("labels")
    return folder


@pytest.fixture
def folder(tmp_path, wav):
    """Return a function that writes a table and its audio: ``folder(lines, header=…)``."""

    def write(lines, *, header="file,valence,arousal,dominance,speaker,split", audio=True):
        root = tmp_path / "own"
        root.mkdir(exist_ok=True)
        for line in lines if audio else ():
            wav(root / line.split(",")[0])
        (root / "labels.csv").write_text("\n".join([header, *lines, ""]), encoding="utf-8")
        return root

    return write


@pytest.fixture(scope="session")
def rejected_rows():
    """Return a function that reads ``rejected.csv`` in a folder, without the header."""

    def read(folder):
        with open(folder / "rejected.csv", newline="", encoding="utf-8") as file:
            return list(csv.reader(file))[1:]

    return read


@pytest.fixture(scope="session")
def demo_corpus(tmp_path_factory):
    """Return a function that writes a tiny synthetic corpus: ``demo_corpus(name, counts)``."""
    pytest.importorskip("espeakng_loader", reason="the 'demo' extra is not installed")
    from data_prep.synthetic import write as synthetic

    def write(corpus, counts, **options):
        folder = tmp_path_factory.mktemp("demo corpus") / 'Größe: $5, "tiny"'
        synthetic.write(corpus, folder, size=counts, **{"workers": 1, **options})
        return folder

    return write


@pytest.fixture(scope="session")
def contents():
    """Return a function that reads all files in a folder and its subfolders, by relative path."""

    def read(folder):
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    return read

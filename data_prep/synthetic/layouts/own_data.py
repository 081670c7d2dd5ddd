"""Synthetic speech described by a table, as for your own data."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from data_prep.synthetic.layouts import msp_podcast
from data_prep.synthetic.layouts.layout import Layout
from data_prep.synthetic.recording import Recording
from data_prep.synthetic.script import Sentence, Voice

SIZES = {
    "demo": {"train": 2400, "valid": 300, "test": 300},
    "small": {"train": 800, "valid": 200, "test": 200},
    "smoke": {"train": 36, "valid": 12, "test": 12},
}
"""Number of utterances of each set, by the name of the size."""

PANEL = msp_podcast.PANEL
COLUMNS = ["file", "valence", "arousal", "dominance", "speaker", "gender", "emotion", "split"]
_SETS = {"Train": "train", "Development": "valid", "Test1": "test"}


def voices() -> list[Voice]:
    """Return the voices with known speakers from three splits of the MSP-Podcast layout.

    Example
    -------
    >>> voices()[0]
    Voice(name='en-us+f1', speaker='speaker01', gender='Female', part='train')
    """
    cast = [v for v in msp_podcast.voices() if v.part in _SETS and v.speaker != "Unknown"]
    return [
        Voice(voice.name, f"speaker{number:02d}", voice.gender, _SETS[voice.part])
        for number, voice in enumerate(cast, start=1)
    ]


def file_name(item: Sentence) -> str:
    """Return the path of the audio file, relative to the folder."""
    return f"wav/{item.voice.speaker}_{item.turn + 1:03d}.wav"


def _recordings(folder: Path, sentences: Sequence[Sentence]) -> list[Recording]:
    """Return the audio files to synthesise: 16 kHz mono."""
    return [Recording(item, str(folder / file_name(item))) for item in sentences]


def _write_texts(folder: Path, sentences: Sequence[Sentence], seed: int) -> None:
    """Write ``labels.csv``."""
    del seed  # nothing here is random
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(_table_row(item) for item in sorted(sentences, key=file_name))


def _table_row(item: Sentence) -> list:
    """Return one row of the table."""
    voice, numbers = item.voice, [round(value, 6) for value in item.consensus]
    return [file_name(item), *numbers, voice.speaker, voice.gender, _word(item), voice.part]


def _word(item: Sentence) -> str:
    """Return the name of the class."""
    rare = {PANEL.other: "other", PANEL.tie: "no_agreement"}
    return rare.get(item.emotion) or msp_podcast.CLASSES[item.emotion][0].lower()


LAYOUT = Layout(
    corpus="OwnData",
    sizes=SIZES,
    voices=voices(),
    panel=PANEL,
    recordings=_recordings,
    write_texts=_write_texts,
    first=30_000,
    options={"label_low": PANEL.low, "label_high": PANEL.high},
)
"""Layout of your own data."""

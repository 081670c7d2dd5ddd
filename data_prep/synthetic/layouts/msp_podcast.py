"""Synthetic speech in the file layout of MSP-Podcast."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.synthetic.layouts.layout import Layout, gender_of, write_lines
from data_prep.synthetic.recording import Recording
from data_prep.synthetic.script import Panel, Rating, Sentence, Voice

SIZES = {
    "demo": {"Train": 3000, "Development": 300, "Test1": 300, "Test2": 200, "Test3": 20},
    "small": {"Train": 800, "Development": 240, "Test1": 240, "Test2": 120, "Test3": 20},
    "smoke": {"Train": 48, "Development": 16, "Test1": 16, "Test2": 8, "Test3": 4},
}
"""Number of utterances of each split, by the name of the size."""

CLASSES = {
    "N": ("Neutral", (0.0, 0.0, 0.0)),
    "H": ("Happy", (0.60, 0.35, 0.25)),
    "A": ("Angry", (-0.60, 0.60, 0.55)),
    "S": ("Sad", (-0.50, -0.50, -0.40)),
    "U": ("Surprise", (0.20, 0.65, -0.20)),
    "F": ("Fear", (-0.50, 0.45, -0.60)),
    "D": ("Disgust", (-0.65, 0.00, 0.20)),
    "C": ("Contempt", (-0.30, -0.25, 0.60)),
}
"""For each class letter, the raters' word, and valence, arousal and dominance."""

# With five to seven raters, the default noise limits the CCC to about 0.9.
PANEL = Panel({letter: centre for letter, (_, centre) in CLASSES.items()})

_HEADER = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
_HIDDEN = "Test3"  # split with hidden labels; it has only audio and entries in Partitions.txt
_VOICES = {
    "Train": "en-us+f1 en+f3 en-us+f5 en-us+Alicia en+linda en-us+grandma en-029+anika "
    "en-us+m1 en+m3 en-us+m5 en-gb-scotland+m7 en-us+Andy en+Gene2 en-us+Mario "
    "en-us+pablo en-us-nyc+travis en-gb-x-rp+klatt4",
    "Unknown": "en-us+belinda en-us+Alex",
    "Development": "en-us+f2 en+Andrea en-us+m2 en+Michael",
    "Test1": "en+f4 en-us+aunty en-us+m4 en-gb-x-gbclan+Lee",
    "Test2": "en-us+Annie en+m6 en-us+norbert",
    "Test3": "en-us+shelby en+max",
}


def voices() -> list[Voice]:
    """Return all voices of the corpus. Each voice occurs in only one split.

    Example
    -------
    >>> len(voices())
    32
    """
    found: list[Voice] = []
    for split, names in _VOICES.items():
        for name in names.split():
            unknown = split == "Unknown"
            speaker = "Unknown" if unknown else str(3 + 7 * len(found))
            found.append(Voice(name, speaker, gender_of(name), "Train" if unknown else split))
    return found


def file_name(item: Sentence) -> str:
    """Return the name of the wav file. A podcast has up to fifty turns of one voice."""
    everyone = voices()
    if item.voice.part == _HIDDEN:
        cast = [voice for voice in everyone if voice.part == _HIDDEN]
        number = item.turn * len(cast) + cast.index(item.voice) + 1
        return f"MSP-PODCAST_test3_{number:04d}.wav"
    podcast = 300 * everyone.index(item.voice) + item.turn // 50 + 1
    return f"MSP-PODCAST_{podcast:04d}_{item.turn % 50 + 1:04d}.wav"


def _recordings(folder: Path, sentences: Sequence[Sentence]) -> list[Recording]:
    """Return the audio files to synthesise: 16 kHz mono.

    The first file is stereo at 44.1 kHz, as the real corpus also contains such a file.
    """
    paths = [str(folder / "Audios" / file_name(item)) for item in sentences]
    first = Recording(sentences[0], paths[0], 44100, 2)
    return [
        first,
        *(Recording(item, path) for item, path in zip(sentences[1:], paths[1:], strict=True)),
    ]


def _write_texts(folder: Path, sentences: Sequence[Sentence], seed: int) -> None:
    """Write labels, ratings, partitions, speakers and transcripts."""
    del seed  # nothing here is random
    ordered = sorted(sentences, key=file_name)
    labelled = [item for item in ordered if item.voice.part != _HIDDEN]
    write_lines(
        folder / "Partitions.txt", (f"{item.voice.part}; {file_name(item)}" for item in ordered)
    )
    write_lines(folder / "Speaker_ids.txt", _speaker_lines(labelled))
    write_lines(folder / "Labels" / "labels.txt", _rater_lines(labelled))
    with (folder / "Labels" / "labels_consensus.csv").open("w", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(_HEADER.split(","))
        table.writerows(_table_row(item) for item in labelled)
    for item in labelled:
        name = Path(file_name(item)).with_suffix(".txt")
        write_lines(folder / "Transcripts" / name, [item.text])


def _table_row(item: Sentence) -> list:
    """Return a row of the consensus file, with six decimals in the order of the file."""
    valence, arousal, dominance = (round(value, 6) for value in item.consensus)
    voice = item.voice
    numbers = [arousal, valence, dominance]
    return [file_name(item), item.emotion, *numbers, voice.speaker, voice.gender, voice.part]


def _rater_lines(sentences: Sequence[Sentence]) -> Iterator[str]:
    """Yield the lines of ``labels.txt``: a header, a line per rater, and a blank line per file."""
    for item in sentences:
        yield f"{file_name(item)}; {item.emotion}; {_attributes(item.consensus)}"
        for rating in item.ratings:
            words = "; ".join(_emotions(rating, item.number))
            yield f"WORKER{rating.worker:08d}; {words}; {_attributes(rating.vad)}"
        yield ""


def _emotions(rating: Rating, number: int) -> tuple[str, str]:
    """Format the first and second choice of a rater. ``Other-`` is followed by free text."""
    if rating.emotion != PANEL.other:
        word = CLASSES[rating.emotion][0]
        return word, word
    comment = ("confused", "tired; or bored?", "calm, a little distant")[number % 3]
    return f"Other-{comment}", "Other"


def _attributes(vad: tuple[float, float, float]) -> str:
    """Format the attributes in the order of the real file."""
    valence, arousal, dominance = vad
    return f"A:{arousal:.6f}; V:{valence:.6f}; D:{dominance:.6f};"


def _speaker_lines(sentences: Sequence[Sentence]) -> Iterator[str]:
    """Yield the lines of ``Speaker_ids.txt``: the speakers, then the speaker of each file."""
    for voice in dict.fromkeys(item.voice for item in sentences):
        if voice.speaker != "Unknown":
            yield f"Speaker_{voice.speaker}; {voice.gender}"
    yield ""
    for item in sentences:
        known = item.voice.speaker != "Unknown"
        yield f"{file_name(item)}; {'Speaker_' if known else ''}{item.voice.speaker}"


LAYOUT = Layout(
    corpus="MSP-Podcast",
    sizes=SIZES,
    voices=voices(),
    panel=PANEL,
    recordings=_recordings,
    write_texts=_write_texts,
    hidden=frozenset({_HIDDEN}),
)
"""Layout of MSP-Podcast."""

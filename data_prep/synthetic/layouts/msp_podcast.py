"""The synthetic demo speech as MSP-Podcast lies on disk."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.synthetic.layouts.layout import Layout, gender_of, write_lines
from data_prep.synthetic.recording import Take
from data_prep.synthetic.script import Panel, Rating, Spoken, Voice

SIZES = {
    "demo": {"Train": 3000, "Development": 300, "Test1": 300, "Test2": 200, "Test3": 20},
    "small": {"Train": 800, "Development": 240, "Test1": 240, "Test2": 120, "Test3": 20},
    "smoke": {"Train": 48, "Development": 16, "Test1": 16, "Test2": 8, "Test3": 4},
}
"""Name of a size: utterances of each split."""

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
"""Letter of a class: its name in the rater rows and its valence, arousal, dominance."""

# Five to seven raters with the noise that a panel has by default cap the CCC at about 0.9.
PANEL = Panel({letter: centre for letter, (_, centre) in CLASSES.items()})

_HEADER = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
_HIDDEN = "Test3"  # the split whose labels nobody is given: audio and Partitions.txt alone
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
    """Every voice of the corpus; none is heard in two splits.

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


def file_name(item: Spoken) -> str:
    """Name of an utterance's wav file: a podcast holds up to fifty turns of one voice."""
    everyone = voices()
    if item.voice.part == _HIDDEN:
        cast = [voice for voice in everyone if voice.part == _HIDDEN]
        number = item.turn * len(cast) + cast.index(item.voice) + 1
        return f"MSP-PODCAST_test3_{number:04d}.wav"
    podcast = 300 * everyone.index(item.voice) + item.turn // 50 + 1
    return f"MSP-PODCAST_{podcast:04d}_{item.turn % 50 + 1:04d}.wav"


def _takes(folder: Path, spoken: Sequence[Spoken]) -> list[Take]:
    """What to record: 16 kHz mono, but for the first file, for the real corpus has one as well."""
    paths = [str(folder / "Audios" / file_name(item)) for item in spoken]
    first = Take(spoken[0], paths[0], 44100, 2)
    return [first, *(Take(item, path) for item, path in zip(spoken[1:], paths[1:], strict=True))]


def _write_texts(folder: Path, spoken: Sequence[Spoken], seed: int) -> None:
    """Labels, raters, partitions, speakers and transcripts."""
    del seed  # nothing here is drawn
    ordered = sorted(spoken, key=file_name)
    labelled = [item for item in ordered if item.voice.part != _HIDDEN]
    write_lines(
        folder / "Partitions.txt", (f"{item.voice.part}; {file_name(item)}" for item in ordered)
    )
    write_lines(folder / "Speaker_ids.txt", _speaker_lines(labelled))
    write_lines(folder / "Labels" / "labels.txt", _rater_lines(labelled))
    with (folder / "Labels" / "labels_consensus.csv").open("w", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(_HEADER.split(","))
        table.writerows(_row(item) for item in labelled)
    for item in labelled:
        name = Path(file_name(item)).with_suffix(".txt")
        write_lines(folder / "Transcripts" / name, [item.text])


def _row(item: Spoken) -> list:
    """Of the consensus file: its order is arousal, valence, dominance, with six decimals."""
    valence, arousal, dominance = (round(value, 6) for value in item.consensus)
    voice = item.voice
    numbers = [arousal, valence, dominance]
    return [file_name(item), item.emotion, *numbers, voice.speaker, voice.gender, voice.part]


def _rater_lines(spoken: Sequence[Spoken]) -> Iterator[str]:
    """Of ``labels.txt``: a header and one line a rater, a blank line between files."""
    for item in spoken:
        yield f"{file_name(item)}; {item.emotion}; {_attributes(item.consensus)}"
        for rating in item.ratings:
            words = "; ".join(_emotions(rating, item.number))
            yield f"WORKER{rating.worker:08d}; {words}; {_attributes(rating.vad)}"
        yield ""


def _emotions(rating: Rating, number: int) -> tuple[str, str]:
    """A rater's first and second choice; what follows ``Other-`` is free text, as in reality."""
    if rating.emotion != PANEL.other:
        word = CLASSES[rating.emotion][0]
        return word, word
    said = ("confused", "tired; or bored?", "calm, a little distant")[number % 3]
    return f"Other-{said}", "Other"


def _attributes(vad: tuple[float, float, float]) -> str:
    """In the order of the real file."""
    valence, arousal, dominance = vad
    return f"A:{arousal:.6f}; V:{valence:.6f}; D:{dominance:.6f};"


def _speaker_lines(spoken: Sequence[Spoken]) -> Iterator[str]:
    """Of ``Speaker_ids.txt``: who the speakers are, then who speaks in which file."""
    for voice in dict.fromkeys(item.voice for item in spoken):
        if voice.speaker != "Unknown":
            yield f"Speaker_{voice.speaker}; {voice.gender}"
    yield ""
    for item in spoken:
        known = item.voice.speaker != "Unknown"
        yield f"{file_name(item)}; {'Speaker_' if known else ''}{item.voice.speaker}"


LAYOUT = Layout(
    corpus="MSP-Podcast",
    sizes=SIZES,
    voices=voices(),
    panel=PANEL,
    takes=_takes,
    write_texts=_write_texts,
    hidden=frozenset({_HIDDEN}),
)
"""All of the above."""

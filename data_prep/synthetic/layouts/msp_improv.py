"""The synthetic demo speech as MSP-IMPROV lies on disk, activation upside down and all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from data_prep.synthetic.layouts.layout import Layout, couples, write_lines
from data_prep.synthetic.recording import Take
from data_prep.synthetic.script import Panel, Spoken, Voice

SESSIONS = tuple("123456")
SIZES = {
    "demo": dict.fromkeys(SESSIONS, 500),
    "small": dict.fromkeys(SESSIONS, 200),
    "smoke": dict.fromkeys(SESSIONS, 10),
}
"""Name of a size: utterances of each session."""

CLASSES = {
    "A": ("Angry", (-0.60, 0.60, 0.55)),
    "H": ("Happy", (0.60, 0.35, 0.25)),
    "N": ("Neutral", (0.0, 0.0, 0.0)),
    "S": ("Sad", (-0.50, -0.50, -0.40)),
}
"""Letter of a class: the raters' word for it and its valence, arousal, dominance."""

# Every 19th: about 5 % without dominance.
PANEL = Panel(
    {letter: centre for letter, (_, centre) in CLASSES.items()},
    high=5,
    unrated_every=19,
    skipped_every=43,
)

SAMPLE_RATE = 48000
_VOICES = {  # the woman and the man of each session
    "1": "en-us+steph en-us+marcelo",
    "2": "en+shelby en+rob",
    "3": "en+f1 en-us+paul",
    "4": "en-us+f3 en+sandro",
    "5": "en+f5 en-us+Storm",
    "6": "en+Alicia en-us+gustave",
}
_CONDITIONS = "SPSPRSPSTSPS"  # of twelve turns: about the shares of the real corpus
_DUPLICATED_EVERY = 9  # utterances with a rater's line twice
_UNSEEN_EVERY = 31  # utterances whose naturalness nobody rated
_UNTRANSCRIBED_EVERY = 7


def voices() -> list[Voice]:
    """A woman and a man in each session, and no one in two of them.

    Example
    -------
    >>> [voice.speaker for voice in voices()][:4]
    ['F01', 'M01', 'F02', 'M02']
    """
    return couples(_VOICES, lambda session, letter: f"{letter}0{session}")


def names(spoken: Sequence[Spoken]) -> dict[str, Spoken]:
    """What is said in each utterance, by its name without the first word (``MSP`` or ``UTD``).

    Arguments
    ---------
    spoken : sequence of Spoken
        The corpus.

    Returns
    -------
    names : dict of str to Spoken
        Such as ``IMPROV-S01A-F01-P-FM01``.
    """
    place = {voice: index for index, voice in enumerate(voices())}
    turns: Counter[str] = Counter()
    found = {}
    for item in spoken:
        index = place[item.voice]
        sentence = (7 * item.turn + index) % 20 + 1
        condition = _CONDITIONS[(item.turn + 5 * index) % len(_CONDITIONS)]
        pair = _pair(item, condition)
        stem = f"IMPROV-S{sentence:02d}{_target(item)}-{item.voice.speaker}-{condition}-{pair}"
        turns[stem] += 1
        found[f"{stem}{turns[stem]:02d}"] = item
    return found


def _pair(item: Spoken, condition: str) -> str:
    """The two letters before the turn: who is named first changes where two talk freely."""
    own = item.voice.gender[0]
    if condition in "RT":
        return own + own
    return "FM" if item.turn % 2 else "MF"


def _target(item: Spoken) -> str:
    """The class that the actor was asked for: the nearest one to what is in the voice."""
    centres = np.array([centre for _, centre in CLASSES.values()])
    return list(CLASSES)[int(np.argmin(((centres - np.array(item.vad)) ** 2).sum(axis=1)))]


def _takes(folder: Path, spoken: Sequence[Spoken]) -> list[Take]:
    """What to record: 48 kHz mono."""
    takes = []
    for name, item in names(spoken).items():
        _, sentence, _, condition, _ = name.split("-")
        place = folder / "Audio" / f"session{item.voice.part}" / sentence / condition
        takes.append(Take(item, str(place / f"MSP-{name}.wav"), SAMPLE_RATE))
    return takes


def _write_texts(folder: Path, spoken: Sequence[Spoken], seed: int) -> None:
    """Labels and transcriptions, where there is one."""
    named = names(spoken)
    write_lines(folder / "Evalution.txt", evaluation_lines(named, seed=seed))
    texts = folder / "Human_transcriptions" / "All_human_transcriptions"
    for name, item in named.items():
        if item.number % _UNTRANSCRIBED_EVERY:
            write_lines(texts / f"MSP-{name}.txt", [item.text])


def evaluation_lines(named: Mapping[str, Spoken], *, seed: int = 1) -> Iterator[str]:
    """Of ``Evalution.txt``: a summary and its raters for each utterance, then a blank line.

    Arguments
    ---------
    named : mapping of str to Spoken
        As :func:`names` returns it.
    seed : int
        Of the corpus.
    """
    for name in sorted(named):
        item = named[name]
        natural = _naturalness(item, seed)
        values = _attributes(item.consensus, float(np.mean(natural)), blank=" ")
        yield f"UTD-{name}.avi; {item.emotion}; {values}"
        raters = [
            f"WORKER{rating.worker:08d}; {_words(rating.emotion)}; {_attributes(rating.vad, value)}"
            for rating, value in zip(item.ratings, natural, strict=True)
        ]
        yield from raters
        if item.number % _DUPLICATED_EVERY == 0:
            yield raters[-1]
        yield ""


def _words(emotion: str) -> str:
    """A rater's first choice, and all of them."""
    word = CLASSES.get(emotion, ("Other",))[0]
    return f"{word}; {word},Frustrated" if emotion in "AS" else f"{word}; {word}"


def _attributes(vad: Sequence[float], natural: float, *, blank: str = "") -> str:
    """In the file's order, with activation upside down: 1 is very active, 5 very calm."""
    valence, arousal, dominance = vad
    activation, numbers = 6 - arousal, (valence, dominance, natural)
    v, d, n = map(_number, numbers)
    return f"A:{_number(activation)}; V:{v}; D:{d}{blank}; N:{n};"


def _number(value: float) -> str:
    """Six decimals."""
    return "NaN" if np.isnan(value) else f"{value:.6f}"


def _naturalness(item: Spoken, seed: int) -> list[float]:
    """How natural each rater finds the utterance, from 1 to 5."""
    if item.number % _UNSEEN_EVERY == 0:
        return [float("nan")] * len(item.ratings)
    rng = np.random.default_rng([seed, 8, item.number])
    return rng.integers(2, 6, len(item.ratings)).astype(float).tolist()


LAYOUT = Layout(
    corpus="MSP-IMPROV",
    sizes=SIZES,
    voices=voices(),
    panel=PANEL,
    takes=_takes,
    write_texts=_write_texts,
    first=20_000,
)
"""All of the above."""

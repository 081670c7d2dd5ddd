"""Synthetic speech in the file layout of MSP-IMPROV, including the reversed activation scale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from data_prep.synthetic.layouts.layout import Layout, paired_voices, write_lines
from data_prep.synthetic.recording import Recording
from data_prep.synthetic.script import Panel, Sentence, Voice

SESSIONS = tuple("123456")
SIZES = {
    "demo": dict.fromkeys(SESSIONS, 500),
    "small": dict.fromkeys(SESSIONS, 200),
    "smoke": dict.fromkeys(SESSIONS, 10),
}
"""Number of utterances of each session, by the name of the size."""

CLASSES = {
    "A": ("Angry", (-0.60, 0.60, 0.55)),
    "H": ("Happy", (0.60, 0.35, 0.25)),
    "N": ("Neutral", (0.0, 0.0, 0.0)),
    "S": ("Sad", (-0.50, -0.50, -0.40)),
}
"""For each class letter, the raters' word, and valence, arousal and dominance."""

# unrated_every=19: about 5% of the utterances have no dominance label.
PANEL = Panel(
    {letter: centre for letter, (_, centre) in CLASSES.items()},
    high=5,
    unrated_every=19,
    skipped_every=43,
)

SAMPLE_RATE = 48000
_VOICES = {  # female and male speaker of each session
    "1": "en-us+steph en-us+marcelo",
    "2": "en+shelby en+rob",
    "3": "en+f1 en-us+paul",
    "4": "en-us+f3 en+sandro",
    "5": "en+f5 en-us+Storm",
    "6": "en+Alicia en-us+gustave",
}
_CONDITIONS = "SPSPRSPSTSPS"  # for twelve turns, with about the proportions of the real corpus
_DUPLICATED_EVERY = 9  # interval of utterances with a repeated rater line
_UNSEEN_EVERY = 31  # interval of utterances without naturalness ratings
_UNTRANSCRIBED_EVERY = 7


def voices() -> list[Voice]:
    """Return the voices: one female and one male speaker per session.

    Example
    -------
    >>> [voice.speaker for voice in voices()][:4]
    ['F01', 'M01', 'F02', 'M02']
    """
    return paired_voices(_VOICES, lambda session, letter: f"{letter}0{session}")


def sentences_by_name(sentences: Sequence[Sentence]) -> dict[str, Sentence]:
    """Assign a name to each sentence, without its first part (``MSP`` or ``UTD``).

    Arguments
    ---------
    sentences : sequence of Sentence
        Sentences of the corpus.

    Returns
    -------
    names : dict of str to Sentence
        Sentence by its name, for example ``IMPROV-S01A-F01-P-FM01``.
    """
    place = {voice: index for index, voice in enumerate(voices())}
    turns: Counter[str] = Counter()
    found = {}
    for item in sentences:
        index = place[item.voice]
        sentence = (7 * item.turn + index) % 20 + 1
        condition = _CONDITIONS[(item.turn + 5 * index) % len(_CONDITIONS)]
        pair = _pair(item, condition)
        stem = f"IMPROV-S{sentence:02d}{_target(item)}-{item.voice.speaker}-{condition}-{pair}"
        turns[stem] += 1
        found[f"{stem}{turns[stem]:02d}"] = item
    return found


def _pair(item: Sentence, condition: str) -> str:
    """Return the two letters before the turn number; their order varies in free dialogue."""
    own = item.voice.gender[0]
    if condition in "RT":
        return own + own
    return "FM" if item.turn % 2 else "MF"


def _target(item: Sentence) -> str:
    """Return the actor's target class: the class nearest to the latent emotion."""
    centres = np.array([centre for _, centre in CLASSES.values()])
    return list(CLASSES)[int(np.argmin(((centres - np.array(item.vad)) ** 2).sum(axis=1)))]


def _recordings(folder: Path, sentences: Sequence[Sentence]) -> list[Recording]:
    """Return the audio files to synthesise: 48 kHz mono."""
    recordings = []
    for name, item in sentences_by_name(sentences).items():
        _, sentence, _, condition, _ = name.split("-")
        place = folder / "Audio" / f"session{item.voice.part}" / sentence / condition
        recordings.append(Recording(item, str(place / f"MSP-{name}.wav"), SAMPLE_RATE))
    return recordings


def _write_texts(folder: Path, sentences: Sequence[Sentence], seed: int) -> None:
    """Write labels and transcriptions, deliberately omitting some transcriptions."""
    named = sentences_by_name(sentences)
    write_lines(folder / "Evalution.txt", evaluation_lines(named, seed=seed))
    texts = folder / "Human_transcriptions" / "All_human_transcriptions"
    for name, item in named.items():
        if item.number % _UNTRANSCRIBED_EVERY:
            write_lines(texts / f"MSP-{name}.txt", [item.text])


def evaluation_lines(named: Mapping[str, Sentence], *, seed: int = 1) -> Iterator[str]:
    """Yield the lines of ``Evalution.txt``: each utterance with its raters, then a blank line.

    Arguments
    ---------
    named : mapping of str to Sentence
        Sentences by name; see :func:`sentences_by_name`.
    seed : int
        Random seed of the corpus.
    """
    for name in sorted(named):
        item = named[name]
        natural = _naturalness(item, seed)
        values = _attributes(item.consensus, float(np.mean(natural)), blank=" ")
        yield f"UTD-{name}.avi; {item.emotion}; {values}"
        raters = [
            f"WORKER{rating.worker:08d}; {_rater_words(rating.emotion)}; "
            f"{_attributes(rating.vad, value)}"
            for rating, value in zip(item.ratings, natural, strict=True)
        ]
        yield from raters
        if item.number % _DUPLICATED_EVERY == 0:
            yield raters[-1]
        yield ""


def _rater_words(emotion: str) -> str:
    """Format the first choice and all choices of a rater."""
    word = CLASSES.get(emotion, ("Other",))[0]
    return f"{word}; {word},Frustrated" if emotion in "AS" else f"{word}; {word}"


def _attributes(vad: Sequence[float], natural: float, *, blank: str = "") -> str:
    """Format the attributes, with the reversed activation scale (1 is very active)."""
    valence, arousal, dominance = vad
    activation, numbers = 6 - arousal, (valence, dominance, natural)
    v, d, n = map(_number, numbers)
    return f"A:{_number(activation)}; V:{v}; D:{d}{blank}; N:{n};"


def _number(value: float) -> str:
    """Format a number with six decimals."""
    return "NaN" if np.isnan(value) else f"{value:.6f}"


def _naturalness(item: Sentence, seed: int) -> list[float]:
    """Simulate the naturalness ratings, from 1 to 5."""
    if item.number % _UNSEEN_EVERY == 0:
        return [float("nan")] * len(item.ratings)
    rng = np.random.default_rng([seed, 8, item.number])
    return rng.integers(2, 6, len(item.ratings)).astype(float).tolist()


LAYOUT = Layout(
    corpus="MSP-IMPROV",
    sizes=SIZES,
    voices=voices(),
    panel=PANEL,
    recordings=_recordings,
    write_texts=_write_texts,
    first=20_000,
)
"""Layout of MSP-IMPROV."""

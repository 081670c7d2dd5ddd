"""What is said in the synthetic demo corpus, by which voice and in which emotional state.

Plain records, drawn from a seed, that know neither sound nor files: :mod:`data_prep.demo_voice`
speaks them, :mod:`data_prep.demo` writes them in the layout of a corpus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

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


@dataclass(frozen=True)
class Voice:
    """One speaker: an eSpeak voice, with a way of speaking and a microphone of their own.

    Arguments
    ---------
    name : str
        eSpeak's name of the voice, ``language+variant``.
    speaker : str
        Number as text, or ``Unknown``.
    gender : str
        ``Female`` or ``Male``.
    split : str
        The one split in which the voice is heard.
    """

    name: str
    speaker: str
    gender: str
    split: str


@dataclass(frozen=True)
class Rating:
    """One rater's row: worker, class letter, valence, arousal and dominance on 1 to 7."""

    worker: int
    emotion: str
    vad: tuple[int, int, int]


@dataclass(frozen=True)
class Spoken:
    """One utterance: what is said, by whom, how, and how raters heard it.

    Arguments
    ---------
    number : int
        Place in the corpus, from 0; with the corpus's seed it fixes every random detail.
    turn : int
        Place among the utterances of the same voice, from 0.
    text : str
        The sentence, unique in the corpus.
    voice : Voice
        Who speaks.
    vad : tuple of float
        The latent valence, arousal and dominance that shape the sound, in [-1, 1].
    ratings : tuple of Rating
        Five to seven simulated raters.
    emotion : str
        Letter of the class most raters named; ``O`` for other, ``X`` for a tie.
    """

    number: int
    turn: int
    text: str
    voice: Voice
    vad: tuple[float, float, float]
    ratings: tuple[Rating, ...]
    emotion: str

    @property
    def consensus(self) -> tuple[float, float, float]:
        """Plain mean of the raters' valence, arousal and dominance, as the real corpus has it."""
        columns = zip(*(rating.vad for rating in self.ratings), strict=True)
        valence, arousal, dominance = (sum(column) / len(self.ratings) for column in columns)
        return valence, arousal, dominance


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
_FEMALE = {"f1", "f2", "f3", "f4", "f5", "Alicia", "linda", "grandma", "anika", "belinda"}
_FEMALE |= {"Andrea", "aunty", "Annie", "shelby"}

_WHO = (
    "my neighbour|the baker|our teacher|the driver|a young doctor|the old farmer|her cousin|"
    "the man upstairs|the new student|our guide|the captain|his sister|the painter|someone|"
    "the woman next door|the gardener"
)
_DOES = (
    "brought|found|repaired|painted|sold|carried|forgot|borrowed|cleaned|counted|moved|opened|"
    "ordered|packed|showed me|wanted"
)
_WHAT = (
    "the wooden boat|a basket of apples|the kitchen table|two letters|the green door|"
    "an old radio|the blue bicycle|a map of the city|seven chairs|the garden gate|"
    "a loaf of bread|the winter coats|a box of books|the long ladder|some coffee|the car keys"
)
_WHERE = (
    "|near the river|before lunch|this morning|in the village|on Monday|after the rain|"
    "behind the station|at the market|with a friend of mine|late in the evening|"
    "and then went home|because the train was late|while the others were waiting outside"
)


def sentences(seed: int) -> Iterator[str]:
    """Different sentences with neutral content, in an order that the seed fixes.

    Arguments
    ---------
    seed : int
        Of the order.

    Returns
    -------
    sentences : iterator of str
        Some 57,000; none occurs twice.

    Example
    -------
    >>> texts = list(sentences(1))
    >>> len(texts) == len(set(texts))
    True
    """
    parts = [part.split("|") for part in (_WHO, _DOES, _WHAT, _WHERE)]
    shape = tuple(len(part) for part in parts)
    for index in np.random.default_rng([seed, 1]).permutation(int(np.prod(shape))):
        chosen = np.unravel_index(index, shape)
        words = " ".join(part[i] for part, i in zip(parts, chosen, strict=True)).strip()
        yield words[0].upper() + words[1:] + "."


def voices() -> list[Voice]:
    """Every voice of the corpus; none is heard in two splits.

    Example
    -------
    >>> len(voices())
    32
    """
    found = []
    for split, names in _VOICES.items():
        for name in names.split():
            gender = "Female" if name.split("+")[1] in _FEMALE else "Male"
            unknown = split == "Unknown"
            speaker = "Unknown" if unknown else str(3 + 7 * len(found))
            found.append(Voice(name, speaker, gender, "Train" if unknown else split))
    return found


def script(utterances: Mapping[str, int], *, seed: int = 1) -> list[Spoken]:
    """Draw the corpus: sentences, voices, latent emotions and simulated raters.

    Arguments
    ---------
    utterances : mapping of str to int
        Number of utterances of each split, by the split's name.
    seed : int
        The same seed and numbers give the same records.

    Returns
    -------
    script : list of Spoken
        Split by split, in the order of the splits given; the voices of a split take turns.

    Raises
    ------
    ValueError
        If a split has no voices.

    Example
    -------
    >>> [spoken.text for spoken in script({"Train": 1}, seed=1)] == [next(sentences(1))]
    True
    """
    texts = sentences(seed)
    bias = np.random.default_rng([seed, 6]).normal(0.0, _RATER_BIAS, (_RATERS, 3))
    spoken = []
    for split, count in utterances.items():
        cast = _cast(split)
        for i in range(count):
            turn, voice = divmod(i, len(cast))
            rng = np.random.default_rng([seed, 2, len(spoken)])
            vad, ratings = _feel(rng, bias)
            emotion = _majority(ratings)
            text = next(texts)
            spoken.append(Spoken(len(spoken), turn, text, cast[voice], vad, ratings, emotion))
    return spoken


def _cast(split: str) -> list[Voice]:
    """The voices of a split."""
    cast = [voice for voice in voices() if voice.split == split]
    if not cast:
        names = ", ".join(dict.fromkeys(voice.split for voice in voices()))
        raise ValueError(f"utterances must name splits among {names}; found {split!r}.")
    return cast


def _feel(
    rng: np.random.Generator, bias: np.ndarray
) -> tuple[tuple[float, float, float], tuple[Rating, ...]]:
    """A latent point and what its five to seven raters make of it."""
    vad = _latent(rng)
    odd = rng.random() < 0.04
    workers = rng.choice(len(bias), size=rng.integers(5, 8), replace=False).tolist()
    ratings = tuple(_rate(vad, odd, worker, bias[worker], rng) for worker in workers)
    valence, arousal, dominance = vad.tolist()
    return (valence, arousal, dominance), ratings


_RATERS = 60
_RATER_BIAS = 0.12
_RATER_NOISE = 0.56  # of one rater, in [-1, 1]: five to seven of them cap the CCC at about 0.9

# Correlations between valence, arousal and dominance: milder than in recorded speech, so that
# a model which hears one dimension does not thereby know the others.
_CHOLESKY = np.linalg.cholesky([[1.0, 0.10, 0.15], [0.10, 1.0, 0.35], [0.15, 0.35, 1.0]])


def _latent(rng: np.random.Generator) -> np.ndarray:
    """A point of the cube: three in ten near neutral, the others spread over the whole of it."""
    spread = 0.25 if rng.random() < 0.3 else 0.85
    return np.tanh(spread * _CHOLESKY @ rng.standard_normal(3))


def _rate(
    vad: np.ndarray, odd: bool, worker: int, bias: np.ndarray, rng: np.random.Generator
) -> Rating:
    """What one rater hears: the latent point, blurred and biased, on the scale from 1 to 7."""
    heard = vad + bias + rng.normal(0.0, _RATER_NOISE, 3)
    valence, arousal, dominance = np.clip(np.rint(4.0 + 3.0 * heard), 1, 7).astype(int).tolist()
    felt = vad + 0.4 * (heard - vad)
    centres = np.array([centre for _, centre in CLASSES.values()])
    emotion = list(CLASSES)[int(np.argmin(((centres - felt) ** 2).sum(axis=1)))]
    other = rng.random() < (0.7 if odd else 0.03)
    return Rating(worker + 1, "O" if other else emotion, (valence, arousal, dominance))


def _majority(ratings: tuple[Rating, ...]) -> str:
    """The class named most often; ``X`` where two classes are named equally often."""
    votes = Counter(rating.emotion for rating in ratings).most_common()
    return "X" if len(votes) > 1 and votes[0][1] == votes[1][1] else votes[0][0]

"""What is said in a synthetic demo corpus, by which voice and in which emotional state.

Plain records, drawn from a seed, that know neither sound nor files:
:mod:`data_prep.synthetic.voice` speaks them, :mod:`data_prep.synthetic.write` writes them in the
layout of a corpus.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


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
    part : str
        The one split or session in which the voice is heard.

    Example
    -------
    >>> Voice("en-us+f1", "3", "Female", "Train").variant
    'f1'
    """

    name: str
    speaker: str
    gender: str
    part: str

    @property
    def variant(self) -> str:
        """Who this is, whatever the accent."""
        return self.name.split("+")[1]


@dataclass(frozen=True)
class Rating:
    """One rater's row: worker, class, and votes for valence, arousal and dominance.

    Votes are integers of the panel's scale, or nan where the rater gave none.
    """

    worker: int
    emotion: str
    vad: tuple[float, float, float]


@dataclass(frozen=True)
class Panel:
    """Those who rate a corpus, and on what.

    Arguments
    ---------
    classes : mapping of str to tuple
        Code of a class: its valence, arousal and dominance in [-1, 1].
    other, tie : str
        Codes for another class than these, and for two classes named equally often.
    low, high : int
        Ends of the scale.
    raters : (int, int)
        Fewest and most raters of an utterance.
    pool : int
        How many raters there are.
    noise : float
        Deviation of one rater, in [-1, 1].
    unrated_every, skipped_every : int
        Of so many utterances, one whose dominance nobody rated, and one whose dominance the
        first rater skipped; 0 for none.
    """

    classes: Mapping[str, tuple[float, float, float]]
    other: str = "O"
    tie: str = "X"
    low: int = 1
    high: int = 7
    raters: tuple[int, int] = (5, 7)
    pool: int = 60
    noise: float = 0.56
    unrated_every: int = 0
    skipped_every: int = 0


@dataclass(frozen=True)
class Spoken:
    """One utterance: what is said, by whom, how, and how raters heard it.

    Arguments
    ---------
    number : int
        Place among all that can be said; with the corpus's seed it fixes every random detail.
    turn : int
        Place among the utterances of the same voice, from 0.
    text : str
        The sentence, unique in the corpus.
    voice : Voice
        Who speaks.
    vad : tuple of float
        The latent valence, arousal and dominance that shape the sound, in [-1, 1].
    ratings : tuple of Rating
        What the simulated raters made of it.
    emotion : str
        Code of the class that most raters named, or of a tie.
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
        """Plain mean of the raters' votes, as the real corpora have it; nan without a vote."""
        valence, arousal, dominance = map(_mean, zip(*(r.vad for r in self.ratings), strict=True))
        return valence, arousal, dominance


def _mean(votes: Sequence[float]) -> float:
    """Of the votes that were given."""
    given = [vote for vote in votes if not math.isnan(vote)]
    return sum(given) / len(given) if given else math.nan


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


def sentences(seed: int, *, first: int = 0) -> Iterator[str]:
    """Different sentences with neutral content, in an order that the seed fixes.

    Arguments
    ---------
    seed : int
        Of the order.
    first : int
        How many to leave out.

    Returns
    -------
    sentences : iterator of str
        Some 57,000; none occurs twice.

    Example
    -------
    >>> texts = list(sentences(1))
    >>> len(texts) == len(set(texts)), next(sentences(1, first=9)) == texts[9]
    (True, True)
    """
    parts = [part.split("|") for part in (_WHO, _DOES, _WHAT, _WHERE)]
    shape = tuple(len(part) for part in parts)
    for index in np.random.default_rng([seed, 1]).permutation(int(np.prod(shape)))[first:]:
        chosen = np.unravel_index(index, shape)
        words = " ".join(part[i] for part, i in zip(parts, chosen, strict=True)).strip()
        yield words[0].upper() + words[1:] + "."


def script(
    utterances: Mapping[str, int],
    voices: Sequence[Voice],
    panel: Panel,
    *,
    seed: int = 1,
    first: int = 0,
) -> list[Spoken]:
    """Draw a corpus: sentences, voices, latent emotions and simulated raters.

    Arguments
    ---------
    utterances : mapping of str to int
        Number of utterances of each split or session, by its name.
    voices : sequence of Voice
        Who speaks where.
    panel : Panel
        Who rates.
    seed : int
        The same arguments give the same records.
    first : int
        Number of the first utterance: corpora that begin far apart share no sentence.

    Returns
    -------
    script : list of Spoken
        Part by part, in the order of the parts given; the voices of a part take turns.

    Raises
    ------
    ValueError
        If a part has no voices.

    Example
    -------
    >>> voice = Voice("en-us+f1", "3", "Female", "Train")
    >>> panel = Panel({"N": (0.0, 0.0, 0.0)})
    >>> [item.text for item in script({"Train": 1}, [voice], panel)] == [next(sentences(1))]
    True
    """
    texts = sentences(seed, first=first)
    bias = np.random.default_rng([seed, 6]).normal(0.0, _RATER_BIAS, (panel.pool, 3))
    spoken = []
    for part, count in utterances.items():
        cast = _cast(voices, part)
        for i in range(count):
            turn, voice = divmod(i, len(cast))
            number = first + len(spoken)
            vad, ratings = _feel(np.random.default_rng([seed, 2, number]), panel, bias)
            emotion = _majority(ratings, panel.tie)
            ratings = _with_gaps(ratings, panel, number)
            spoken.append(Spoken(number, turn, next(texts), cast[voice], vad, ratings, emotion))
    return spoken


def _cast(voices: Sequence[Voice], part: str) -> list[Voice]:
    """The voices of a part."""
    cast = [voice for voice in voices if voice.part == part]
    if not cast:
        names = ", ".join(dict.fromkeys(voice.part for voice in voices))
        raise ValueError(f"utterances must name parts among {names}; found {part!r}.")
    return cast


def _feel(
    rng: np.random.Generator, panel: Panel, bias: np.ndarray
) -> tuple[tuple[float, float, float], tuple[Rating, ...]]:
    """A latent point and what its raters make of it."""
    vad = _latent(rng)
    odd = rng.random() < 0.04
    fewest, most = panel.raters
    size = rng.integers(fewest, most + 1)
    workers = rng.choice(len(bias), size=size, replace=False).tolist()
    ratings = tuple(_rate(vad, odd, worker, bias[worker], panel, rng) for worker in workers)
    valence, arousal, dominance = vad.tolist()
    return (valence, arousal, dominance), ratings


_RATER_BIAS = 0.12

# Correlations between valence, arousal and dominance: milder than in recorded speech, so that
# a model which hears one dimension does not thereby know the others.
_CHOLESKY = np.linalg.cholesky([[1.0, 0.10, 0.15], [0.10, 1.0, 0.35], [0.15, 0.35, 1.0]])


def _latent(rng: np.random.Generator) -> np.ndarray:
    """A point of the cube: three in ten near neutral, the others spread over the whole of it."""
    spread = 0.25 if rng.random() < 0.3 else 0.85
    return np.tanh(spread * _CHOLESKY @ rng.standard_normal(3))


def _rate(
    vad: np.ndarray,
    odd: bool,
    worker: int,
    bias: np.ndarray,
    panel: Panel,
    rng: np.random.Generator,
) -> Rating:
    """What one rater hears: the latent point, blurred and biased, on the panel's own scale."""
    heard = vad + bias + rng.normal(0.0, panel.noise, 3)
    middle, half = (panel.low + panel.high) / 2, (panel.high - panel.low) / 2
    votes = np.clip(np.rint(middle + half * heard), panel.low, panel.high)
    valence, arousal, dominance = votes.astype(int).tolist()
    felt = vad + 0.4 * (heard - vad)
    centres = np.array(list(panel.classes.values()))
    emotion = list(panel.classes)[int(np.argmin(((centres - felt) ** 2).sum(axis=1)))]
    other = rng.random() < (0.7 if odd else 0.03)
    return Rating(worker + 1, panel.other if other else emotion, (valence, arousal, dominance))


def _majority(ratings: Sequence[Rating], tie: str) -> str:
    """The class named most often, if no other is named as often."""
    votes = Counter(rating.emotion for rating in ratings).most_common()
    return tie if len(votes) > 1 and votes[0][1] == votes[1][1] else votes[0][0]


def _with_gaps(ratings: tuple[Rating, ...], panel: Panel, number: int) -> tuple[Rating, ...]:
    """The ratings as some utterances of the real corpora have them: not all of dominance."""
    if panel.unrated_every and number % panel.unrated_every == 0:
        return tuple(map(_without_dominance, ratings))
    if panel.skipped_every and number % panel.skipped_every == 0:
        return (_without_dominance(ratings[0]), *ratings[1:])
    return ratings


def _without_dominance(rating: Rating) -> Rating:
    """The same rating, with one question left open."""
    valence, arousal, _ = rating.vad
    return dataclasses.replace(rating, vad=(valence, arousal, math.nan))

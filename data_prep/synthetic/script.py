"""Sentences, voices, latent emotions and simulated ratings of a synthetic demo corpus.

This module only generates data. :mod:`data_prep.synthetic.voice` synthesises the sentences, and
:mod:`data_prep.synthetic.write` writes them in the layout of a corpus.
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
    """Speaker with an eSpeak voice.

    Arguments
    ---------
    name : str
        Name of the eSpeak voice, ``language+variant``.
    speaker : str
        Id of the speaker, or ``Unknown``.
    gender : str
        ``Female`` or ``Male``.
    part : str
        Split or session of the speaker.

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
        """Variant of the voice, without the language."""
        return self.name.split("+")[1]


@dataclass(frozen=True)
class Rating:
    """Rating by one rater: worker, class, and votes for valence, arousal and dominance.

    Votes are integers on the scale of the panel, or NaN if missing.
    """

    worker: int
    emotion: str
    vad: tuple[float, float, float]


@dataclass(frozen=True)
class Panel:
    """Raters of a corpus, with their classes and rating scale.

    Arguments
    ---------
    classes : mapping of str to tuple
        Valence, arousal and dominance in [-1, 1] of each class code.
    other, tie : str
        Codes for any other class, and for a tie between classes.
    low, high : int
        Lower and upper end of the scale.
    raters : (int, int)
        Minimum and maximum number of raters per utterance.
    pool : int
        Total number of raters.
    noise : float
        SD of a rater's noise, on the scale [-1, 1].
    unrated_every, skipped_every : int
        Every ``unrated_every``-th utterance has no dominance ratings, and every
        ``skipped_every``-th one has none by the first rater. 0 means never.
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
class Sentence:
    """Utterance to synthesise: text, voice, latent emotion and simulated ratings.

    Arguments
    ---------
    number : int
        Index of the utterance. Together with the seed it determines all random details.
    turn : int
        Index among the utterances of the same voice, from 0.
    text : str
        Text, unique in the corpus.
    voice : Voice
        Voice of the speaker.
    vad : tuple of float
        Latent valence, arousal and dominance in [-1, 1], which determine the sound.
    ratings : tuple of Rating
        Simulated ratings.
    emotion : str
        Code of the majority class, or of a tie.
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
        """Mean of the votes, as in the real corpora; NaN without votes."""
        valence, arousal, dominance = map(_mean, zip(*(r.vad for r in self.ratings), strict=True))
        return valence, arousal, dominance


def _mean(votes: Sequence[float]) -> float:
    """Return the mean of the votes that are not NaN."""
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


def sentence_texts(seed: int, *, first: int = 0) -> Iterator[str]:
    """Iterate over distinct sentences with neutral content, in random order.

    Arguments
    ---------
    seed : int
        Random seed of the order.
    first : int
        Number of sentences to skip.

    Returns
    -------
    sentences : iterator of str
        About 57,000 distinct sentences.

    Example
    -------
    >>> texts = list(sentence_texts(1))
    >>> len(texts) == len(set(texts)), next(sentence_texts(1, first=9)) == texts[9]
    (True, True)
    """
    parts = [part.split("|") for part in (_WHO, _DOES, _WHAT, _WHERE)]
    shape = tuple(len(part) for part in parts)
    for index in np.random.default_rng([seed, 1]).permutation(int(np.prod(shape)))[first:]:
        chosen = np.unravel_index(index, shape)
        words = " ".join(part[i] for part, i in zip(parts, chosen, strict=True)).strip()
        yield words[0].upper() + words[1:] + "."


def generate_script(
    utterances: Mapping[str, int],
    voices: Sequence[Voice],
    panel: Panel,
    *,
    seed: int = 1,
    first: int = 0,
) -> list[Sentence]:
    """Generate the sentences, voices, latent emotions and simulated ratings of a corpus.

    Arguments
    ---------
    utterances : mapping of str to int
        Number of utterances of each split or session, by its name.
    voices : sequence of Voice
        Voices of the splits or sessions.
    panel : Panel
        Raters.
    seed : int
        Random seed. The result is deterministic.
    first : int
        Number of the first utterance. Corpora whose numbers are far apart do not share sentences.

    Returns
    -------
    script : list of Sentence
        Sentences in the order of the parts in ``utterances``. The voices of a part alternate.

    Raises
    ------
    ValueError
        If a part has no voices.

    Example
    -------
    >>> voice = Voice("en-us+f1", "3", "Female", "Train")
    >>> panel = Panel({"N": (0.0, 0.0, 0.0)})
    >>> script = generate_script({"Train": 1}, [voice], panel)
    >>> [item.text for item in script] == [next(sentence_texts(1))]
    True
    """
    texts = sentence_texts(seed, first=first)
    bias = np.random.default_rng([seed, 6]).normal(0.0, _RATER_BIAS, (panel.pool, 3))
    sentences = []
    for part, count in utterances.items():
        cast = _voices_of(voices, part)
        for i in range(count):
            turn, voice = divmod(i, len(cast))
            number = first + len(sentences)
            vad, ratings = _simulate_ratings(np.random.default_rng([seed, 2, number]), panel, bias)
            emotion = _majority(ratings, panel.tie)
            ratings = _drop_dominance_votes(ratings, panel, number)
            sentences.append(
                Sentence(number, turn, next(texts), cast[voice], vad, ratings, emotion)
            )
    return sentences


def _voices_of(voices: Sequence[Voice], part: str) -> list[Voice]:
    """Return the voices of a part."""
    cast = [voice for voice in voices if voice.part == part]
    if not cast:
        names = ", ".join(dict.fromkeys(voice.part for voice in voices))
        raise ValueError(f"The keys of `utterances` must be among {names}; found {part!r}.")
    return cast


def _simulate_ratings(
    rng: np.random.Generator, panel: Panel, bias: np.ndarray
) -> tuple[tuple[float, float, float], tuple[Rating, ...]]:
    """Draw a latent emotion and simulate its ratings."""
    vad = _draw_latent(rng)
    odd = rng.random() < 0.04
    fewest, most = panel.raters
    size = rng.integers(fewest, most + 1)
    workers = rng.choice(len(bias), size=size, replace=False).tolist()
    ratings = tuple(
        _simulate_rating(vad, odd, worker, bias[worker], panel, rng) for worker in workers
    )
    valence, arousal, dominance = vad.tolist()
    return (valence, arousal, dominance), ratings


_RATER_BIAS = 0.12

# Correlations between valence, arousal and dominance: weaker than in real speech, so that a
# dimension cannot be predicted from the others.
_CHOLESKY = np.linalg.cholesky([[1.0, 0.10, 0.15], [0.10, 1.0, 0.35], [0.15, 0.35, 1.0]])


def _draw_latent(rng: np.random.Generator) -> np.ndarray:
    """Draw a point in the VAD cube: 30% near neutral, the rest spread over the full range."""
    spread = 0.25 if rng.random() < 0.3 else 0.85
    return np.tanh(spread * _CHOLESKY @ rng.standard_normal(3))


def _simulate_rating(
    vad: np.ndarray,
    odd: bool,
    worker: int,
    bias: np.ndarray,
    panel: Panel,
    rng: np.random.Generator,
) -> Rating:
    """Simulate one rating: the latent emotion with bias and noise, on the scale of the panel."""
    perceived = vad + bias + rng.normal(0.0, panel.noise, 3)
    middle, half = (panel.low + panel.high) / 2, (panel.high - panel.low) / 2
    votes = np.clip(np.rint(middle + half * perceived), panel.low, panel.high)
    valence, arousal, dominance = votes.astype(int).tolist()
    felt = vad + 0.4 * (perceived - vad)
    centres = np.array(list(panel.classes.values()))
    emotion = list(panel.classes)[int(np.argmin(((centres - felt) ** 2).sum(axis=1)))]
    other = rng.random() < (0.7 if odd else 0.03)
    return Rating(worker + 1, panel.other if other else emotion, (valence, arousal, dominance))


def _majority(ratings: Sequence[Rating], tie: str) -> str:
    """Return the majority class, or ``tie`` if there is none."""
    votes = Counter(rating.emotion for rating in ratings).most_common()
    return tie if len(votes) > 1 and votes[0][1] == votes[1][1] else votes[0][0]


def _drop_dominance_votes(
    ratings: tuple[Rating, ...], panel: Panel, number: int
) -> tuple[Rating, ...]:
    """Remove dominance votes from some utterances, as in the real corpora."""
    if panel.unrated_every and number % panel.unrated_every == 0:
        return tuple(map(_without_dominance, ratings))
    if panel.skipped_every and number % panel.skipped_every == 0:
        return (_without_dominance(ratings[0]), *ratings[1:])
    return ratings


def _without_dominance(rating: Rating) -> Rating:
    """Return a rating without its dominance vote."""
    valence, arousal, _ = rating.vad
    return dataclasses.replace(rating, vad=(valence, arousal, math.nan))

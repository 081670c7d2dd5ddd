"""Individual ratings: emotion words, statistics, and comparison of their means with the labels."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data_prep.corpus import NO_RATERS, RaterStatistics
from emosphere_sb.scale import DIMENSIONS, Scale

TOLERANCE = 1e-4
"""Maximum difference between a label and the raters' mean; label files are rounded to 4 or 6
decimals."""

EMOTION_WORDS = {
    "angry": ("angry", "anger"),
    "sad": ("sad", "sadness"),
    "happy": ("happy", "happiness"),
    "excited": ("excited", "excitement"),
    "surprise": ("surprise", "surprised"),
    "fear": ("fear", "fearful", "afraid"),
    "disgust": ("disgust", "disgusted"),
    "contempt": ("contempt", "contemptuous"),
    "frustrated": ("frustrated", "frustration"),
    "neutral": ("neutral", "neutral state"),
    "other": ("other",),
}
"""Emotion names of this project and the words for them in the label files, in lower case."""

_BY_WORD = {word: emotion for emotion, words in EMOTION_WORDS.items() for word in words}


@dataclass(frozen=True, slots=True)
class Rater:
    """A rating of one utterance by one rater.

    Arguments
    ---------
    name : str
        Name of the rater as in the file; empty if the file does not identify raters.
    emotions : tuple of str
        Chosen emotions, under the names that this project uses.
    unknown : tuple of str
        Chosen words that are not in :data:`EMOTION_WORDS`, as in the file.
    valence, arousal, dominance : float, optional
        Ratings on the corpus's scale, as in the file; ``None`` if not rated.

    Example
    -------
    >>> Rater("E2", ("angry",), valence=2.0, arousal=4.0).vad
    (2.0, 4.0, None)
    """

    name: str
    emotions: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None

    @property
    def vad(self) -> tuple[float | None, float | None, float | None]:
        """Valence, arousal and dominance."""
        return self.valence, self.arousal, self.dominance


@dataclass(frozen=True, slots=True)
class RatedUtterance:
    """An utterance in a label file, with its mean labels and individual ratings.

    Arguments
    ---------
    line : int
        Number of its first line in the file.
    valence, arousal, dominance : float, optional
        Means over the raters, as in the file; ``None`` if missing.
    raters : tuple of Rater
        Ratings that could be parsed, including repeated lines.
    problem : str
        Reason why the utterance is unusable; empty if it is usable.
    rater_problem : str
        Reason why a rater's line is unusable; empty if all are usable.
    """

    line: int
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    raters: tuple[Rater, ...] = ()
    problem: str = ""
    rater_problem: str = ""

    @property
    def vad(self) -> tuple[float | None, float | None, float | None]:
        """Valence, arousal and dominance."""
        return self.valence, self.arousal, self.dominance


def parse_emotion(text: str) -> str:
    """Convert a rater's word to an emotion; return an empty string for an unknown word.

    Example
    -------
    >>> parse_emotion("Happiness"), parse_emotion("Other-confused"), parse_emotion("Hungry")
    ('happy', 'other', '')
    """
    word = " ".join(text.casefold().split())
    # The text after "other-" is free text.
    return "other" if word.startswith("other-") else _BY_WORD.get(word, "")


def parse_choices(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Convert a rater's words to the arguments ``emotions`` and ``unknown`` of :class:`Rater`.

    Example
    -------
    >>> parse_choices(["Anger", "Hungry"])
    {'emotions': ('angry',), 'unknown': ('Hungry',)}
    """
    texts = [text.strip() for text in texts if text.strip()]
    known = tuple(dict.fromkeys(emotion for emotion in map(parse_emotion, texts) if emotion))
    return {"emotions": known, "unknown": tuple(text for text in texts if not parse_emotion(text))}


def drop_repeated_ratings(raters: Iterable[Rater]) -> list[Rater]:
    """Drop repeated identical ratings by the same rater. All ratings without a name are retained.

    Example
    -------
    >>> raters = [Rater("a"), Rater("a"), Rater("b"), Rater("")]
    >>> [rater.name for rater in drop_repeated_ratings(raters)]
    ['a', 'b', '']
    """
    unique: list[Rater] = []
    seen: set[Rater] = set()
    for rater in raters:
        if not rater.name or rater not in seen:
            unique.append(rater)
            seen.add(rater)
    return unique


def summarise_raters(raters: Iterable[Rater]) -> RaterStatistics:
    """Compute rater count, SDs and votes of an utterance. Repeated ratings count once.

    Arguments
    ---------
    raters : iterable of Rater
        All ratings of the utterance.

    Example
    -------
    >>> summarise_raters([Rater("a", ("sad",), (), 1.0, 2.0), Rater("b", ("sad",), (), 3.0, 2.0),
    ...          Rater("c", ("fear",))])
    RaterStatistics(count=2, valence_sd=1.0, arousal_sd=0.0, dominance_sd=None, \
votes='sad:2;fear:1')
    """
    raters = drop_repeated_ratings(raters)
    count = sum(any(value is not None for value in rater.vad) for rater in raters)
    spread = [
        statistics.pstdev(values) if values else None for values in _ratings_by_dimension(raters)
    ]
    votes = Counter(emotion for rater in raters for emotion in rater.emotions)
    ordered = sorted(votes.items(), key=lambda item: (-item[1], item[0]))
    text = ";".join(f"{emotion}:{number}" for emotion, number in ordered)
    return RaterStatistics(count or None, *spread, votes=text)


def _ratings_by_dimension(raters: Sequence[Rater]) -> list[list[float]]:
    """Collect the known ratings of valence, arousal and dominance."""
    return [
        [value for rater in raters if (value := getattr(rater, dimension)) is not None]
        for dimension in DIMENSIONS
    ]


def mean_mismatch(vad: Sequence[float | None], raters: Iterable[Rater]) -> str:
    """Describe the first label that is not the raters' mean, or return an empty string.

    Arguments
    ---------
    vad : sequence of float, optional
        Valence, arousal and dominance labels.
    raters : iterable of Rater
        All ratings of the utterance. Repeated ratings count once.

    Example
    -------
    >>> raters = [Rater("a", (), (), 1.0, 3.0), Rater("b", (), (), 3.0, 3.0)]
    >>> mean_mismatch((2.0, 3.5, None), raters)
    'arousal is 3.5, but the mean of 2 raters is 3'
    """
    for name, value, ratings in zip(
        DIMENSIONS, vad, _ratings_by_dimension(drop_repeated_ratings(raters)), strict=True
    ):
        if value is None or not ratings:
            continue
        mean = statistics.fmean(ratings)
        # This form of the comparison also reports infinite labels.
        if not abs(value - mean) <= TOLERANCE:
            return f"{name} is {value:g}, but the mean of {len(ratings)} raters is {mean:.6g}"
    return ""


class RaterCheck:
    """Checks the labels of utterances against their individual ratings and collects warnings.

    Arguments
    ---------
    scale : emosphere_sb.scale.Scale
        Scale of the corpus. Ratings outside it indicate a parsing problem.

    Example
    -------
    >>> check = RaterCheck(Scale(1, 5))
    >>> raters = [Rater("x", ("sad",), (), 2.0), Rater("y", ("sad",), (), 4.0)]
    >>> [check.summarise(name, (5.0, None, None), raters).votes for name in ("a", "b")]
    ['sad:2', 'sad:2']
    >>> check.warnings()
    ['2 utterances have labels that differ from the mean of their raters (first: a, valence is 5, \
but the mean of 2 raters is 3).']
    """

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def summarise(
        self,
        utterance: str,
        vad: Sequence[float | None],
        raters: Sequence[Rater],
        *,
        problem: str = "",
    ) -> RaterStatistics:
        """Return the rater statistics of one utterance, and check its labels.

        If a rating is unusable, the statistics are empty, because they would be wrong without it.

        Arguments
        ---------
        utterance : str
            Id of the utterance, for warnings.
        vad : sequence of float, optional
            Valence, arousal and dominance labels.
        raters : sequence of Rater
            All ratings of the utterance.
        problem : str
            Reason why a rating could not be parsed; empty if all could.
        """
        if problem := problem or self._find_out_of_range(utterance, raters):
            self.record("have unusable rater lines and therefore no rater statistics", problem)
            return NO_RATERS
        if unequal := mean_mismatch(vad, raters):
            self.record(
                "have labels that differ from the mean of their raters", f"{utterance}, {unequal}"
            )
        if unknown := [text for rater in raters for text in rater.unknown]:
            self.record(
                "have votes for unknown emotions, which are not counted",
                f"{utterance}, {unknown[0][:40]!r}",
            )
        return summarise_raters(raters)

    def _find_out_of_range(self, utterance: str, raters: Sequence[Rater]) -> str:
        """Describe the first rating outside the scale, or return an empty string."""
        for rater in raters:
            for value in rater.vad:
                if value is not None and not self._scale.contains(value):
                    return f"{utterance}, rating {value:g} by {rater.name or 'a rater'}"
        return ""

    def record(self, what: str, example: str) -> None:
        """Count an utterance with a problem; ``example`` describes the first one."""
        self._counts[what] += 1
        self._first.setdefault(what, example)

    def warnings(self) -> list[str]:
        """Return one warning for each type of problem, with the count and the first example."""
        return [
            f"{count:,} utterances {what} (first: {self._first[what]})."
            for what, count in self._counts.items()
        ]

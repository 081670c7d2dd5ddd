"""Ratings by single people: their words, their spread, and whether the labels are their mean."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data_prep.corpus import NO_RATERS, RaterFigures
from emosphere_sb.scale import DIMENSIONS, Scale

TOLERANCE = 1e-4
"""How far labels may be from the raters' mean: label files are rounded to 4 or 6 decimals."""

WORDS = {
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
"""Emotions of this project with the words that raters' files have for them, in lower case."""

_BY_WORD = {word: emotion for emotion, words in WORDS.items() for word in words}


@dataclass(frozen=True, slots=True)
class Rater:
    """One line of one rater about one utterance.

    Arguments
    ---------
    name : str
        As in the file; empty where the file does not tell raters apart.
    emotions : tuple of str
        What was chosen, in the words of this project.
    unknown : tuple of str
        What was chosen in words that are none of :data:`WORDS`, as in the file.
    valence, arousal, dominance : float, optional
        On the corpus's own scale, as in the file; ``None`` where nothing was said.

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
        """Valence, arousal, dominance."""
        return self.valence, self.arousal, self.dominance


@dataclass(frozen=True, slots=True)
class Rated:
    """An utterance as a label file has it: its means, and the raters below them.

    Arguments
    ---------
    line : int
        Where it begins in the file.
    valence, arousal, dominance : float, optional
        The means of the raters, as in the file; ``None`` where missing.
    raters : tuple of Rater
        Those whose lines can be read, equal lines included.
    problem : str
        Why it cannot be used; empty if it can.
    rater_problem : str
        Why some rater's line cannot be used; empty if all can.
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
        """Valence, arousal, dominance."""
        return self.valence, self.arousal, self.dominance


def emotion_of(text: str) -> str:
    """The emotion that a rater's word means; empty if it is not known.

    Example
    -------
    >>> emotion_of("Happiness"), emotion_of("Other-confused"), emotion_of("Hungry")
    ('happy', 'other', '')
    """
    word = " ".join(text.casefold().split())
    # What follows is the rater's own wording.
    return "other" if word.startswith("other-") else _BY_WORD.get(word, "")


def choices(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """A rater's chosen words as ``emotions`` and ``unknown`` of :class:`Rater`.

    Example
    -------
    >>> choices(["Anger", "Hungry"])
    {'emotions': ('angry',), 'unknown': ('Hungry',)}
    """
    texts = [text.strip() for text in texts if text.strip()]
    known = tuple(dict.fromkeys(emotion for emotion in map(emotion_of, texts) if emotion))
    return {"emotions": known, "unknown": tuple(text for text in texts if not emotion_of(text))}


def single(raters: Iterable[Rater]) -> list[Rater]:
    """Of equal lines of one rater the first. Raters without names are never taken for one.

    Example
    -------
    >>> [rater.name for rater in single([Rater("a"), Rater("a"), Rater("b"), Rater("")])]
    ['a', 'b', '']
    """
    kept: list[Rater] = []
    seen: set[Rater] = set()
    for rater in raters:
        if not rater.name or rater not in seen:
            kept.append(rater)
            seen.add(rater)
    return kept


def figures(raters: Iterable[Rater]) -> RaterFigures:
    """Number, spread and votes of an utterance's raters; equal lines of one rater count once.

    Arguments
    ---------
    raters : iterable of Rater
        All lines about one utterance.

    Example
    -------
    >>> figures([Rater("a", ("sad",), (), 1.0, 2.0), Rater("b", ("sad",), (), 3.0, 2.0),
    ...          Rater("c", ("fear",))])
    RaterFigures(count=2, valence_sd=1.0, arousal_sd=0.0, dominance_sd=None, votes='sad:2;fear:1')
    """
    raters = single(raters)
    count = sum(any(value is not None for value in rater.vad) for rater in raters)
    spread = [statistics.pstdev(values) if values else None for values in _columns(raters)]
    votes = Counter(emotion for rater in raters for emotion in rater.emotions)
    ordered = sorted(votes.items(), key=lambda item: (-item[1], item[0]))
    text = ";".join(f"{emotion}:{number}" for emotion, number in ordered)
    return RaterFigures(count or None, *spread, votes=text)


def _columns(raters: Sequence[Rater]) -> list[list[float]]:
    """Known values of valence, of arousal, of dominance."""
    return [
        [value for rater in raters if (value := getattr(rater, dimension)) is not None]
        for dimension in DIMENSIONS
    ]


def difference(vad: Sequence[float | None], raters: Iterable[Rater]) -> str:
    """Where labels are not the mean of the raters, in words; empty if they are.

    Arguments
    ---------
    vad : sequence of float, optional
        The labels.
    raters : iterable of Rater
        All lines about the utterance. Equal lines of one rater count once.

    Example
    -------
    >>> difference((2.0, 3.5, None), [Rater("a", (), (), 1.0, 3.0), Rater("b", (), (), 3.0, 3.0)])
    'arousal is 3.5, the mean of 2 raters is 3'
    """
    for name, value, ratings in zip(DIMENSIONS, vad, _columns(single(raters)), strict=True):
        if value is None or not ratings:
            continue
        mean = statistics.fmean(ratings)
        # Written so that a label of infinity differs, too.
        if not abs(value - mean) <= TOLERANCE:
            return f"{name} is {value:g}, the mean of {len(ratings)} raters is {mean:.6g}"
    return ""


class RaterCheck:
    """Compares labels with raters utterance by utterance, and remembers what was odd.

    Arguments
    ---------
    scale : emosphere_sb.scale.Scale
        The corpus's scale: whoever rates beyond it was not read rightly.

    Example
    -------
    >>> check = RaterCheck(Scale(1, 5))
    >>> check.figures("a", (3.0, None, None), [Rater("x", ("sad",), (), 2.0)]).votes
    'sad:1'
    >>> check.warnings()
    ['1 utterances have labels that are not the mean of their raters (first: a, valence is 3, \
the mean of 1 raters is 2).']
    """

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def figures(
        self,
        utterance: str,
        vad: Sequence[float | None],
        raters: Sequence[Rater],
        *,
        problem: str = "",
    ) -> RaterFigures:
        """The figures of one utterance; none if some of its raters could not be read.

        Arguments
        ---------
        utterance : str
            Its id, for the warning.
        vad : sequence of float, optional
            Its labels.
        raters : sequence of Rater
            All lines about it.
        problem : str
            Why lines could not be read: a spread over the others would be wrong.
        """
        if problem := problem or self._beyond(utterance, raters):
            self.note(
                "have rater lines that cannot be used and therefore no rater columns", problem
            )
            return NO_RATERS
        if unequal := difference(vad, raters):
            self.note(
                "have labels that are not the mean of their raters", f"{utterance}, {unequal}"
            )
        if unknown := [text for rater in raters for text in rater.unknown]:
            self.note(
                "have votes for emotions that are not known, which are not counted",
                f"{utterance}, {unknown[0][:40]!r}",
            )
        return figures(raters)

    def _beyond(self, utterance: str, raters: Sequence[Rater]) -> str:
        """A rating that is not on the scale, in words; empty if all are."""
        for rater in raters:
            for value in rater.vad:
                if value is not None and not self._scale.contains(value):
                    return f"{utterance}, {rater.name or 'a rater'} says {value:g}"
        return ""

    def note(self, what: str, example: str) -> None:
        """Counts an utterance that is odd in some way; ``example`` is told of the first one."""
        self._counts[what] += 1
        self._first.setdefault(what, example)

    def warnings(self) -> list[str]:
        """One sentence for each kind of oddity, with its number and first example."""
        return [
            f"{count:,} utterances {what} (first: {self._first[what]})."
            for what, count in self._counts.items()
        ]

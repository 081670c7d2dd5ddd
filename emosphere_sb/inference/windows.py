"""Windows over a recording, and what a model says of an utterance on the mean over them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.header import read_header
from emosphere_sb.audio.reading import SAMPLE_RATE, TOLERANCE
from emosphere_sb.audio.stream import mono_pieces, resampled
from emosphere_sb.inference.locate import locate
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.inference.waveform import Heard, ends_early, hear_array

LEAST = 1.0
"""Seconds that the last window of a recording has at least, where the recording has so many."""


@dataclass(frozen=True)
class Plan:
    """How a recording is cut.

    Arguments
    ---------
    window, hop : int
        Samples of a window, and from the beginning of one to that of the next.
    least : int
        Samples that the last window has at least, where the recording has so many.
    """

    window: int
    hop: int
    least: int


def plan(
    model: Any, window: float, hop: float, *, longest: float | None = None, name: str = "hop"
) -> Plan:
    """A plan in samples from seconds, for a model.

    Arguments
    ---------
    model : EmoSphere
        What is to hear the windows.
    window, hop : float
        Seconds.
    longest : float, optional
        Seconds that the model can hear at once.
    name : str
        What the user calls the hop, for messages.

    Raises
    ------
    ValueError
        If a window or a hop is out of range.
    """
    shortest = model.shortest
    least_seconds = shortest / SAMPLE_RATE
    if not least_seconds <= window < float("inf") or (longest and window > longest):
        upper = f" and at most {longest:g} s" if longest else ""
        raise ValueError(
            f"window must be at least {least_seconds:g} s{upper} for this model; found {window:g}."
        )
    if not 0 < hop < float("inf") or round(hop * SAMPLE_RATE) < 1:
        raise ValueError(f"{name} must lead forward by at least a sample; found {hop:g} s.")
    samples = round(window * SAMPLE_RATE)
    return Plan(
        samples,
        round(hop * SAMPLE_RATE),
        max(shortest, min(samples, round(LEAST * SAMPLE_RATE))),
    )


def cut(pieces: Iterable[np.ndarray], how: Plan) -> Iterator[tuple[int, np.ndarray]]:
    """Windows over a signal that comes in pieces.

    Window k begins at sample k · hop. The last one ends with the signal, and is shorter than the
    others where the signal does not end with one of them; where it would have fewer than ``least``
    samples it begins so much earlier. Signals shorter than a window are one window. With a hop
    above the window what lies between them is not heard.

    Arguments
    ---------
    pieces : iterable of numpy.ndarray
        Shape (samples,) each.
    how : Plan
        In samples.

    Yields
    ------
    tuple
        The sample where a window begins, and its samples, numpy.ndarray.

    Example
    -------
    >>> signal = [np.arange(3), np.arange(3, 7)]
    >>> [(start, part.astype(int).tolist()) for start, part in cut(signal, Plan(4, 3, 1))]
    [(0, [0, 1, 2, 3]), (3, [3, 4, 5, 6])]
    """
    held, first = np.empty(0, dtype=np.float32), 0  # `first`: the sample where `held` begins
    start, end = 0, 0  # of the next window; of the last one
    for piece in pieces:
        held = np.concatenate([held, piece])
        while first + len(held) >= start + how.window:
            end = start + how.window
            yield start, held[start - first : end - first].copy()
            start += how.hop
        # `least` samples stay: the last window may begin before `start`
        drop = min(max(0, start - how.least - first), max(0, len(held) - how.least))
        held, first = held[drop:], first + drop
    total = first + len(held)
    if end < total and (start < total or end == 0):
        start = max(first, min(start, total - how.least))
        yield start, held[start - first :].copy()


def file_windows(path: str | os.PathLike, how: Plan, *, tensors: bool = True) -> Iterator[Heard]:
    """Windows of a file, read as they are needed.

    Arguments
    ---------
    path : path
        Anything that libsndfile reads.
    how : Plan
        In samples at 16 kHz.
    tensors : bool
        As for :func:`emosphere_sb.inference.waveform.hear_file`.

    Yields
    ------
    Heard
        ``duration`` is the whole file's. A file that ends before its header says has this among the
        warnings of its last window.

    Raises
    ------
    AudioError
        If it cannot be read; what lies before the damage has been yielded by then.
    """
    header = read_header(path)
    name, last = os.fsdecode(path), None
    for start, samples in cut(resampled(mono_pieces(path), header.sample_rate), how):
        if last is not None:
            yield last
        heard = hear_array(samples, SAMPLE_RATE, source=name, tensors=tensors)
        last = replace(heard, duration=header.duration, start=start / SAMPLE_RATE)
    if last is None:
        raise AudioError(f"{name} holds no samples.")
    # With a hop above the window the last one may end before the recording does
    reached = last.end + max(0, how.hop - how.window) / SAMPLE_RATE
    if reached < header.duration - TOLERANCE:
        last = replace(last, warnings=(*last.warnings, ends_early(last.end, header.duration)))
    yield last


def array_windows(heard: Heard, how: Plan) -> Iterator[Heard]:
    """Windows of what has been heard as a whole."""
    tensors = not isinstance(heard.signal, np.ndarray)
    for start, samples in cut([np.asarray(heard.signal)], how):
        part = hear_array(samples, SAMPLE_RATE, source=heard.source, tensors=tensors)
        yield replace(part, duration=heard.duration, start=start / SAMPLE_RATE)


@dataclass
class Utterance:
    """The windows of one utterance, as their answers come in."""

    heard: int = 0
    complete: bool = False
    error: AudioError | None = None
    answers: list[Prediction] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether nothing more is to come."""
        return self.complete and (self.error is not None or len(self.answers) == self.heard)


def predict_each(
    model: Any, utterances: Iterable[Iterator[Heard]], *, batch_size: int, words: int
) -> Iterator[Prediction | AudioError]:
    """An answer for each utterance: the mean over its windows.

    Windows of several utterances run together; memory grows with a batch and with the windows of
    one utterance, not with their number.

    Arguments
    ---------
    model : EmoSphere
        What is asked: ``answers(heard)`` and ``about``.
    utterances : iterable of iterator of Heard
        The windows of each.
    batch_size : int
        Windows that run together.
    words : int
        How many of the nearest emotion words to give.

    Yields
    ------
    Prediction or AudioError
        In their order.
    """
    waiting: deque[Utterance] = deque()
    pending: list[tuple[Utterance, Heard]] = []
    for windows in utterances:
        one = Utterance()
        waiting.append(one)
        try:
            for heard in windows:
                one.heard += 1
                pending.append((one, heard))
                if len(pending) >= batch_size:
                    _answer(model, pending)
        except AudioError as error:
            one.error = error
            pending = [(other, heard) for other, heard in pending if other is not one]
        one.complete = True
        while waiting and waiting[0].done:
            yield _result(model, waiting.popleft(), words)
    if pending:
        _answer(model, pending)
    for one in waiting:
        yield _result(model, one, words)


def _answer(model: Any, pending: list[tuple[Utterance, Heard]]) -> None:
    """Ask for what is pending; nothing is pending then."""
    found = model.answers([heard for _, heard in pending])
    for (one, _), answer in zip(pending, found, strict=True):
        one.answers.append(answer)
    pending.clear()


def _result(model: Any, one: Utterance, words: int) -> Prediction | AudioError:
    return one.error if one.error is not None else mean_of(model, one.answers, words=words)


def mean_of(model: Any, answers: Sequence[Prediction], *, words: int = 0) -> Prediction:
    """The mean over the windows of one utterance, each weighted by its duration.

    Valence, arousal, dominance, the embedding and the classes' probabilities are means; the region,
    the spherical coordinates and the words are those of the mean point.

    Arguments
    ---------
    model : EmoSphere
        Whose answers they are.
    answers : sequence of Prediction
        In the order of time.
    words : int
        How many of the nearest emotion words to give.
    """
    weights = np.array([answer.end - answer.start for answer in answers])
    weights = weights / weights.sum()
    vad = weights @ np.stack([answer.vad for answer in answers])
    embedding = weights @ np.stack([answer.embedding for answer in answers]).astype(np.float64)
    probabilities = {
        name: float(weights @ [answer.probabilities[name] for answer in answers])
        for name in answers[0].probabilities
    }
    return replace(
        answers[0],
        start=answers[0].start, end=answers[-1].end,
        embedding=embedding.astype(np.float32),
        probabilities=probabilities,
        warnings=_warnings(answers),
        **locate(vad, model.about, words=words),
    )  # fmt: skip


def _warnings(answers: Sequence[Prediction]) -> tuple[str, ...]:
    """What is odd about any window, and silence where all are silent."""
    each = list(dict.fromkeys(text for answer in answers for text in answer.warnings))
    silent = all("silent" in answer.warnings for answer in answers)
    return tuple(text for text in each if text != "silent" or silent)

"""What a model is asked, whatever computes it: utterances in any form to predictions.

Without torch, so that a model in ONNX is asked in the same words.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.header import read_header
from emosphere_sb.data.batching import by_length
from emosphere_sb.inference.locate import locate
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.inference.waveform import (
    Heard,
    hear_array,
    hear_file,
    refuse_long,
    refuse_short,
)
from emosphere_sb.inference.windows import array_windows, file_windows, plan
from emosphere_sb.inference.windows import predict_each as predict_windows
from emosphere_sb.release.model_info import About


@dataclass(frozen=True)
class Answers:
    """What a model says of a batch, as arrays.

    Arguments
    ---------
    vad : numpy.ndarray
        Shape (batch, 3), valence, arousal, dominance in [-1, 1], unclipped.
    embedding : numpy.ndarray
        Shape (batch, size).
    logits : numpy.ndarray or None
        Shape (batch, classes), where there is a class head.
    """

    vad: np.ndarray
    embedding: np.ndarray
    logits: np.ndarray | None = None


class Asking(ABC):
    """``predict``, ``predict_each`` and ``answers`` of a model.

    Attributes
    ----------
    about : About
        What is known of the model.
    shortest : int
        Samples, at 16 kHz, that an utterance must at least have.
    longest : float
        Seconds that may run through the model in one piece.
    tensors : bool
        Whether it hears torch.Tensor; otherwise numpy.ndarray.
    """

    about: About
    shortest: int
    longest: float
    tensors: bool = True

    @abstractmethod
    def ask(self, signals: Sequence[Any]) -> Answers:
        """What the model says of some utterances, (samples,) each at 16 kHz, in one batch."""

    def predict(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        *,
        batch_size: int = 16,
        max_seconds: float | str | None = "evaluation",
        words: int = 0,
        window: float | None = None,
        overlap: float = 0.5,
    ) -> Prediction | list[Prediction]:
        """Predict one utterance or many.

        Arguments
        ---------
        audio : path, array, or a sequence of these
            A path to anything that libsndfile reads; or samples of shape (samples,) or (channels,
            samples), as numpy.ndarray or torch.Tensor, with their ``sampling_rate``. A list (or
            tuple) means several utterances, whose shortest way is batches of similar lengths.
        sampling_rate : int, optional
            Of arrays, in Hz; for files their own is read.
        batch_size : int
            Utterances that run together. It changes no figure by more than 1e-5.
        max_seconds : float, None or ``evaluation``
            Longer utterances are cut to this; the default is the cut of the model's evaluation,
            ``None`` hears everything, of up to ten minutes or what the model can hear (Whisper:
            30 s); what is longer is refused. For long recordings take
            :func:`emosphere_sb.inference.timeline.timeline`.
        words : int
            How many of the nearest emotion words to give.
        window : float, optional
            Seconds: hear an utterance in windows, in the length that the model was trained on, and
            give the mean over them, weighted by their durations. Files of any length can then be
            heard, and they are heard whole unless ``max_seconds`` is a number.
        overlap : float
            Share of a window that it has in common with the next one, from 0 to below 1.

        Returns
        -------
        Prediction or list of Prediction
            A list for a list, in its order.

        Raises
        ------
        AudioError
            If something cannot be heard, naming it. :meth:`predict_each` goes on instead.
        ValueError
            If an option is out of range.
        """
        several = isinstance(audio, (list, tuple))
        found = []
        for item in self.predict_each(
            audio if several else [audio], sampling_rate, batch_size=batch_size,
            max_seconds=max_seconds, words=words, window=window, overlap=overlap,
        ):  # fmt: skip
            if isinstance(item, AudioError):
                raise item
            found.append(item)
        return found if several else found[0]

    def predict_each(
        self,
        audio: Sequence[Any],
        sampling_rate: int | None = None,
        *,
        batch_size: int = 16,
        max_seconds: float | str | None = "evaluation",
        words: int = 0,
        window: float | None = None,
        overlap: float = 0.5,
        chunk: int = 512,
    ) -> Iterator[Prediction | AudioError]:
        """The same for very many: an answer for each, in their order, errors among them.

        Arguments
        ---------
        audio, sampling_rate, batch_size, max_seconds, words, window, overlap
            As for :meth:`predict`.
        chunk : int
            Utterances that are sorted by length together; memory grows with this, not with the
            number of files.

        Returns
        -------
        iterator of Prediction or AudioError
            One for each utterance: what is damaged stops nothing.

        Raises
        ------
        ValueError
            If an option is out of range; before anything is heard.
        """
        limit = self._limit(max_seconds)
        if words and not self.about.words:
            raise ValueError(
                f"The model {self.about.name} knows no emotion words: it was released without a "
                f"training set that has them."
            )
        if batch_size < 1 or chunk < 1 or words < 0:
            raise ValueError(
                f"batch_size and chunk must be at least 1, words at least 0; found {batch_size}, "
                f"{chunk}, {words}."
            )
        if _is_path(audio):  # which would be taken letter by letter
            raise ValueError(f"predict_each takes a list; found {audio!r}. Write [{audio!r}].")
        if window is not None:
            how = self._plan(window, overlap)
            limit = None if max_seconds == "evaluation" else limit
            utterances = (
                _windows(item, n, sampling_rate, limit, how, self) for n, item in enumerate(audio)
            )
            return predict_windows(self, utterances, batch_size=batch_size, words=words)
        parts = (
            list(enumerate(audio[first : first + chunk], start=first))
            for first in range(0, len(audio), chunk)
        )
        return chain.from_iterable(
            self._chunk(part, sampling_rate, batch_size, limit, words) for part in parts
        )

    def answers(self, heard: Sequence[Heard], *, words: int = 0) -> list[Prediction]:
        """Predictions of some utterances that run together as one batch."""
        found = self.ask([item.signal for item in heard])
        vad = found.vad.astype(np.float64)
        if not np.isfinite(vad).all():
            raise ValueError(f"The model {self.about.name} gives values that are not finite.")
        scores = None if found.logits is None else softmax(found.logits).tolist()
        return [
            Prediction(
                source=item.source, duration=item.duration, start=item.start, end=item.end,
                embedding=found.embedding[row],
                probabilities=(
                    {} if scores is None
                    else dict(zip(self.about.classes, scores[row], strict=True))
                ),
                head=self.about.head,
                warnings=item.warnings,
                **locate(vad[row], self.about, words=words),
            )
            for row, item in enumerate(heard)
        ]  # fmt: skip

    def _limit(self, max_seconds: float | str | None) -> float | None:
        if max_seconds == "evaluation":
            return self.about.max_seconds
        if max_seconds is None:
            return None
        if isinstance(max_seconds, (bool, str)) or not 0 < max_seconds < float("inf"):
            raise ValueError(
                f"max_seconds must be a number of seconds above 0, None, or 'evaluation'; found "
                f"{max_seconds!r}."
            )
        return float(max_seconds)

    def _plan(self, window: float, overlap: float):
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap must be at least 0 and below 1; found {overlap!r}.")
        hop = window * (1 - overlap)
        return plan(self, window, hop, longest=self.longest, name="window · (1 - overlap)")

    def _chunk(
        self, part: Sequence[tuple[int, Any]], rate: int | None, size: int, limit, words: int
    ) -> Iterator[Prediction | AudioError]:
        answers: dict[int, Prediction | AudioError] = {}
        lengths: dict[int, float] = {}
        for number, item in part:
            try:
                seconds = _seconds(item, rate, limit)
                refuse_long(_name(item, number), seconds, self.longest)
                lengths[number] = seconds
            except AudioError as error:
                answers[number] = error
        numbers, items = list(lengths), dict(part)
        for batch in by_length([lengths[n] for n in numbers], size) if numbers else []:
            heard: dict[int, Heard] = {}
            for n in (numbers[place] for place in batch):
                try:
                    heard[n] = _hear(items[n], n, rate, limit, self.tensors)
                    refuse_short([heard[n]], self.shortest)
                except AudioError as error:
                    heard.pop(n, None)
                    answers[n] = error
            if heard:
                found = self.answers(list(heard.values()), words=words)
                answers |= dict(zip(heard, found, strict=True))
        for number, _ in part:
            yield answers[number]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (batch, classes), float64.

    Example
    -------
    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    logits = logits.astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _is_path(item: Any) -> bool:
    return isinstance(item, (str, os.PathLike))


def _name(item: Any, number: int) -> str:
    return os.fsdecode(item) if _is_path(item) else f"array {number}"


def _seconds(item: Any, rate: int | None, limit: float | None) -> float:
    """What an utterance will take to run, to sort by."""
    if _is_path(item):
        seconds = read_header(item).duration
    else:
        # What has no shape, or no sensible rate, is refused with a reason where it is heard.
        shape = getattr(item, "shape", ())
        known = isinstance(rate, (int, float)) and rate > 0
        seconds = (max(shape) if shape else 0) / (rate if known else 1)
    return seconds if limit is None else min(seconds, limit)


def _hear(item: Any, number: int, rate: int | None, limit: float | None, tensors: bool) -> Heard:
    if _is_path(item):
        heard = hear_file(item, seconds=limit, tensors=tensors)
    else:
        name = _name(item, number)
        heard = hear_array(item, rate, source=name, seconds=limit, tensors=tensors)
    if limit is not None and heard.duration > limit:
        cut = f"only the first {limit:g} of {heard.duration:.1f} s were heard"
        return Heard(heard.source, heard.signal, heard.duration, 0.0, (*heard.warnings, cut))
    return heard


def _windows(
    item: Any, number: int, rate: int | None, limit: float | None, how, model: Asking
) -> Iterator[Heard]:
    """The windows of an utterance."""
    if _is_path(item) and limit is None:
        parts = file_windows(
            item, how, tensors=model.tensors
        )  # not read as a whole: it may be of any length
    else:
        parts = array_windows(_hear(item, number, rate, limit, model.tensors), how)
    for heard in parts:
        refuse_short([heard], model.shortest)
        yield heard

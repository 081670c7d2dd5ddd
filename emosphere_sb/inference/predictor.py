"""The prediction interface shared by PyTorch and ONNX models.

This module does not import torch, so ONNX models run without it.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from emosphere_sb.audio.channels import check_channel
from emosphere_sb.audio.check import check_audio
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.data.batching import batches_by_length
from emosphere_sb.inference.locate import locate
from emosphere_sb.inference.prediction import Prediction, scale_warnings
from emosphere_sb.inference.waveform import (
    Waveform,
    check_max_length,
    check_min_length,
    from_array,
    load_file,
)
from emosphere_sb.inference.windows import array_windows, file_windows, plan_windows
from emosphere_sb.inference.windows import predict_windowed as predict_windows
from emosphere_sb.release.model_info import ModelInfo


class Predictor(ABC):
    """Base class with ``predict``, ``predict_each`` and ``predict_batch``.

    Attributes
    ----------
    info : ModelInfo
        Information about the model.
    min_samples : int
        Minimum length of an utterance, in samples at 16 kHz.
    max_pass_seconds : float
        Maximum length that is processed in one pass, in seconds.
    tensors : bool
        Whether the model takes torch.Tensor; otherwise it takes numpy.ndarray.
    engine : str
        Engine and precision of the predictions, such as ``torch fp32`` or ``onnx int8``.
    """

    info: ModelInfo
    min_samples: int
    max_pass_seconds: float
    tensors: bool = True
    engine: str

    @abstractmethod
    def _forward(self, signals: Sequence[Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Run the model on utterances (samples,) at 16 kHz, in one batch.

        Returns
        -------
        vad : numpy.ndarray
            Valence, arousal and dominance, nominally in [-1, 1] (not clipped), shape (batch, 3).
        embedding : numpy.ndarray
            Utterance embeddings, shape (batch, size).
        logits : numpy.ndarray or None
            Logits of the class head, shape (batch, classes); ``None`` without a class head.
        """

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
        channel: str = "mix",
    ) -> Prediction | list[Prediction]:
        """Predict one or several utterances.

        Arguments
        ---------
        audio : path, array, or a sequence of these
            Path of a file that libsndfile supports, or ffmpeg if it is installed; or samples of
            shape (samples,) or (channels, samples), as numpy.ndarray or torch.Tensor, with their
            ``sampling_rate``.
            A list or tuple is treated as several utterances, which are batched by length.
        sampling_rate : int, optional
            Sampling rate of arrays in Hz. It is not used for files.
        batch_size : int
            Batch size. It changes predictions by at most 1e-5.
        max_seconds : float, None or ``evaluation``
            Truncate longer utterances to this duration. The default, ``evaluation``, is the limit
            used to evaluate the model. With ``None``, utterances are not truncated, and those
            longer than ten minutes or than the model's limit (Whisper: 30 s) are rejected. For long
            recordings, use :func:`emosphere_sb.inference.timeline.timeline`.
        words : int
            Number of nearest emotion words to return.
        window : float, optional
            Window length in seconds. If given, predictions are averaged over windows, weighted by
            duration. This supports files of any length; they are only truncated if
            ``max_seconds`` is a number.
        overlap : float
            Overlap of consecutive windows as a fraction of the window, in [0, 1).
        channel : str
            Use of several channels: ``mix`` (their mean), ``left``, ``right`` or ``loudest``.

        Returns
        -------
        Prediction or list of Prediction
            One prediction; or, for a list or tuple, a list in the same order.

        Raises
        ------
        AudioError
            If an utterance cannot be read. :meth:`predict_each` yields the error instead and
            continues.
        ValueError
            If an option is out of range.
        """
        several = isinstance(audio, (list, tuple))
        found = []
        for item in self.predict_each(
            audio if several else [audio], sampling_rate, batch_size=batch_size,
            max_seconds=max_seconds, words=words, window=window, overlap=overlap,
            channel=channel,
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
        channel: str = "mix",
        chunk: int = 512,
    ) -> Iterator[Prediction | AudioError]:
        """Predict many utterances one after the other, in constant memory.

        Arguments
        ---------
        audio, sampling_rate, batch_size, max_seconds, words, window, overlap, channel
            See :meth:`predict`.
        chunk : int
            Number of utterances that are sorted by length together. Memory grows with this number,
            not with the number of files.

        Returns
        -------
        iterator of Prediction or AudioError
            One item per utterance, in the same order; an error for each unreadable utterance.

        Raises
        ------
        ValueError
            If an option is out of range. This is checked before any audio is read.
        """
        check_channel(channel)
        limit = self._limit(max_seconds)
        if words and not self.info.words:
            raise ValueError(
                f"The model {self.info.name} provides no emotion words, because its training set "
                f"has none. Use words=0."
            )
        if batch_size < 1 or chunk < 1 or words < 0:
            raise ValueError(
                f"batch_size and chunk must be at least 1, and words at least 0; found "
                f"batch_size={batch_size}, chunk={chunk}, words={words}."
            )
        if _is_path(audio):  # a string would be iterated character by character
            raise ValueError(f"predict_each requires a list; found {audio!r}. Use [{audio!r}].")
        if window is not None:
            plan = self._plan(window, overlap)
            limit = None if max_seconds == "evaluation" else limit
            utterances = (
                _load_windows(item, n, sampling_rate, limit, plan, self, channel)
                for n, item in enumerate(audio)
            )
            return predict_windows(self, utterances, batch_size=batch_size, words=words)
        parts = (
            list(enumerate(audio[first : first + chunk], start=first))
            for first in range(0, len(audio), chunk)
        )
        return chain.from_iterable(
            self._predict_chunk(part, sampling_rate, batch_size, limit, words, channel)
            for part in parts
        )

    def predict_batch(self, waveforms: Sequence[Waveform], *, words: int = 0) -> list[Prediction]:
        """Predict utterances as one batch."""
        vad, embedding, logits = self._forward([item.signal for item in waveforms])
        vad = vad.astype(np.float64)
        if not np.isfinite(vad).all():
            raise ValueError(
                f"The model {self.info.name} returned NaN or infinite values. Its weights are "
                f"probably invalid; use another checkpoint."
            )
        scores = None if logits is None else softmax(logits).tolist()
        return [
            Prediction(
                source=item.source, duration=item.duration, start=item.start, end=item.end,
                embedding=embedding[row],
                probabilities=(
                    {} if scores is None
                    else dict(zip(self.info.classes, scores[row], strict=True))
                ),
                head=self.info.head,
                warnings=(*item.warnings, *scale_warnings(vad[row])),
                engine=self.engine,
                **locate(vad[row], self.info, words=words),
            )
            for row, item in enumerate(waveforms)
        ]  # fmt: skip

    def _limit(self, max_seconds: float | str | None) -> float | None:
        if max_seconds == "evaluation":
            return self.info.max_seconds
        if max_seconds is None:
            return None
        if isinstance(max_seconds, (bool, str)) or not 0 < max_seconds < float("inf"):
            raise ValueError(
                f"max_seconds must be a positive number of seconds, None or 'evaluation'; found "
                f"{max_seconds!r}."
            )
        return float(max_seconds)

    def _plan(self, window: float, overlap: float):
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap must be at least 0 and less than 1; found {overlap!r}.")
        hop = window * (1 - overlap)
        return plan_windows(
            self, window, hop, max_seconds=self.max_pass_seconds, name="window · (1 - overlap)"
        )

    def _predict_chunk(
        self,
        part: Sequence[tuple[int, Any]],
        rate: int | None,
        size: int,
        limit,
        words: int,
        channel: str,
    ) -> Iterator[Prediction | AudioError]:
        results: dict[int, Prediction | AudioError] = {}
        lengths: dict[int, float] = {}
        for number, item in part:
            try:
                seconds = _seconds(item, rate, limit, self.max_pass_seconds)
                check_max_length(_name(item, number), seconds, self.max_pass_seconds)
                lengths[number] = seconds
            except AudioError as error:
                results[number] = error
        numbers, items = list(lengths), dict(part)
        for batch in batches_by_length([lengths[n] for n in numbers], size) if numbers else []:
            waveforms: dict[int, Waveform] = {}
            for n in (numbers[index] for index in batch):
                try:
                    waveforms[n] = _load(items[n], n, rate, limit, self.tensors, channel)
                    check_min_length([waveforms[n]], self.min_samples)
                except AudioError as error:
                    waveforms.pop(n, None)
                    results[n] = error
            if waveforms:
                found = self.predict_batch(list(waveforms.values()), words=words)
                results |= dict(zip(waveforms, found, strict=True))
        for number, _ in part:
            yield results[number]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Convert logits (batch, classes) to probabilities in float64.

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


def _seconds(item: Any, rate: int | None, limit: float | None, max_pass: float) -> float:
    """Return the duration to be processed, in seconds, for sorting by length."""
    if _is_path(item):
        # Without a limit, longer files are rejected, so they need not be decoded
        seconds = check_audio(item, max_seconds=max_pass if limit is None else None).duration
    else:
        # Invalid shapes and sampling rates are rejected with an error when the array is loaded.
        shape = getattr(item, "shape", ())
        known = isinstance(rate, (int, float)) and rate > 0
        seconds = (max(shape) if shape else 0) / (rate if known else 1)
    return seconds if limit is None else min(seconds, limit)


def _load(
    item: Any,
    number: int,
    rate: int | None,
    limit: float | None,
    tensors: bool,
    channel: str,
) -> Waveform:
    if _is_path(item):
        waveform = load_file(item, seconds=limit, tensors=tensors, channel=channel)
    else:
        name = _name(item, number)
        waveform = from_array(
            item, rate, source=name, seconds=limit, tensors=tensors, channel=channel
        )
    if limit is not None and waveform.duration > limit:
        warning = f"only the first {limit:g} s (of {waveform.duration:.1f} s) were used"
        return replace(waveform, start=0.0, warnings=(*waveform.warnings, warning))
    return waveform


def _load_windows(
    item: Any,
    number: int,
    rate: int | None,
    limit: float | None,
    plan,
    model: Predictor,
    channel: str,
) -> Iterator[Waveform]:
    """Yield the windows of an utterance."""
    if _is_path(item) and limit is None:  # read block by block, because the file may be long
        parts = file_windows(item, plan, tensors=model.tensors, channel=channel)
    else:
        parts = array_windows(_load(item, number, rate, limit, model.tensors, channel), plan)
    for waveform in parts:
        check_min_length([waveform], model.min_samples)
        yield waveform

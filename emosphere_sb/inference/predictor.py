"""The prediction interface shared by PyTorch and ONNX models.

This module does not import torch, so ONNX models run without it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from typing import Any

import numpy as np

from emosphere_sb.audio.channels import check_channel
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.data.batching import batches_by_length
from emosphere_sb.inference.audio_input import (
    AudioInput,
    is_list,
    is_path,
    load_pass,
    load_windows,
    open_input,
)
from emosphere_sb.inference.locate import locate
from emosphere_sb.inference.prediction import Prediction, Predictions, scale_warnings
from emosphere_sb.inference.waveform import Waveform, check_max_length
from emosphere_sb.inference.windows import plan_windows
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
    ) -> Prediction | Predictions:
        """Predict one or several utterances.

        Arguments
        ---------
        audio : path, array, tuple, bytes, file object, or a sequence of these
            Path of a file that libsndfile supports, or ffmpeg if it is installed; the content of
            such a file, as bytes or as an object opened in binary mode; or samples of shape
            (samples,) or (channels, samples), as numpy.ndarray or torch.Tensor, with their
            ``sampling_rate`` or as a pair ``(samples, rate)``.
            A list or another tuple is treated as several utterances, which are batched by length.
        sampling_rate : int, optional
            Sampling rate in Hz of arrays without their own rate. It is not used for files.
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
        Prediction or Predictions
            One prediction; or, for several utterances, a list in the same order.

        Raises
        ------
        AudioError
            If an utterance cannot be read. :meth:`predict_each` yields the error instead and
            continues.
        ValueError
            If an option is out of range.
        """
        several = is_list(audio)
        found = Predictions()
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
        if is_path(audio):  # a string would be iterated character by character
            raise ValueError(f"predict_each requires a list; found {audio!r}. Use [{audio!r}].")
        if window is not None:
            plan = self._plan(window, overlap)
            limit = None if max_seconds == "evaluation" else limit
            utterances = (
                self._open_windows(item, n, sampling_rate, limit, plan, channel)
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
                engine=self.engine, model=self.info.name, synthetic=self.info.synthetic,
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
        items: dict[int, AudioInput] = {}
        lengths: dict[int, float] = {}
        # Without a limit, longer files are rejected, so they need not be decoded
        most = self.max_pass_seconds if limit is None else None
        with ExitStack() as stack:
            for number, item in part:
                try:
                    items[number] = stack.enter_context(open_input(item, number, rate))
                    seconds = items[number].seconds(most=most)
                    seconds = seconds if limit is None else min(seconds, limit)
                    check_max_length(items[number].name, seconds, self.max_pass_seconds)
                    lengths[number] = seconds
                except AudioError as error:
                    results[number] = error
            numbers = list(lengths)
            for batch in batches_by_length(list(lengths.values()), size) if numbers else []:
                waveforms: dict[int, Waveform] = {}
                for n in (numbers[index] for index in batch):
                    try:
                        waveforms[n] = load_pass(items[n], limit, **self._reading(channel))
                    except AudioError as error:
                        results[n] = error
                if waveforms:
                    found = self.predict_batch(list(waveforms.values()), words=words)
                    results |= dict(zip(waveforms, found, strict=True))
        for number, _ in part:
            yield results[number]

    def _open_windows(
        self, item: Any, number: int, rate: int | None, limit: float | None, plan, channel: str
    ) -> Iterator[Waveform]:
        """Yield the windows of an utterance."""
        with open_input(item, number, rate) as opened:
            yield from load_windows(opened, limit, plan, **self._reading(channel))

    def _reading(self, channel: str) -> dict[str, Any]:
        """Return the options for reading utterances."""
        return {"tensors": self.tensors, "channel": channel, "min_samples": self.min_samples}


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

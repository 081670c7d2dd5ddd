"""The prediction interface shared by PyTorch and ONNX models.

This module does not import torch, so ONNX models run without it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from numbers import Real
from typing import Any

import numpy as np

from emosphere_sb.audio.channels import check_channel
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.speech_level import rms_level
from emosphere_sb.inference.audio_input import is_list, is_path
from emosphere_sb.inference.locate import locate
from emosphere_sb.inference.passes import Passes
from emosphere_sb.inference.prediction import (
    Prediction,
    Predictions,
    clip_prediction,
    scale_warnings,
    without_values,
)
from emosphere_sb.inference.speech_detection import load_detector
from emosphere_sb.inference.warning_texts import RANGE_WARNINGS
from emosphere_sb.inference.waveform import Waveform
from emosphere_sb.inference.windows import WindowPlan, plan_windows
from emosphere_sb.release.model_info import ModelInfo

CPU_BATCH_SECONDS = 20.0
"""Value of ``max_batch_seconds`` on CPUs, where larger batches are slower and need more memory."""
DEFAULT_WINDOW = 12.0
"""Window length in seconds for long utterances if the model was evaluated without a limit."""


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
    max_batch_seconds : float or None
        Maximum duration of a padded batch in seconds; ``None`` means no maximum.
    engine : str
        Engine and precision of the predictions, such as ``torch fp32`` or ``onnx int8``.
    """

    info: ModelInfo
    min_samples: int
    max_pass_seconds: float
    max_batch_seconds: float | None = None
    tensors: bool = True
    engine: str

    def __repr__(self) -> str:
        synthetic = ", SYNTHETIC" if self.info.synthetic else ""
        return f"{type(self).__name__}({self.info.name!r}, engine={self.engine!r}{synthetic})"

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
        max_seconds: float | str | None = "auto",
        words: int = 0,
        window: float | None = None,
        overlap: float = 0.5,
        channel: str = "mix",
        clip: bool = False,
        speech_detection: str = "auto",
        min_speech_share: float | None = None,
    ) -> Prediction | Predictions:
        """Predict one or several utterances.

        Arguments
        ---------
        audio : path, array, tuple, bytes, file object, or a sequence of these
            Path of a file that libsndfile supports, or ffmpeg if it is installed; the content of
            such a file, as bytes or as an object opened in binary mode; or samples of shape
            (samples,) or (channels, samples), as numpy.ndarray or torch.Tensor, with their
            ``sampling_rate`` or as a pair ``(samples, rate)``.
            A list, another tuple or an iterator is several utterances, which are batched by length.
        sampling_rate : int, optional
            Sampling rate in Hz of arrays without their own rate. It is not used for files.
        batch_size : int
            Maximum batch size. On a CPU, a batch has at most 20 s of audio if it contains several
            utterances: larger batches are not faster and need more memory. The batch size changes
            predictions by at most 1e-5.
        max_seconds : float, None, ``auto`` or ``evaluation``
            Treatment of utterances that are longer than the limit used to evaluate the model
            (:attr:`window_seconds`). By default, ``auto``, their predictions are means over
            windows of this length without overlap, so files of any length are supported.
            ``evaluation`` truncates them to this limit, as the evaluation does, and a number
            truncates to this number of seconds, for a single pass. With ``None``, the entire
            utterance is processed in one pass; those longer than ten minutes or than the model's
            limit (Whisper: 30 s) are rejected. For predictions over time, use
            :func:`emosphere_sb.inference.timeline.timeline`.
        words : int
            Number of nearest emotion words to return.
        window : float, optional
            Window length in seconds. If given, all predictions are means over windows, weighted by
            duration. Utterances are only truncated if ``max_seconds`` is a number or
            ``evaluation``.
        overlap : float
            Overlap of consecutive windows of length ``window``, as a fraction in [0, 1).
        channel : str
            Use of several channels: ``mix`` (their mean), ``left``, ``right`` or ``loudest``.
        clip : bool
            Whether to clip valence, arousal and dominance to [-1, 1]. The values on the label
            scale, the region, the spherical coordinates and the words are those of the clipped
            point; the warning ``off scale`` remains.
        speech_detection : str
            ``on``, ``off``, or ``auto``: on if the extra ``speech`` is installed. Utterances
            without speech get a warning; their predictions are not changed.
        min_speech_share : float, optional
            Share of detected speech, in [0, 1], below which the values of a prediction are removed
            (NaN), with the reason in its warnings. It requires the extra ``speech``.

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
        ImportError
            If the speech detection is required, but not installed.
        """
        several = is_list(audio)
        found = Predictions()
        for item in self.predict_each(
            audio if several else [audio], sampling_rate, batch_size=batch_size,
            max_seconds=max_seconds, words=words, window=window, overlap=overlap,
            channel=channel, clip=clip, speech_detection=speech_detection,
            min_speech_share=min_speech_share,
        ):  # fmt: skip
            if isinstance(item, AudioError):
                raise item
            found.append(item)
        return found if several else found[0]

    def predict_each(
        self,
        audio: Iterable[Any],
        sampling_rate: int | None = None,
        *,
        batch_size: int = 16,
        max_seconds: float | str | None = "auto",
        words: int = 0,
        window: float | None = None,
        overlap: float = 0.5,
        channel: str = "mix",
        clip: bool = False,
        speech_detection: str = "auto",
        min_speech_share: float | None = None,
        chunk: int = 512,
    ) -> Iterator[Prediction | AudioError]:
        """Predict many utterances one after the other, in constant memory.

        Arguments
        ---------
        audio, sampling_rate, batch_size, max_seconds, words, window, overlap, channel
            See :meth:`predict`.
        clip, speech_detection, min_speech_share
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
        ImportError
            If the speech detection is required, but not installed.
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
        if min_speech_share is not None and not _is_share(min_speech_share):
            raise ValueError(
                f"min_speech_share must be from 0 to 1, or None; found {min_speech_share!r}."
            )
        required_by = "" if min_speech_share is None else "min_speech_share"
        detector = load_detector(speech_detection, required_by=required_by)
        run = Passes(self, sampling_rate, batch_size, words, channel, limit, detector)
        finish = partial(self._finish, clip=clip, min_speech_share=min_speech_share)
        if window is not None:
            run = replace(run, plan=self._plan(window, overlap))
            return map(finish, run.predict_windows(audio))
        if max_seconds == "auto":
            plan = self._plan(self.window_seconds, 0.0)
            run = replace(run, plan=plan, longer_than=self.pass_seconds)
        numbered = enumerate(audio)
        parts = iter(lambda: list(islice(numbered, chunk)), [])
        return map(finish, chain.from_iterable(map(run.predict_chunk, parts)))

    def _finish(
        self, result: Prediction | AudioError, *, clip: bool, min_speech_share: float | None
    ) -> Prediction | AudioError:
        """Add warnings about speech, and apply the options that change a prediction."""
        if isinstance(result, AudioError):
            return result
        if result.speech is not None:
            warnings = result.speech.warnings(result.end - result.start)
            result = replace(result, warnings=(*result.warnings, *warnings))
        if min_speech_share is not None and result.speech_share < min_speech_share:
            return without_values(result, f"no values: speech_share is below {min_speech_share:g}")
        return clip_prediction(result, self.info) if clip else result

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
                warnings=(
                    *item.warnings, *self._range_warnings(item, embedding[row]),
                    *scale_warnings(vad[row]),
                ),
                engine=self.engine, speech=item.speech,
                model=self.info.name, synthetic=self.info.synthetic,
                **locate(vad[row], self.info, words=words),
            )
            for row, item in enumerate(waveforms)
        ]  # fmt: skip

    def _range_warnings(self, item: Waveform, embedding: np.ndarray) -> tuple[str, ...]:
        """Return warnings about an utterance that differs from the training data."""
        if self.info.training_range is None:
            return ()
        known = self.info.training_range
        if len(known.mean) != len(embedding):
            raise ValueError(
                f"Invalid model description of {self.info.name}: training_range must describe "
                f"embeddings of size {len(embedding)}; found {len(known.mean)}. Download the model "
                f"again."
            )
        differences = known.differences(
            item.end - item.start, rms_level(np.asarray(item.signal)), embedding
        )
        return tuple(RANGE_WARNINGS[name] for name in differences)

    @property
    def pass_seconds(self) -> float:
        """Longest utterance that is predicted in one pass by default, in seconds."""
        return min(self.info.max_seconds or self.max_pass_seconds, self.max_pass_seconds)

    @property
    def window_seconds(self) -> float:
        """Window length for longer utterances: the limit of the evaluation, in seconds."""
        return min(self.info.max_seconds or DEFAULT_WINDOW, self.max_pass_seconds)

    def _limit(self, max_seconds: float | str | None) -> float | None:
        """Return the duration in seconds to which utterances are truncated, if any."""
        if max_seconds == "evaluation":
            return self.info.max_seconds
        if max_seconds is None or max_seconds == "auto":
            return None
        if isinstance(max_seconds, (bool, str)) or not 0 < max_seconds < float("inf"):
            raise ValueError(
                f"max_seconds must be a positive number of seconds, None, 'auto' or 'evaluation'; "
                f"found {max_seconds!r}."
            )
        return float(max_seconds)

    def _plan(self, window: float, overlap: float) -> WindowPlan:
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap must be at least 0 and less than 1; found {overlap!r}.")
        hop = window * (1 - overlap)
        return plan_windows(
            self, window, hop, max_seconds=self.max_pass_seconds, name="window · (1 - overlap)"
        )


def _is_share(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= value <= 1


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

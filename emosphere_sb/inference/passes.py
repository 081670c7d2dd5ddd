"""Read utterances and predict them, each in one pass of the model or in windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.reading import SAMPLE_RATE
from emosphere_sb.data.batching import batches_by_length
from emosphere_sb.inference.audio_input import (
    AudioInput,
    load_pass,
    load_windows,
    open_input,
)
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.inference.speech_detection import SpeechDetector
from emosphere_sb.inference.waveform import Waveform, check_max_length
from emosphere_sb.inference.windows import WindowPlan, predict_windowed, windows_per_batch


@dataclass(frozen=True)
class Passes:
    """Settings for reading and predicting utterances.

    Arguments
    ---------
    model : Predictor
        Model that predicts batches.
    rate : int or None
        Sampling rate in Hz of arrays without their own rate.
    batch_size : int
        Number of utterances or windows per batch.
    words : int
        Number of nearest emotion words.
    channel : str
        Use of several channels.
    limit : float or None
        Truncate utterances to this duration in seconds.
    detector : SpeechDetector or None
        Detector of speech; ``None`` if the detection is off.
    plan : WindowPlan or None
        Window length and hop; ``None`` for one pass per utterance.
    longer_than : float
        Utterances longer than this, in seconds, are cut into windows; 0 for all utterances.
    """

    model: Any
    rate: int | None
    batch_size: int
    words: int
    channel: str
    limit: float | None
    detector: SpeechDetector | None = None
    plan: WindowPlan | None = None
    longer_than: float = 0.0

    def predict_windows(self, audio: Iterable[Any]) -> Iterator[Prediction | AudioError]:
        """Predict all utterances as means over windows, in order, in constant memory."""
        return self._mean_over_windows(
            self._open_windows(item, number) for number, item in enumerate(audio)
        )

    def predict_chunk(self, part: Sequence[tuple[int, Any]]) -> Iterator[Prediction | AudioError]:
        """Predict numbered utterances sorted by length; return the results in order.

        Utterances that are cut into windows are predicted one after the other, after the others,
        and yielded as soon as they are complete.
        """
        results: dict[int, Prediction | AudioError] = {}
        items: dict[int, AudioInput] = {}
        lengths: dict[int, float] = {}
        with ExitStack() as stack:
            for number, item in part:
                try:
                    items[number] = stack.enter_context(open_input(item, number, self.rate))
                    lengths[number] = self._seconds(items[number])
                except AudioError as error:
                    results[number] = error
            short = [number for number, seconds in lengths.items() if not self._is_long(seconds)]
            for batch in batches_by_length(
                [lengths[number] for number in short], self.batch_size, self.model.max_batch_seconds
            ):
                results |= self._predict_batch(
                    {short[index]: items[short[index]] for index in batch}
                )
            long = [number for number, _ in part if number not in results]
            means = self._mean_over_windows(self._windows(items[number]) for number in long)
            for number, _ in part:
                yield results[number] if number in results else next(means)

    def _seconds(self, item: AudioInput) -> float:
        """Return the duration to be processed in seconds; check that one pass is possible."""
        most = self.model.max_pass_seconds
        # In a single pass, longer files are rejected, so they need not be decoded
        seconds = item.seconds(most=most if self.limit is None and self.plan is None else None)
        if self._is_long(seconds):
            return seconds
        seconds = seconds if self.limit is None else min(seconds, self.limit)
        check_max_length(item.name, seconds, most)
        return seconds

    def _is_long(self, seconds: float) -> bool:
        return self.plan is not None and seconds > self.longer_than + 1 / SAMPLE_RATE

    def _predict_batch(self, items: Mapping[int, AudioInput]) -> dict[int, Prediction | AudioError]:
        """Predict utterances as one batch, each in one pass."""
        waveforms: dict[int, Waveform] = {}
        results: dict[int, Prediction | AudioError] = {}
        for number, item in items.items():
            try:
                waveforms[number] = load_pass(item, self.limit, **self._reading)
            except AudioError as error:
                results[number] = error
        if waveforms:
            found = self.model.predict_batch(list(waveforms.values()), words=self.words)
            results |= zip(waveforms, found, strict=True)
        return results

    def _mean_over_windows(
        self, utterances: Iterator[Iterator[Waveform]]
    ) -> Iterator[Prediction | AudioError]:
        size = self.batch_size
        if self.plan is not None:
            size = windows_per_batch(size, self.plan, self.model.max_batch_seconds)
        return predict_windowed(self.model, utterances, batch_size=size, words=self.words)

    def _open_windows(self, item: Any, number: int) -> Iterator[Waveform]:
        with open_input(item, number, self.rate) as opened:
            yield from self._windows(opened)

    def _windows(self, item: AudioInput) -> Iterator[Waveform]:
        return load_windows(item, self.limit, self.plan, **self._reading)

    @property
    def _reading(self) -> dict[str, Any]:
        """Options for reading utterances."""
        return {
            "tensors": self.model.tensors,
            "channel": self.channel,
            "min_samples": self.model.min_samples,
            "detector": self.detector,
        }

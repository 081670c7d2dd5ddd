"""``EmoSphere``: a released model in one line, asked in another."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from speechbrain.inference.interfaces import Pretrained
from torch import Tensor, nn

from emosphere_sb.audio import SAMPLE_RATE, AudioError
from emosphere_sb.inference.audio_input import (
    LONGEST,
    Heard,
    header,
    hear_array,
    hear_file,
    refuse_long,
    refuse_short,
)
from emosphere_sb.inference.locate import locate
from emosphere_sb.inference.prediction import Prediction
from emosphere_sb.inference.released import About, Outcome, evaluation_mode
from emosphere_sb.inference.windows import array_windows, file_windows, plan
from emosphere_sb.inference.windows import predict_each as predict_windows
from emosphere_sb.sampler import by_length

logger = logging.getLogger(__name__)


class EmoSphere(Pretrained):
    """A trained model that predicts valence, arousal and dominance.

    It is made by :meth:`from_pretrained` (or SpeechBrain's :meth:`from_hparams`, which does the
    same); no code that comes with a model is run, and its weights are read as tensors.

    Arguments
    ---------
    model : torch.nn.Module
        ``model(signals, lengths)`` gives an :class:`emosphere_sb.inference.released.Outcome`.
    about : About
        What is known of it.
    device : str, optional
        ``cpu``, ``cuda``, ``cuda:1``, …; the default is a GPU where there is one.

    Example
    -------
    >>> model = EmoSphere.from_pretrained("path/to/a/released/model")  # doctest: +SKIP
    >>> model.predict("speech.wav").valence  # doctest: +SKIP
    0.31
    """

    MODULES_NEEDED = ("model",)

    def __init__(self, model: nn.Module, about: About, device: str | None = None):
        super().__init__({"model": evaluation_mode(model)}, {}, {"device": usable(device)})
        self.about = about

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike,
        *,
        device: str | None = None,
        revision: str | None = None,
        savedir: str | os.PathLike | None = None,
    ) -> EmoSphere:
        """Load a released model, or one of the public checkpoints that are known.

        Arguments
        ---------
        source : str
            A folder, or a name on the HuggingFace hub.
        device : str, optional
            ``cpu``, ``cuda``, ``cuda:1``, …
        revision : str, optional
            Of the hub: a branch, a tag or a commit.
        savedir : path, optional
            Where a download is kept; the default is HuggingFace's cache.

        Raises
        ------
        ValueError
            If it is no model that is known, is damaged, its files are not those of its checksums,
            or there is no such device.
        """
        from emosphere_sb.inference.loading import load

        device = usable(device)  # before anything is downloaded
        model, about = load(source, revision=revision, savedir=savedir)
        return cls(model, about, device)

    @classmethod
    def from_hparams(
        cls,
        source: str,
        hparams_file: str | None = None,
        *,
        savedir: str | None = None,
        run_opts: Mapping[str, Any] | None = None,
        revision: str | None = None,
        **unused: Any,
    ) -> EmoSphere:
        """SpeechBrain's way to load a model; a released model needs no YAML that builds objects.

        Arguments
        ---------
        source : str
            As for :meth:`from_pretrained`.
        hparams_file : str, optional
            Must stay away: nothing in a released model is built from YAML.
        savedir, revision
            As for :meth:`from_pretrained`.
        run_opts : mapping, optional
            ``device``; SpeechBrain's others do nothing here.

        Raises
        ------
        ValueError
            If something is given that would change nothing, or as :meth:`from_pretrained`.
        """
        run_opts = dict(run_opts or {})
        device = run_opts.pop("device", None)
        given = [name for name, value in {**unused, **run_opts}.items() if value]
        if hparams_file is not None or given:
            names = ", ".join(given or ["hparams_file"])
            raise ValueError(
                f"A released model is plain data: {names} would do nothing; leave it out. Settings "
                f"belong to predict()."
            )
        return cls.from_pretrained(source, device=device, revision=revision, savedir=savedir)

    # --- asking ------------------------------------------------------------------------------

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

        Yields
        ------
        Prediction or AudioError
            One for each utterance: what is damaged stops nothing.
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
                _windows(item, n, sampling_rate, limit, how, self.shortest)
                for n, item in enumerate(audio)
            )
            yield from predict_windows(self, utterances, batch_size=batch_size, words=words)
            return
        for first in range(0, len(audio), chunk):
            part = list(enumerate(audio[first : first + chunk], start=first))
            yield from self._chunk(part, sampling_rate, batch_size, limit, words)

    def forward(self, signals: Tensor, lengths: Tensor) -> Outcome:
        """A padded batch of 16 kHz waveforms (batch, samples), with gradients where they are on.

        SpeechBrain's convention gives ``lengths`` (batch,) relative to the longest; whole numbers
        are taken as samples.
        """
        if lengths.is_floating_point():
            lengths = (lengths * signals.shape[1]).round().long()
        return self.mods.model(signals.to(self.device), lengths.to(self.device))

    @torch.inference_mode()
    def outcome(self, signals: Sequence[Tensor]) -> Outcome:
        """What the model says of some utterances, (samples,) each, in one batch, on the CPU."""
        lengths = torch.tensor([len(signal) for signal in signals])
        padded = nn.utils.rnn.pad_sequence(list(signals), batch_first=True)
        with self.inference_ctx:
            found = self.forward(padded, lengths)
        logits = None if found.logits is None else found.logits.float().cpu()
        return Outcome(found.vad.float().cpu(), found.embedding.float().cpu(), logits)

    def answers(self, heard: Sequence[Heard], *, words: int = 0) -> list[Prediction]:
        """Predictions of some utterances that run together as one batch."""
        found = self.outcome([item.signal for item in heard])
        vad = found.vad.double()
        if not bool(vad.isfinite().all()):
            raise ValueError(f"The model {self.about.name} gives values that are not finite.")
        scores = None if found.logits is None else found.logits.double().softmax(1).tolist()
        return [
            Prediction(
                source=item.source, duration=item.duration, start=item.start, end=item.end,
                embedding=found.embedding[row].numpy(),
                probabilities=(
                    {} if scores is None
                    else dict(zip(self.about.classes, scores[row], strict=True))
                ),
                head=self.about.head,
                warnings=item.warnings,
                **locate(vad[row].numpy(), self.about, words=words),
            )
            for row, item in enumerate(heard)
        ]  # fmt: skip

    @property
    def shortest(self) -> int:
        """Samples, at 16 kHz, that an utterance must at least have."""
        return self.mods.model.shortest

    @property
    def longest(self) -> float:
        """Seconds that may run through the model in one piece."""
        own = getattr(self.mods.model, "longest", None)
        return LONGEST if own is None else min(LONGEST, own / SAMPLE_RATE)

    # --- inside ------------------------------------------------------------------------------

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
                    heard[n] = _hear(items[n], n, rate, limit)
                    refuse_short([heard[n]], self.shortest)
                except AudioError as error:
                    heard.pop(n, None)
                    answers[n] = error
            if heard:
                found = self.answers(list(heard.values()), words=words)
                answers |= dict(zip(heard, found, strict=True))
        for number, _ in part:
            yield answers[number]


def usable(device: str | None) -> str:
    """A device that is there: the one that is named, else a GPU, else the CPU.

    Raises
    ------
    ValueError
        If the one that is named is not there.
    """
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # a torch without CUDA asserts
        reason = str(error).splitlines()[0]
        raise ValueError(f"The device {device} cannot be used: {reason}") from error
    return str(device)


def _is_path(item: Any) -> bool:
    return isinstance(item, (str, os.PathLike))


def _name(item: Any, number: int) -> str:
    return os.fsdecode(item) if _is_path(item) else f"array {number}"


def _seconds(item: Any, rate: int | None, limit: float | None) -> float:
    """What an utterance will take to run, to sort by."""
    if _is_path(item):
        seconds, _ = header(item)
    else:
        # What has no shape, or no sensible rate, is refused with a reason where it is heard.
        shape = getattr(item, "shape", ())
        known = isinstance(rate, (int, float)) and rate > 0
        seconds = (max(shape) if shape else 0) / (rate if known else 1)
    return seconds if limit is None else min(seconds, limit)


def _hear(item: Any, number: int, rate: int | None, limit: float | None) -> Heard:
    if _is_path(item):
        heard = hear_file(item, seconds=limit)
    else:
        heard = hear_array(item, rate, source=_name(item, number), seconds=limit)
    if limit is not None and heard.duration > limit:
        cut = f"only the first {limit:g} of {heard.duration:.1f} s were heard"
        return Heard(heard.source, heard.signal, heard.duration, 0.0, (*heard.warnings, cut))
    return heard


def _windows(
    item: Any, number: int, rate: int | None, limit: float | None, how, shortest: int
) -> Iterator[Heard]:
    """The windows of an utterance."""
    if _is_path(item) and limit is None:
        parts = file_windows(item, how)  # not read as a whole: it may be of any length
    else:
        parts = array_windows(_hear(item, number, rate, limit), how)
    for heard in parts:
        refuse_short([heard], shortest)
        yield heard

"""``EmoSphere``: a released model in one line, asked in another."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from speechbrain.inference.interfaces import Pretrained
from torch import Tensor, nn

from emosphere_sb.audio.reading import SAMPLE_RATE
from emosphere_sb.inference.predictor import Answers, Asking
from emosphere_sb.inference.waveform import LONGEST
from emosphere_sb.release.model import About, Outcome, evaluation_mode

logger = logging.getLogger(__name__)


class EmoSphere(Asking, Pretrained):
    """A trained model that predicts valence, arousal and dominance.

    It is made by :meth:`from_pretrained` (or SpeechBrain's :meth:`from_hparams`, which does the
    same); no code that comes with a model is run, and its weights are read as tensors.

    Arguments
    ---------
    model : torch.nn.Module
        ``model(signals, lengths)`` gives an :class:`emosphere_sb.release.model.Outcome`.
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
        from emosphere_sb.inference.load import load

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

    def ask(self, signals: Sequence[Tensor]) -> Answers:
        """The same as arrays."""
        found = self.outcome(signals)
        logits = None if found.logits is None else found.logits.numpy()
        return Answers(found.vad.numpy(), found.embedding.numpy(), logits)

    @property
    def shortest(self) -> int:
        """Samples, at 16 kHz, that an utterance must at least have."""
        return self.mods.model.shortest

    @property
    def longest(self) -> float:
        """Seconds that may run through the model in one piece."""
        own = getattr(self.mods.model, "longest", None)
        return LONGEST if own is None else min(LONGEST, own / SAMPLE_RATE)


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
        torch.empty(1, device=device).item()  # a "meta" device holds no values
    except (RuntimeError, AssertionError) as error:  # a torch without CUDA asserts
        reason = str(error).splitlines()[0]
        raise ValueError(f"The device {device} cannot be used: {reason}") from error
    return str(device)

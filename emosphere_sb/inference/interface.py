"""``EmoSphere``: the high-level inference interface."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from speechbrain.inference.interfaces import Pretrained
from torch import Tensor, nn

from emosphere_sb.audio.reading import SAMPLE_RATE
from emosphere_sb.inference.predictor import Predictor
from emosphere_sb.inference.waveform import MAX_INPUT_SECONDS
from emosphere_sb.release.model import ModelInfo, Outcome, evaluation_mode

logger = logging.getLogger(__name__)


class EmoSphere(Predictor, Pretrained):
    """A trained model that predicts valence, arousal and dominance.

    Load it with :meth:`from_pretrained` (or with :meth:`from_hparams`, SpeechBrain's equivalent).
    Weights are read as tensors only; no code from a model folder is executed.

    Arguments
    ---------
    model : torch.nn.Module
        Module that returns an :class:`emosphere_sb.release.model.Outcome` when called with
        ``(signals, lengths)``.
    about : ModelInfo
        Information about the model.
    device : str, optional
        Device such as ``cpu``, ``cuda`` or ``cuda:1``. The default is a GPU if available.

    Example
    -------
    >>> model = EmoSphere.from_pretrained("path/to/a/released/model")  # doctest: +SKIP
    >>> model.predict("speech.wav").valence  # doctest: +SKIP
    0.31
    """

    MODULES_NEEDED = ("model",)

    def __init__(self, model: nn.Module, about: ModelInfo, device: str | None = None):
        super().__init__({"model": evaluation_mode(model)}, {}, {"device": resolve_device(device)})
        self.info = about
        self.source = about.name

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike,
        *,
        device: str | None = None,
        revision: str | None = None,
        savedir: str | os.PathLike | None = None,
    ) -> EmoSphere:
        """Load a released model, or a supported public checkpoint.

        Arguments
        ---------
        source : str
            Path of a folder, or name of a model on the Hugging Face Hub.
        device : str, optional
            Device such as ``cpu``, ``cuda`` or ``cuda:1``. The default is a GPU if available.
        revision : str, optional
            Branch, tag or commit on the Hub.
        savedir : path, optional
            Folder for downloads. The default is the Hugging Face cache.

        Raises
        ------
        ValueError
            If the model is not found, not supported or damaged, if a checksum does not match, or if
            the device is not available.
        """
        from emosphere_sb.inference.load import load_pretrained

        device = resolve_device(device)  # fail before anything is downloaded
        model, about = load_pretrained(source, revision=revision, savedir=savedir)
        loaded = cls(model, about, device)
        loaded.source = str(source)
        return loaded

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
        """Load a model through SpeechBrain's interface; equivalent to :meth:`from_pretrained`.

        Arguments
        ---------
        source : str
            Path of a folder, or name of a model on the Hugging Face Hub.
        hparams_file : str, optional
            Not supported, because released models contain no YAML that builds objects.
        savedir, revision
            See :meth:`from_pretrained`.
        run_opts : mapping, optional
            Only ``device`` is supported.

        Raises
        ------
        ValueError
            If an unsupported option is given, or the model cannot be loaded.
        """
        run_opts = dict(run_opts or {})
        device = run_opts.pop("device", None)
        given = [name for name, value in {**unused, **run_opts}.items() if value]
        if hparams_file is not None or given:
            names = ", ".join(given or ["hparams_file"])
            raise ValueError(
                f"Unsupported options for a released model: {names}. Remove them, and pass "
                f"prediction settings to predict()."
            )
        return cls.from_pretrained(source, device=device, revision=revision, savedir=savedir)

    def forward(self, signals: Tensor, lengths: Tensor) -> Outcome:
        """Run the model on a padded batch of 16 kHz waveforms (batch, samples).

        Floating-point ``lengths`` (batch,) are relative to the longest waveform, as in SpeechBrain;
        integers are numbers of samples. Gradients are computed if they are enabled.
        """
        if lengths.is_floating_point():
            lengths = (lengths * signals.shape[1]).round().long()
        return self.mods.model(signals.to(self.device), lengths.to(self.device))

    @torch.inference_mode()
    def _forward(
        self, signals: Sequence[Tensor]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Run the model on utterances (samples,) at 16 kHz, in one batch."""
        lengths = torch.tensor([len(signal) for signal in signals])
        padded = nn.utils.rnn.pad_sequence(list(signals), batch_first=True)
        try:
            with self.inference_ctx:
                output = self.forward(padded, lengths)
        except (ArithmeticError, ValueError, IndexError) as error:
            # Not every invalid value of a configuration is found when the model is loaded.
            raise ValueError(
                f"The model {self.source} cannot process audio ({type(error).__name__}: {error}). "
                f"Its configuration is probably invalid; download it again, or use another model."
            ) from error
        vad, embedding, logits = (
            None if value is None else value.float().cpu().numpy()
            for value in (output.vad, output.embedding, output.logits)
        )
        return vad, embedding, logits

    @property
    def min_samples(self) -> int:
        """Minimum length of an utterance, in samples at 16 kHz."""
        return self.mods.model.min_samples

    @property
    def max_pass_seconds(self) -> float:
        """Maximum length that is processed in one pass, in seconds."""
        own = getattr(self.mods.model, "max_samples", None)
        return MAX_INPUT_SECONDS if own is None else min(MAX_INPUT_SECONDS, own / SAMPLE_RATE)


def resolve_device(device: str | None) -> str:
    """Return the given device; if none is given, a GPU if available, otherwise the CPU.

    Raises
    ------
    ValueError
        If the given device is not available.
    """
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device).item()  # fails for "meta", which stores no values
    except (RuntimeError, AssertionError) as error:  # raised by PyTorch without CUDA
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"Device {device} is not available ({reason}). Use cpu or an available GPU."
        ) from error
    return str(device)

"""``TorchPredictor``: prediction with PyTorch, without SpeechBrain."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from emosphere_sb.inference.precision import check_precision
from emosphere_sb.inference.predictor import CPU_BATCH_SECONDS, Predictor
from emosphere_sb.inference.waveform import max_pass_seconds
from emosphere_sb.release.model import ModelInfo, evaluation_mode

MIN_CONVERTED = 2**12
"""Minimum number of weights of a layer that is stored in bfloat16."""


class TorchPredictor(Predictor):
    """A trained model that predicts valence, arousal and dominance with PyTorch.

    The commands use this class. :class:`emosphere_sb.inference.interface.EmoSphere` adds the
    interface of SpeechBrain, whose import takes longer than a prediction.

    Arguments
    ---------
    model : torch.nn.Module
        Module that returns an :class:`emosphere_sb.release.model.Outcome` when called with
        ``(signals, lengths)``.
    about : ModelInfo
        Information about the model.
    device : str, optional
        Device such as ``cpu``, ``cuda`` or ``cuda:1``. The default is a GPU if available.
    precision : str
        ``fp32``, or ``bf16`` for matrix products in bfloat16, which are faster on GPUs and on CPUs
        with AVX512-BF16 or AMX and change predictions slightly. The weights of these products are
        converted, which halves their memory; the given model is modified.

    Example
    -------
    >>> model = TorchPredictor.from_pretrained("path/to/a/model")  # doctest: +SKIP
    >>> model.predict("speech.wav").valence  # doctest: +SKIP
    0.31
    """

    model: nn.Module
    device: str
    precision: str
    source = ""
    """Folder or Hub name that the model was loaded from, if any."""

    def __init__(
        self,
        model: nn.Module,
        about: ModelInfo,
        device: str | None = None,
        *,
        precision: str = "fp32",
    ):
        self.precision = check_precision(precision)
        self.device = resolve_device(device)
        self.model = evaluation_mode(model).to(self.device)
        if precision == "bf16":
            store_in_bfloat16(self.model.encoder)
        self.info = about

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike,
        *,
        device: str | None = None,
        precision: str = "fp32",
        revision: str | None = None,
        savedir: str | os.PathLike | None = None,
    ) -> TorchPredictor:
        """Load a released model, or a supported public checkpoint.

        Arguments
        ---------
        source : str
            Path of a folder, or name of a model on the Hugging Face Hub.
        device : str, optional
            Device such as ``cpu``, ``cuda`` or ``cuda:1``. The default is a GPU if available.
        precision : str
            ``fp32``, or ``bf16`` for matrix products in bfloat16.
        revision : str, optional
            Branch, tag or commit on the Hub.
        savedir : path, optional
            Folder for downloads. The default is the Hugging Face cache.

        Raises
        ------
        ValueError
            If the model is not found, not supported or damaged, if a checksum does not match, or if
            the device or the precision is not available.
        """
        from emosphere_sb.inference.load import load_pretrained

        device = resolve_device(device)  # fail before anything is downloaded
        check_precision(precision)
        model, about = load_pretrained(source, revision=revision, savedir=savedir)
        loaded = cls(model, about, device, precision=precision)
        loaded.source = str(source)
        return loaded

    @torch.inference_mode()
    def _forward(
        self, signals: Sequence[Tensor]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Run the model on utterances (samples,) at 16 kHz, in one batch."""
        lengths = torch.tensor([len(signal) for signal in signals])
        padded = nn.utils.rnn.pad_sequence(list(signals), batch_first=True)
        kind, half = torch.device(self.device).type, self.precision == "bf16"
        try:
            with torch.autocast(kind, dtype=torch.bfloat16, enabled=half):
                output = self.model(padded.to(self.device), lengths.to(self.device))
        except (ArithmeticError, ValueError, IndexError) as error:
            # Not every invalid value of a configuration is found when the model is loaded.
            raise ValueError(
                f"The model {self.source or self.info.name} cannot process audio "
                f"({type(error).__name__}: {error}). Its configuration is probably invalid; "
                f"download it again, or use another model."
            ) from error
        vad, embedding, logits = (
            None if value is None else value.float().cpu().numpy()
            for value in (output.vad, output.embedding, output.logits)
        )
        return vad, embedding, logits

    @property
    def engine(self) -> str:
        """Engine and precision, such as ``torch fp32``."""
        return f"torch {self.precision}"

    @property
    def max_batch_seconds(self) -> float | None:
        """Maximum duration of a padded batch in seconds; ``None`` on a GPU."""
        return CPU_BATCH_SECONDS if torch.device(self.device).type == "cpu" else None

    @property
    def min_samples(self) -> int:
        """Minimum length of an utterance, in samples at 16 kHz."""
        return self.model.min_samples

    @property
    def max_pass_seconds(self) -> float:
        """Maximum length that is processed in one pass, in seconds."""
        return max_pass_seconds(getattr(self.model, "max_samples", None))


def store_in_bfloat16(module: nn.Module) -> None:
    """Convert the weights of linear layers to bfloat16, in place.

    Under autocast, the outputs are bit-equal to those with weights in float32, which autocast would
    convert in every call. Small layers keep float32: WavLM's attention adds up weights of one.

    Arguments
    ---------
    module : torch.nn.Module
        Module for evaluation under autocast.
    """
    for part in module.modules():
        if type(part) is nn.Linear and part.weight.numel() >= MIN_CONVERTED:
            part.to(torch.bfloat16)


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

"""``EmoSphere``: prediction through SpeechBrain's interface for pretrained models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from speechbrain.inference.interfaces import Pretrained
from torch import Tensor, nn

from emosphere_sb.inference.precision import check_precision
from emosphere_sb.inference.torch_predictor import (
    TorchPredictor,
    resolve_device,
    store_in_bfloat16,
)
from emosphere_sb.release.model import ModelInfo, Outcome, evaluation_mode


class EmoSphere(TorchPredictor, Pretrained):
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
    precision : str
        ``fp32``, or ``bf16`` for matrix products in bfloat16; see :class:`TorchPredictor`.

    Example
    -------
    >>> model = EmoSphere.from_pretrained("path/to/a/released/model")  # doctest: +SKIP
    >>> model.predict("speech.wav").valence  # doctest: +SKIP
    0.31
    """

    MODULES_NEEDED = ("model",)

    def __init__(
        self,
        model: nn.Module,
        about: ModelInfo,
        device: str | None = None,
        *,
        precision: str = "fp32",
    ):
        settings = {"device": resolve_device(device), "precision": check_precision(precision)}
        Pretrained.__init__(self, {"model": evaluation_mode(model)}, {}, settings)
        if precision == "bf16":
            store_in_bfloat16(self.model.encoder)
        self.info = about

    @property
    def model(self) -> nn.Module:
        """The module that computes the predictions."""
        return self.mods.model

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
        return self.model(signals.to(self.device), lengths.to(self.device))

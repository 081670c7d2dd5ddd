"""``OnnxEmoSphere``: the inference interface for exported models, without PyTorch.

It only requires onnxruntime, numpy and soundfile::

    pip install onnxruntime numpy soundfile && pip install --no-deps emosphere-sb

    from emosphere_sb.onnx_export.predictor import OnnxEmoSphere
    OnnxEmoSphere.from_pretrained("exported").predict("speech.wav").valence
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emosphere_sb.inference.predictor import CPU_BATCH_SECONDS, Predictor
from emosphere_sb.inference.waveform import max_pass_seconds
from emosphere_sb.onnx_export.session import FLOAT32, INT8, OnnxSession
from emosphere_sb.release import checksums
from emosphere_sb.release.formats import check_format
from emosphere_sb.release.model_info import ModelInfo


class OnnxEmoSphere(Predictor):
    """A model exported by ``emosphere export``, run with onnxruntime.

    It has the same methods as :class:`emosphere_sb.inference.interface.EmoSphere`. Predictions
    differ from those of the original by less than 1e-4 (int8: by the difference printed during
    export).

    Arguments
    ---------
    session : OnnxSession
        Session with the exported graph.
    about : ModelInfo
        Information about the model.
    min_samples : int
        Minimum length of an utterance, in samples at 16 kHz.
    max_samples : int, optional
        Maximum length of an utterance, in samples at 16 kHz. (default: ten minutes)
    int8 : bool
        Whether the graph has 8-bit weights.

    Example
    -------
    >>> model = OnnxEmoSphere.from_pretrained("path/to/an/exported/model")  # doctest: +SKIP
    >>> model.predict("speech.wav").valence  # doctest: +SKIP
    0.31
    """

    tensors = False
    max_batch_seconds = CPU_BATCH_SECONDS

    def __init__(
        self,
        session: OnnxSession,
        about: ModelInfo,
        min_samples: int,
        max_samples: int | None = None,
        *,
        int8: bool = False,
    ):
        self.session, self.info, self.min_samples = session, about, min_samples
        self.max_pass_seconds = max_pass_seconds(max_samples)
        self.engine = f"onnx {'int8' if int8 else 'fp32'}"

    @classmethod
    def from_pretrained(
        cls, source: str | os.PathLike, *, int8: bool = False, threads: int = 0
    ) -> OnnxEmoSphere:
        """Load an exported model.

        Arguments
        ---------
        source : path
            Path of a folder written by ``emosphere export``, or of a released model with an ONNX
            copy.
        int8 : bool
            Whether to use ``model_int8.onnx``.
        threads : int
            Number of threads; 0 means one per core.

        Raises
        ------
        ValueError
            If the folder does not exist or is not an exported model, or if a checksum does not
            match.
        ImportError
            If onnxruntime is not installed.
        """
        folder, name = Path(source).expanduser(), INT8 if int8 else FLOAT32
        if not folder.is_dir():
            raise ValueError(
                f"Exported model not found: folder {source} does not exist. Create it with "
                f"`emosphere export MODEL OUT`."
            )
        option = " --int8" if int8 else ""
        parts = (checksums.CONFIGURATION, name)
        checksums.verify_checksums(folder, parts, command=f"emosphere export MODEL OUT{option}")
        about, *limits = read_description(folder)
        session = OnnxSession(folder / name, threads=threads)
        if session.has_logits != bool(about.classes):
            raise ValueError(
                f"{folder / name} and {checksums.CONFIGURATION} must belong to the same model; "
                f"found {'a' if session.has_logits else 'no'} class head in the former and "
                f"{len(about.classes)} classes in the latter. Export the model again."
            )
        return cls(session, about, *limits, int8=int8)

    def _forward(
        self, signals: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Run the model on utterances (samples,) at 16 kHz, in one batch."""
        return self.session.run([np.asarray(signal) for signal in signals])


def read_description(folder: Path) -> tuple[ModelInfo, int, int | None]:
    """Read the model information and the length limits, in samples, of an exported model.

    Raises
    ------
    ValueError
        If the format version is not supported, or the description is invalid.
    """
    path = folder / checksums.CONFIGURATION
    description = checksums.read_json(path)
    check_format(description, path)
    limits = description.get("onnx", {})
    min_samples = limits.get("shortest")
    max_samples = limits.get("longest")
    valid = type(min_samples) is int and (
        max_samples is None or (type(max_samples) is int and max_samples >= min_samples)
    )
    if not valid or "about" not in description:
        raise ValueError(
            f"{path} must describe an exported model and have the keys 'about' and 'onnx'; found "
            f"{', '.join(description)}. Export the model again."
        )
    return ModelInfo.from_dict(description["about"]), min_samples, max_samples

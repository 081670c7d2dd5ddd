"""Run exported models with onnxruntime and numpy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emosphere_sb.release import checksums

FLOAT32, INT8 = checksums.ONNX, checksums.ONNX_INT8
INPUTS = ("waveform", "lengths")
OUTPUTS = ("vad", "embedding", "logits")
"""Output names of the graph; ``logits`` is present only if the model has a class head."""


class OnnxSession:
    """An onnxruntime session for an exported model.

    Arguments
    ---------
    path : path
        Path of a ``.onnx`` file written by :func:`emosphere_sb.onnx_export.export.export`.
    threads : int
        Number of threads; 0 means one per core.

    Raises
    ------
    ValueError
        If the file is not an exported model.
    ImportError
        If onnxruntime is not installed.
    """

    def __init__(self, path: str | os.PathLike, *, threads: int = 0):
        runtime = _onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors
        try:
            self._session = runtime.InferenceSession(
                os.fspath(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime errors have no other common class
            raise ValueError(
                f"onnxruntime cannot load {path} ({error}). Export the model again."
            ) from error
        inputs = tuple(item.name for item in self._session.get_inputs())
        outputs = tuple(item.name for item in self._session.get_outputs())
        if inputs != INPUTS or outputs not in (OUTPUTS, OUTPUTS[:2]):
            raise ValueError(
                f"{Path(path).name} must have the inputs {', '.join(INPUTS)} and the outputs "
                f"{', '.join(OUTPUTS)} (logits is optional); found inputs {', '.join(inputs)} and "
                f"outputs {', '.join(outputs)}. Create the file with `emosphere export MODEL OUT`."
            )
        self.has_logits = outputs == OUTPUTS

    def run(
        self, signals: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Run the model on utterances, in one batch.

        Arguments
        ---------
        signals : sequence of numpy.ndarray
            Utterances of shape (samples,) at 16 kHz.

        Returns
        -------
        tuple
            VAD (batch, 3), embedding (batch, size), and logits (batch, classes) or ``None``.
        """
        lengths = np.array([len(signal) for signal in signals], dtype=np.int64)
        padded = np.zeros((len(signals), int(lengths.max())), dtype=np.float32)
        for row, signal in zip(padded, signals, strict=True):
            row[: len(signal)] = signal
        found = self._session.run(None, {"waveform": padded, "lengths": lengths})
        return found[0], found[1], found[2] if len(found) > 2 else None


def _onnxruntime():
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            "ONNX models require onnxruntime. Install it with: pip install onnxruntime."
        ) from error
    return onnxruntime

"""An exported model in onnxruntime: utterances in, arrays out, with numpy alone beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

FLOAT32, INT8 = "model.onnx", "model_int8.onnx"
INPUTS = ("waveform", "lengths")
OUTPUTS = ("vad", "embedding", "logits")
"""Names in the graph; ``logits`` only with a class head."""


class Session:
    """A graph that is ready to run.

    Arguments
    ---------
    path : path
        A ``.onnx`` file that :func:`emosphere_sb.onnx_export.export.export` wrote.
    threads : int
        On which it runs; 0: as many as there are cores.

    Raises
    ------
    ValueError
        If the file is no such graph.
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
        except Exception as error:  # onnxruntime's own errors have no common class but this
            raise ValueError(f"{path} is no ONNX model that onnxruntime runs: {error}") from error
        inputs = tuple(item.name for item in self._session.get_inputs())
        outputs = tuple(item.name for item in self._session.get_outputs())
        if inputs != INPUTS or outputs not in (OUTPUTS, OUTPUTS[:2]):
            raise ValueError(
                f"{Path(path).name} must have the inputs {', '.join(INPUTS)} and the outputs "
                f"{', '.join(OUTPUTS)} (the last may be missing); found {', '.join(inputs)} and "
                f"{', '.join(outputs)}. `emosphere export MODEL OUT` writes such a model."
            )
        self.has_logits = outputs == OUTPUTS

    def run(
        self, signals: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """What the model says of some utterances, in one batch.

        Arguments
        ---------
        signals : sequence of numpy.ndarray
            Shape (samples,) each, 16 kHz.

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
            "Models in ONNX need onnxruntime, which is not installed: pip install onnxruntime."
        ) from error
    return onnxruntime

"""Choose between PyTorch and ONNX Runtime for a model; torch is imported only if it is used."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from emosphere_sb.inference.find_model import find_model
from emosphere_sb.inference.precision import check_precision
from emosphere_sb.release import checksums

if TYPE_CHECKING:
    from emosphere_sb.inference.predictor import Predictor

ENGINES = ("auto", "torch", "onnx")
GPU_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", r"C:\Windows\System32\nvcuda.dll")
"""Files of GPU drivers: NVIDIA, AMD, Windows Subsystem for Linux, and NVIDIA on Windows."""


def load_predictor(
    source: str | os.PathLike,
    *,
    engine: str = "auto",
    device: str | None = None,
    precision: str = "fp32",
    int8: bool = False,
    revision: str | None = None,
) -> Predictor:
    """Load a model with the fastest engine that is available.

    Arguments
    ---------
    source : str
        Path of a folder, or name of a model on the Hugging Face Hub.
    engine : str
        ``torch``; ``onnx``, which runs on the CPU and requires a folder with an ONNX copy, written
        by ``emosphere release`` or ``emosphere export``; or ``auto``: ``onnx`` on machines without
        a GPU if the model has an ONNX copy and onnxruntime is installed, and for folders that
        contain only an ONNX model; otherwise ``torch``.
    device : str, optional
        PyTorch device. The default is a GPU if available.
    precision : str
        ``fp32``, or ``bf16`` for matrix products in bfloat16, which only PyTorch supports.
    int8 : bool
        Whether to use the 8-bit version of the ONNX copy. It is smaller and faster, and its
        predictions differ slightly. It selects the engine ``onnx``.
    revision : str, optional
        Branch, tag or commit on the Hub.

    Returns
    -------
    Predictor
        The model. Its ``engine`` states the engine and the precision.

    Raises
    ------
    ValueError
        If the model cannot be loaded, or the options cannot be combined.

    Example
    -------
    >>> model = load_predictor("path/to/a/model", engine="onnx")  # doctest: +SKIP
    >>> model.engine, model.predict("speech.wav").valence  # doctest: +SKIP
    ('onnx fp32', 0.31)
    """
    engine = "onnx" if int8 and engine == "auto" else engine
    check_engine(engine, device=device, precision=precision, int8=int8)
    if engine != "torch":
        from emosphere_sb.onnx_export.predictor import OnnxEmoSphere

        preferred = engine == "onnx" or prefers_onnx(device, precision)
        folder = find_model(source, revision=revision, onnx=preferred)
        if engine == "onnx" or uses_onnx(folder, device, precision, preferred=preferred):
            return OnnxEmoSphere.from_pretrained(folder, int8=int8)
    _check_not_only_onnx(source)
    with pause_garbage_collection():
        from emosphere_sb.inference.torch_predictor import TorchPredictor

        return TorchPredictor.from_pretrained(
            source, device=device, precision=precision, revision=revision
        )


@contextmanager
def pause_garbage_collection() -> Iterator[None]:
    """Pause the search for reference cycles, which takes a sixth of the time of large imports."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def check_engine(
    engine: str, *, device: str | None = None, precision: str = "fp32", int8: bool = False
) -> None:
    """Check that the options of :func:`load_predictor` can be combined.

    Raises
    ------
    ValueError
        If they cannot be combined, or one is unknown.
    """
    check_precision(precision)
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}; found {engine!r}.")
    if int8 and engine == "torch":
        raise ValueError(
            "--int8 cannot be combined with --engine=torch. It requires the ONNX copy of a model "
            "written by `emosphere release --int8` or `emosphere export --int8`."
        )
    option = "--int8" if int8 else "--onnx"
    onnx = engine == "onnx" or int8
    if onnx and device:
        raise ValueError(f"--device cannot be combined with {option}, which runs on the CPU.")
    if onnx and precision != "fp32":
        raise ValueError(
            f"--precision={precision} cannot be combined with {option}; it requires --engine=torch."
        )


def prefers_onnx(device: str | None, precision: str) -> bool:
    """Return whether an ONNX copy would be used instead of PyTorch.

    Arguments
    ---------
    device : str, optional
        Requested device.
    precision : str
        Requested precision.
    """
    if precision != "fp32" or find_spec("onnxruntime") is None:
        return False
    return not has_gpu() if device is None else device.partition(":")[0] == "cpu"


def uses_onnx(folder: Path, device: str | None, precision: str, *, preferred: bool) -> bool:
    """Return whether the engine ``auto`` uses the ONNX copy of a model.

    Arguments
    ---------
    folder : Path
        Folder of the model.
    device : str, optional
        Requested device.
    precision : str
        Requested precision.
    preferred : bool
        Whether an ONNX copy is preferred. If not, it is used only if the model has no weights for
        PyTorch, and neither a device nor another precision is requested.
    """
    if not _has_onnx(folder):
        return False
    only = not (folder / checksums.WEIGHTS).is_file() and device is None and precision == "fp32"
    return preferred or only


def _has_onnx(folder: Path) -> bool:
    """Return whether a folder contains an ONNX model that its description names."""
    path = folder / checksums.CONFIGURATION
    known = (folder / checksums.ONNX).is_file() and path.is_file()
    return known and "onnx" in checksums.read_json(path)


def _check_not_only_onnx(source: str | os.PathLike) -> None:
    """Check that a folder does not contain only an ONNX model, before PyTorch reads it."""
    folder = Path(source).expanduser()
    if not (folder / checksums.WEIGHTS).is_file() and _has_onnx(folder):
        raise ValueError(
            f"{folder} contains only an ONNX model, which runs on the CPU in fp32. Remove "
            f"--engine=torch, --device and --precision (engine='auto'), or use the released model "
            f"from which it was exported."
        )


def has_gpu() -> bool:
    """Return whether PyTorch can use a GPU. It is imported only if a GPU driver is installed."""
    if not any(Path(name).exists() for name in GPU_FILES) or find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()

"""Export released models to ONNX, optionally quantised to int8.

Padding is masked inside the graph. Exported models are compared with the original before the
output folder is created.
"""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emosphere_sb.fileio.atomic_folder import atomic_folder, check_empty
from emosphere_sb.inference.find_model import find_model
from emosphere_sb.inference.load import load_pretrained
from emosphere_sb.metrics import ccc
from emosphere_sb.onnx_export.onnx_model import ExportedModel
from emosphere_sb.onnx_export.session import FLOAT32, INPUTS, INT8, OUTPUTS, OnnxSession
from emosphere_sb.release import checksums
from emosphere_sb.release.formats import format_header
from emosphere_sb.release.load import load_released
from emosphere_sb.release.model import ModelInfo, ReleasedModel
from emosphere_sb.scale import DIMENSIONS

OPSET = 20
TOLERANCE = 1e-4
"""Maximum difference of VAD, embedding and logits between the float32 graph and the original."""
QUANTISED_OPERATORS = ("MatMul", "Gemm")
"""Operators that are quantised. Convolutions are few and would lose too much precision."""
MAX_EMBEDDED_BYTES = 1_800_000_000
"""Size of the weights above which they are stored in a separate file (protobuf limit: 2 GiB)."""
SYNTHETIC_SECONDS = (0.3, 1.0, 2.7)
"""Durations of the generated test signals in seconds."""


@dataclass(frozen=True)
class ExportResult:
    """The result of an export.

    Arguments
    ---------
    path : Path
        Output folder.
    deviations : mapping of str to (mapping of str to float)
        Largest absolute difference from the PyTorch model, by file and output (``vad``,
        ``embedding``, ``logits``), over utterances processed one by one and as one padded batch.
    sizes : mapping of str to int
        Size of each exported model in bytes, including weights.
    """

    path: Path
    deviations: Mapping[str, Mapping[str, float]]
    sizes: Mapping[str, int] = field(default_factory=dict)


def export(
    source: str | os.PathLike,
    out: str | os.PathLike,
    *,
    int8: bool = False,
    check: Sequence[np.ndarray] | None = None,
) -> ExportResult:
    """Export a released model to ONNX.

    Arguments
    ---------
    source : path or str
        Path of a folder, or name of a model on the Hugging Face Hub.
    out : path
        New or empty output folder, which is created atomically. It contains ``model.onnx`` with the
        inputs ``waveform`` (batch, samples) at 16 kHz and ``lengths`` (batch,) and the outputs
        ``vad``, ``embedding`` and, with a class head, ``logits``; and the model's
        ``emosphere.json``, model card and checksums.
    int8 : bool
        Whether to write ``model_int8.onnx`` too, with 8-bit weights in matrix products.
    check : sequence of numpy.ndarray, optional
        Utterances (samples,) at 16 kHz for comparing the graph with the model. The default is
        generated test audio.

    Returns
    -------
    ExportResult
        Output folder, differences from the original model, and file sizes.

    Raises
    ------
    ValueError
        If the model cannot be exported, or the graph differs from it by more than 1e-4.
    FileExistsError
        If ``out`` is not empty.
    ImportError
        If a package required for export is not installed.
    """
    check_export_dependencies()
    check_empty(Path(out))
    model, about = load_pretrained(source)
    with atomic_folder(out) as folder:
        deviations = write_graphs(model, folder, int8=int8, check=check)
        sizes = {name: _size(folder, name) for name in deviations}
        original = find_model(source)
        configuration = _configuration(original, about)
        write_description(folder, configuration, model, deviations)
        if (original / checksums.CARD).is_file():
            shutil.copyfile(original / checksums.CARD, folder / checksums.CARD)
        checksums.write_checksums(folder)
    return ExportResult(Path(out), deviations, sizes)


def add_onnx(folder: Path, *, int8: bool = False) -> dict[str, dict[str, float]]:
    """Add an ONNX copy to the folder of a released model, which is not published yet.

    Arguments
    ---------
    folder : Path
        Folder written by :func:`emosphere_sb.release.write.write_released`.
    int8 : bool
        Whether to write ``model_int8.onnx`` too.

    Returns
    -------
    dict
        Largest absolute difference from the PyTorch model, by file and output.

    Raises
    ------
    ValueError
        If the model cannot be exported, or the graph differs from it by more than 1e-4.
    ImportError
        If a package required for export is not installed.
    """
    check_export_dependencies()
    model, _ = load_released(folder)
    deviations = write_graphs(model, folder, int8=int8)
    configuration = checksums.read_json(folder / checksums.CONFIGURATION)
    write_description(folder, configuration, model, deviations)
    checksums.write_checksums(folder)
    return deviations


def write_graphs(
    model: ReleasedModel,
    folder: Path,
    *,
    int8: bool = False,
    check: Sequence[np.ndarray] | None = None,
) -> dict[str, dict[str, float]]:
    """Write the graphs of a model, and compare them with it.

    Arguments
    ---------
    model : ReleasedModel
        Model to export.
    folder : Path
        Output folder.
    int8 : bool
        Whether to write ``model_int8.onnx`` too.
    check : sequence of numpy.ndarray, optional
        Utterances for the comparison; see :func:`export`.

    Returns
    -------
    dict
        Largest absolute difference from the model, by file and output.

    Raises
    ------
    ValueError
        If the model cannot be exported, or the float32 graph differs from it by more than 1e-4.
    """
    exported = ExportedModel(model)
    if check is None:
        signals = [one[: model.max_samples] for one in synthetic_signals(SYNTHETIC_SECONDS)]
    else:
        signals = list(check)
    check_signals(signals, model.min_samples, model.max_samples)
    write_graph(exported, folder / FLOAT32, max_samples=model.max_samples)
    deviations = {FLOAT32: max_deviation(model, OnnxSession(folder / FLOAT32), signals)}
    check_deviation(deviations[FLOAT32])
    if int8:
        quantise(folder / FLOAT32, folder / INT8)
        deviations[INT8] = max_deviation(model, OnnxSession(folder / INT8), signals)
    return deviations


def write_description(
    folder: Path,
    configuration: Mapping[str, Any],
    model: ReleasedModel,
    deviations: Mapping[str, Mapping[str, float]],
) -> None:
    """Write ``emosphere.json`` with the metadata of the graphs."""
    lengths = {"shortest": model.min_samples, "longest": model.max_samples}
    metadata = {"opset": OPSET, **lengths, "deviations": deviations}
    path = folder / checksums.CONFIGURATION
    checksums.write_json_file(path, {**configuration, "onnx": metadata})


def check_export_dependencies() -> None:
    """Check that the packages required for export are installed.

    Raises
    ------
    ImportError
        If a package is missing.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"Export requires onnx, onnxscript and onnxruntime ({error}). Install them with: "
            f"pip install 'emosphere-sb[onnx]'."
        ) from error


def write_graph(model: ExportedModel, path: Path, *, max_samples: int | None = None) -> None:
    """Write the graph of a model with dynamic batch size and length.

    Arguments
    ---------
    model : ExportedModel
        Model to write.
    path : Path
        Path of the ONNX file. Weights of more than 1.8 GB are stored in ``path``.data.
    max_samples : int, optional
        Maximum length of an utterance in samples. (default: no maximum)
    """
    # Use a batch of two, because the exporter treats dimensions of size 1 as constants
    samples = min(16000, max_samples or 16000)
    waveform = torch.zeros(2, samples)
    lengths = torch.tensor([samples, samples * 3 // 4])
    outputs = OUTPUTS if model.class_head is not None else OUTPUTS[:2]
    with silence_exporters(), torch.no_grad():
        program = torch.onnx.export(
            model, (waveform, lengths), dynamo=True, opset_version=OPSET, verbose=False,
            input_names=INPUTS, output_names=outputs,
            dynamic_shapes=({0: "batch", 1: "samples"}, {0: "batch"}),
        )  # fmt: skip
    _rename_inner_values(program.model, outputs)
    weights = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    program.save(os.fspath(path), external_data=weights > MAX_EMBEDDED_BYTES)


def _rename_inner_values(graph: Any, names: Sequence[str]) -> None:
    """Rename inner values of a graph whose names collide with an output, such as ``embedding``."""
    outputs = {id(value) for value in graph.graph.outputs}
    for node in graph.graph.all_nodes():
        for value in node.outputs:
            if value.name in names and id(value) not in outputs:
                value.name = f"{value.name}_inside"


def quantise(path: Path, out: Path) -> None:
    """Write a copy of a graph with int8 weights in matrix products (dynamic quantisation).

    Activations are quantised at run time according to their actual range; sums are exact.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    external = path.with_name(path.name + ".data").exists()
    with silence_exporters():
        quantize_dynamic(
            path, out, op_types_to_quantize=list(QUANTISED_OPERATORS), weight_type=QuantType.QInt8,
            per_channel=True, use_external_data_format=external,
        )  # fmt: skip


@torch.inference_mode()
def max_deviation(
    model: ReleasedModel, session: OnnxSession, signals: Sequence[np.ndarray]
) -> dict[str, float]:
    """Return the largest absolute difference between a graph and a model for each output.

    The model processes utterances one by one; the graph processes them one by one and as one padded
    batch.
    """
    references = [
        model(torch.from_numpy(signal)[None], torch.tensor([len(signal)])) for signal in signals
    ]
    single = [session.run([signal]) for signal in signals]
    batch = session.run(signals)
    largest = {}
    for index, name in enumerate(OUTPUTS):
        if batch[index] is None:
            continue
        expected = np.concatenate([getattr(reference, name).numpy() for reference in references])
        found = (np.concatenate([output[index] for output in single]), batch[index])
        largest[name] = max(float(np.abs(each - expected).max()) for each in found)
    return largest


def check_signals(
    signals: Sequence[np.ndarray], min_samples: int, max_samples: int | None = None
) -> None:
    """Check that there are test signals and that the model supports their lengths.

    Raises
    ------
    ValueError
        If the list is empty or a signal is too short or too long.
    """
    lengths = [len(signal) for signal in signals]
    if not lengths or min(lengths) < min_samples:
        raise ValueError(
            f"The check requires at least one utterance, each of at least {min_samples} samples "
            f"at 16 kHz; found {lengths or 'none'}."
        )
    if max_samples is not None and max(lengths) > max_samples:
        raise ValueError(
            f"The model supports at most {max_samples:,} samples at 16 kHz per utterance; found "
            f"{max(lengths):,}. Check the export with shorter utterances."
        )


def check_deviation(deviations: Mapping[str, float]) -> None:
    """Check that a graph gives the same outputs as its model.

    Raises
    ------
    ValueError
        If a difference is above 1e-4 or NaN.
    """
    if not all(value <= TOLERANCE for value in deviations.values()):
        listed = ", ".join(f"{name} {value:.2g}" for name, value in deviations.items())
        raise ValueError(
            f"The outputs of the exported graph must match those of the model to within "
            f"{TOLERANCE:g}; found differences of {listed}. Nothing was written. Please open an "
            f"issue that states the backbone and the versions of torch, onnxscript and onnxruntime."
        )


def synthetic_signals(seconds: Sequence[float], *, seed: int = 0) -> list[np.ndarray]:
    """Generate noisy harmonic signals (samples,) at 16 kHz, at about speech level."""
    rng = np.random.default_rng(seed)
    signals = []
    for length in seconds:
        time = np.arange(round(length * 16000)) / 16000
        pitch = rng.uniform(90, 250)
        voice = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 12))
        envelope = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)
        noise = rng.normal(scale=0.01, size=len(time))
        signals.append((0.1 * voice * envelope + noise).astype(np.float32))
    return signals


def ccc_on_files(model: Any, paths: Sequence[str], labels: np.ndarray) -> dict[str, float]:
    """Compute the CCC of a model's predictions for each dimension, and their mean.

    Arguments
    ---------
    model : EmoSphere or OnnxEmoSphere
        Model to evaluate.
    paths : sequence of str
        Paths of audio files.
    labels : numpy.ndarray
        Valence, arousal, dominance on the scale of the model's training labels, shape (files, 3);
        NaN for missing labels.

    Returns
    -------
    dict
        CCC with the keys ``valence``, ``arousal``, ``dominance``, ``mean``.

    Raises
    ------
    AudioError
        If a file cannot be decoded.
    """
    predictions = model.predict(paths, max_seconds="evaluation")
    predicted = np.stack([prediction.on_scale for prediction in predictions])
    scores = {name: ccc(labels[:, k], predicted[:, k]) for k, name in enumerate(DIMENSIONS)}
    return {**scores, "mean": float(np.mean(list(scores.values())))}


def _configuration(folder: Path, about: ModelInfo) -> dict[str, Any]:
    """Return the description of a model; create one for a public checkpoint without one."""
    path = folder / checksums.CONFIGURATION
    if path.is_file():
        return checksums.read_json(path)
    return {**format_header(), "about": about.to_dict()}


def _size(folder: Path, name: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"{name}*"))


@contextmanager
def silence_exporters():
    """Suppress the exporters' warnings about operators and shapes that are not used here."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "root")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)

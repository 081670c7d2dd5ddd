"""From a released model to ONNX: one graph with padding masked inside, and its int8 version.

What is written is checked against the model itself before it is there.
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

from emosphere_sb.fileio.atomic_folder import atomic_folder, refuse_occupied
from emosphere_sb.inference.load import find, load
from emosphere_sb.metrics import ccc
from emosphere_sb.onnx_export.onnx_model import ExportedModel
from emosphere_sb.onnx_export.session import FLOAT32, INPUTS, INT8, OUTPUTS, Session
from emosphere_sb.release import checksums
from emosphere_sb.release.formats import format_header
from emosphere_sb.release.model import About, ReleasedModel
from emosphere_sb.scale import DIMENSIONS

OPSET = 20
TOLERANCE = 1e-4
"""How far the float32 graph may be from the model, in VAD, embedding and logits."""
QUANTISED = ("MatMul", "Gemm")
"""What becomes int8: the convolutions lose too much, and are few."""
LARGEST = 1_800_000_000
"""Bytes of weights above which they stand in a file beside the graph: protobuf ends at 2 GiB."""
SECONDS = (0.3, 1.0, 2.7)
"""Lengths of the sound that is made for the check where none is given."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Arguments
    ---------
    path : Path
        The folder.
    deviations : mapping of str to (mapping of str to float)
        For each file of a graph the largest absolute difference from the model in torch, by output
        (``vad``, ``embedding``, ``logits``), each utterance alone and all in one padded batch.
    sizes : mapping of str to int
        Bytes of each graph, weights included.
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
) -> Exported:
    """Write a released model as ONNX.

    Arguments
    ---------
    source : path or str
        As for :meth:`emosphere_sb.inference.interface.EmoSphere.from_pretrained`.
    out : path
        A new or empty folder. It appears whole or not at all: ``model.onnx`` with the inputs
        ``waveform`` (batch, samples) at 16 kHz and ``lengths`` (batch,), and the outputs ``vad``,
        ``embedding`` and, with a class head, ``logits``; the model's ``emosphere.json``, its card
        and checksums.
    int8 : bool
        Whether ``model_int8.onnx`` is written too: weights of matrix products in 8 bits.
    check : sequence of numpy.ndarray, optional
        Utterances (samples,) at 16 kHz on which graph and model are compared; default: made sound.

    Returns
    -------
    Exported
        Where it is, and how far it is from the model.

    Raises
    ------
    ValueError
        If the model cannot be exported, or the graph differs from it by more than 1e-4.
    FileExistsError
        If ``out`` holds something.
    ImportError
        If what exports is not installed.
    """
    require()
    refuse_occupied(Path(out))
    model, about = load(source)
    exported = ExportedModel(model)
    signals = made_sound(SECONDS) if check is None else list(check)
    refuse_unheard(signals, model.shortest)
    with atomic_folder(out) as folder:
        write_graph(exported, folder / FLOAT32)
        deviations = {FLOAT32: deviation(model, Session(folder / FLOAT32), signals)}
        refuse_deviation(deviations[FLOAT32])
        if int8:
            quantise(folder / FLOAT32, folder / INT8)
            deviations[INT8] = deviation(model, Session(folder / INT8), signals)
        sizes = {name: _size(folder, name) for name in deviations}
        original = find(source)
        facts = {"opset": OPSET, "shortest": model.shortest, "deviations": deviations}
        checksums.write_json(
            folder / checksums.CONFIGURATION, {**_configuration(original, about), "onnx": facts}
        )
        if (original / checksums.CARD).is_file():
            shutil.copyfile(original / checksums.CARD, folder / checksums.CARD)
        checksums.seal(folder)
    return Exported(Path(out), deviations, sizes)


def require() -> None:
    """See that what exports is installed, before anything is loaded.

    Raises
    ------
    ImportError
        Naming what is missing.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"Export needs onnx, onnxscript and onnxruntime; {error}. Install the extra: pip "
            f"install 'emosphere-sb[onnx]'."
        ) from error


def write_graph(model: ExportedModel, path: Path) -> None:
    """Write the graph of a model, batch and samples of any size.

    Arguments
    ---------
    model : ExportedModel
        What is written.
    path : Path
        The file; weights of more than 1.8 GB go into ``path``.data.
    """
    # Two utterances, one of them padded: a size of 1 would be taken for a constant
    waveform = torch.zeros(2, 16000)
    lengths = torch.tensor([16000, 12000])
    outputs = OUTPUTS if model.class_head is not None else OUTPUTS[:2]
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            model, (waveform, lengths), dynamo=True, opset_version=OPSET, verbose=False,
            input_names=INPUTS, output_names=outputs,
            dynamic_shapes=({0: "batch", 1: "samples"}, {0: "batch"}),
        )  # fmt: skip
    _give_way(program.model, outputs)
    weights = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    program.save(os.fspath(path), external_data=weights > LARGEST)


def _give_way(graph: Any, names: Sequence[str]) -> None:
    """Rename values inside a graph that have the name of an output (``embedding`` is common)."""
    outputs = {id(value) for value in graph.graph.outputs}
    for node in graph.graph.all_nodes():
        for value in node.outputs:
            if value.name in names and id(value) not in outputs:
                value.name = f"{value.name}_inside"


def quantise(path: Path, out: Path) -> None:
    """Write a graph with int8 weights in its matrix products (dynamic quantisation).

    Activations are quantised as they come, by their own range; sums stay exact.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    external = path.with_name(path.name + ".data").exists()
    with quiet():
        quantize_dynamic(
            path, out, op_types_to_quantize=list(QUANTISED), weight_type=QuantType.QInt8,
            per_channel=True, use_external_data_format=external,
        )  # fmt: skip


@torch.inference_mode()
def deviation(
    model: ReleasedModel, session: Session, signals: Sequence[np.ndarray]
) -> dict[str, float]:
    """The largest absolute difference of a graph from a model, by output.

    The model hears each utterance alone; the graph hears it alone, and in a padded batch of all.
    """
    ours = [
        model(torch.from_numpy(signal)[None], torch.tensor([len(signal)])) for signal in signals
    ]
    alone = [session.run([signal]) for signal in signals]
    together = session.run(signals)
    largest = {}
    for place, name in enumerate(OUTPUTS):
        if together[place] is None:
            continue
        expected = np.concatenate([getattr(outcome, name).numpy() for outcome in ours])
        found = (np.concatenate([answer[place] for answer in alone]), together[place])
        largest[name] = max(float(np.abs(each - expected).max()) for each in found)
    return largest


def refuse_unheard(signals: Sequence[np.ndarray], shortest: int) -> None:
    """Refuse to compare on nothing, or on what a model cannot hear.

    Raises
    ------
    ValueError
        Saying what there is.
    """
    lengths = [len(signal) for signal in signals]
    if not lengths or min(lengths) < shortest:
        raise ValueError(
            f"A check needs one utterance at least, of {shortest} samples at 16 kHz or more; found "
            f"{lengths or 'none'}."
        )


def refuse_deviation(found: Mapping[str, float]) -> None:
    """Refuse a graph that says something else than its model.

    Raises
    ------
    ValueError
        If a difference is above 1e-4, or no number.
    """
    if not all(value <= TOLERANCE for value in found.values()):
        listed = ", ".join(f"{name} {value:.2g}" for name, value in found.items())
        raise ValueError(
            f"The exported graph must equal the model to {TOLERANCE:g}; found differences of "
            f"{listed}. Nothing was written. Please report the model's backbone and the versions "
            f"of torch, onnxscript and onnxruntime."
        )


def made_sound(seconds: Sequence[float], *, seed: int = 0) -> list[np.ndarray]:
    """Harmonic sounds with noise, (samples,) each at 16 kHz, at about the level of speech."""
    chance = np.random.default_rng(seed)
    sounds = []
    for length in seconds:
        time = np.arange(round(length * 16000)) / 16000
        pitch = chance.uniform(90, 250)
        voice = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 12))
        swell = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)
        noise = chance.normal(scale=0.01, size=len(time))
        sounds.append((0.1 * voice * swell + noise).astype(np.float32))
    return sounds


def ccc_on_files(model: Any, paths: Sequence[str], labels: np.ndarray) -> dict[str, float]:
    """CCC of a model's predictions by dimension, and their mean.

    Arguments
    ---------
    model : EmoSphere or OnnxEmoSphere
        Which predicts.
    paths : sequence of str
        Audio files.
    labels : numpy.ndarray
        Shape (file, 3): valence, arousal, dominance on the scale of the model's training labels;
        NaN where unknown.

    Returns
    -------
    dict
        ``valence``, ``arousal``, ``dominance``, ``mean``.

    Raises
    ------
    AudioError
        If a file cannot be decoded.
    """
    predicted = np.stack([prediction.on_scale for prediction in model.predict(paths)])
    figures = {name: ccc(labels[:, k], predicted[:, k]) for k, name in enumerate(DIMENSIONS)}
    return {**figures, "mean": float(np.mean(list(figures.values())))}


def _configuration(folder: Path, about: About) -> dict[str, Any]:
    """The model's own description; a public checkpoint has none, and gets one."""
    path = folder / checksums.CONFIGURATION
    if path.is_file():
        return checksums.read_json(path)
    return {**format_header(), "about": about.to_dict()}


def _size(folder: Path, name: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"{name}*"))


@contextmanager
def quiet():
    """Leave out what the exporters say of operators and shapes that are not used here."""
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

"""Load released models from tensors and JSON data, without executing code."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from emosphere_sb.lobes import SSLEncoder, WaveformNormaliser
from emosphere_sb.release import checksums, parts
from emosphere_sb.release.backbone_values import check_values
from emosphere_sb.release.formats import upgrade
from emosphere_sb.release.model import ModelInfo, ReleasedModel, evaluation_mode
from emosphere_sb.release.shapes import (
    TensorType,
    build_without_memory,
    check_width,
    differing_tensors,
    read_tensor_types,
)
from emosphere_sb.release.weights import read_weights, skip_initialisation


def load_released(folder: Path) -> tuple[ReleasedModel, ModelInfo]:
    """Load a model written by :func:`emosphere_sb.release.release.release`.

    Raises
    ------
    ValueError
        If a file is missing, damaged or modified, or was written by a newer version.
    """
    checksums.verify_checksums(folder)
    path = folder / checksums.CONFIGURATION
    configuration = upgrade(checksums.read_json(path), path)
    backbone = checksums.read_json(folder / checksums.BACKBONE)
    check_no_code(backbone, folder / checksums.BACKBONE)
    check_values(backbone, folder / checksums.BACKBONE)
    tensors = read_tensor_types(folder / checksums.WEIGHTS)
    check_width(backbone, tensors, folder / checksums.BACKBONE)
    try:
        info, described = ModelInfo.from_dict(configuration["about"]), configuration["parts"]
        build = partial(_build, described, folder)
        source = f"{path} and {checksums.BACKBONE}"
        check_outputs(build_without_memory(build, tensors, source), tensors, info, folder)
        with skip_initialisation():
            model = build()
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a valid model description: {type(error).__name__}: {error}. "
            f"Download the model again."
        ) from error
    # load_state_dict copies the tensors, which are memory-mapped and would change with the file.
    model.load_state_dict(read_weights(folder / checksums.WEIGHTS))
    return evaluation_mode(model), info


def check_outputs(
    model: ReleasedModel, tensors: Mapping[str, TensorType], info: ModelInfo, folder: Path
) -> None:
    """Check that a model matches its weights and its list of classes.

    Arguments
    ---------
    model : ReleasedModel
        Model without values.
    tensors : mapping
        Tensors of the weights file.
    info : ModelInfo
        Information about the model.
    folder : Path
        Folder of the model, for error messages.

    Raises
    ------
    ValueError
        If they do not match.
    """
    outputs = 0 if model.class_head is None else model.class_head.layers[-1].out_features
    if outputs != len(info.classes):
        raise ValueError(
            f"{folder / checksums.CONFIGURATION} must list one class per output of the class head; "
            f"found {len(info.classes)} classes and {outputs} outputs. Download the model again."
        )
    if wrong := differing_tensors(model, tensors):
        raise ValueError(
            f"{folder / checksums.WEIGHTS} does not match {checksums.CONFIGURATION} and "
            f"{checksums.BACKBONE}: {', '.join(wrong[:5])}. The folder contains files of "
            f"different models; download the model again."
        )


def check_no_code(settings: Mapping[str, Any], path: Path) -> None:
    """Check that a transformers configuration does not refer to code that would be executed.

    Arguments
    ---------
    settings : mapping
        Content of the file.
    path : Path
        Path of the file, for error messages.

    Raises
    ------
    ValueError
        If the configuration, or a mapping in it, refers to Python files, a quantisation method, or
        a non-standard implementation of attention or experts. Their code could be downloaded from
        the Hub.

    Example
    -------
    >>> check_no_code({"model_type": "wavlm", "hidden_size": 64}, Path("backbone.json"))
    >>> check_no_code({"attn_implementation": "someone/kernel"}, Path("backbone.json"))
    Traceback (most recent call last):
    ValueError: backbone.json must not refer to code; found attn_implementation: 'someone/kernel'. \
Do not use this model.
    """
    for key, value in settings.items():
        if isinstance(value, Mapping):
            check_no_code(value, path)
        names_code = key in ("auto_map", "custom_pipelines", "quantization_config")
        chooses = "implementation" in key or "kernel_config" in key
        if (names_code and value) or (chooses and value not in (None, "eager", "sdpa")):
            raise ValueError(
                f"{path} must not refer to code; found {key}: {value!r}. Do not use this model."
            )


def _build(described: Mapping[str, Any], folder: Path) -> ReleasedModel:
    """Create the model without weights. Arguments are passed by keyword for compatibility."""
    head = described["class_head"]
    return ReleasedModel(
        normaliser=WaveformNormaliser(mode=described["normaliser"]["mode"]),
        encoder=SSLEncoder(
            backbone=str(folder / checksums.BACKBONE),
            freeze="all",
            spec_augment=False,
            layers=described["encoder"]["layers"],
            # Not in models released before this option was added.
            layer_normalisation=described["encoder"].get("layer_normalisation", "none"),
        ),
        pooling=parts.build(described["pooling"], parts.POOLINGS),
        vad_head=parts.build(described["vad_head"], ("VADHead",)),
        class_head=None if head is None else parts.build(head, parts.HEADS),
    )

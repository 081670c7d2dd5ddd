"""From a released folder to a model; tensors and plain data, never code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from emosphere_sb.lobes import SSLEncoder, WaveformNormaliser
from emosphere_sb.release import checksums, parts
from emosphere_sb.release.formats import upgrade
from emosphere_sb.release.model import About, ReleasedModel, evaluation_mode
from emosphere_sb.release.weights import read_weights, unfilled


def load_released(folder: Path) -> tuple[ReleasedModel, About]:
    """Load what :func:`emosphere_sb.release.release.release` wrote.

    Raises
    ------
    ValueError
        If a file is missing, damaged, changed, or made by a newer version.
    """
    checksums.check_seal(folder)
    path = folder / checksums.CONFIGURATION
    configuration = upgrade(checksums.read_json(path), path)
    refuse_code(checksums.read_json(folder / checksums.BACKBONE), folder / checksums.BACKBONE)
    try:
        about, described = About.from_dict(configuration["about"]), configuration["parts"]
        with unfilled():
            model = _build(described, folder)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} does not describe a model: {type(error).__name__}: {error}."
        ) from error
    outputs = 0 if model.class_head is None else model.class_head.layers[-1].out_features
    if outputs != len(about.classes):
        raise ValueError(
            f"{path} must name each output of the class head; found "
            f"{outputs} outputs and {len(about.classes)} classes. Get the model again."
        )
    _fill(model, read_weights(folder / checksums.WEIGHTS), folder)
    return evaluation_mode(model), about


def refuse_code(settings: Mapping[str, Any], path: Path) -> None:
    """Refuse a configuration of transformers that names code to be fetched and run.

    Arguments
    ---------
    settings : mapping
        As the file holds it.
    path : Path
        Of the file, for the message.

    Raises
    ------
    ValueError
        If it, or a mapping in it, names Python files, a quantisation, or an implementation of
        attention or experts but transformers' own: such a name may be one on the hub.

    Example
    -------
    >>> refuse_code({"model_type": "wavlm", "hidden_size": 64}, Path("backbone.json"))
    >>> refuse_code({"attn_implementation": "someone/kernel"}, Path("backbone.json"))
    Traceback (most recent call last):
    ValueError: backbone.json must be plain settings of a model; found attn_implementation: \
'someone/kernel', which may run code. Do not use this model.
    """
    for key, value in settings.items():
        if isinstance(value, Mapping):
            refuse_code(value, path)
        names_code = key in ("auto_map", "custom_pipelines", "quantization_config")
        chooses = "implementation" in key or "kernel_config" in key
        if (names_code and value) or (chooses and value not in (None, "eager", "sdpa")):
            raise ValueError(
                f"{path} must be plain settings of a model; found {key}: {value!r}, which may run "
                f"code. Do not use this model."
            )


def _build(described: Mapping[str, Any], folder: Path) -> ReleasedModel:
    """Build the parts by keyword: a constructor may get another parameter anywhere."""
    head = described["class_head"]
    return ReleasedModel(
        normaliser=WaveformNormaliser(mode=described["normaliser"]["mode"]),
        encoder=SSLEncoder(
            backbone=str(folder / checksums.BACKBONE),
            freeze="all",
            spec_augment=False,
            layers=described["encoder"]["layers"],
        ),
        pooling=parts.build(described["pooling"], parts.POOLINGS),
        vad_head=parts.build(described["vad_head"], ("VADHead",)),
        class_head=None if head is None else parts.build(head, parts.HEADS),
    )


def _fill(model: nn.Module, weights: dict[str, Tensor], folder: Path) -> None:
    expected = model.state_dict()
    differ = (
        name
        for name in expected.keys() & weights.keys()
        if expected[name].shape != weights[name].shape
        or expected[name].dtype != weights[name].dtype
    )
    wrong = {*(expected.keys() ^ weights.keys()), *differ}
    if wrong:
        raise ValueError(
            f"{folder / checksums.WEIGHTS} does not fit {checksums.CONFIGURATION} and "
            f"{checksums.BACKBONE}: {', '.join(sorted(wrong)[:5])}. The folder holds files of "
            f"different models."
        )
    # Copied: what was read is mapped from the file, and would change with it.
    model.load_state_dict(weights)

"""From a folder or a name on the hub to a model; tensors and plain data, never code."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from emosphere_sb.lobes import SSLEncoder, WaveformNormaliser
from emosphere_sb.public_models.registry import load_public, public_layout
from emosphere_sb.release import checksums, parts
from emosphere_sb.release.model import About, ReleasedModel, evaluation_mode


def load(
    source: str | os.PathLike,
    *,
    revision: str | None = None,
    savedir: str | os.PathLike | None = None,
) -> tuple[nn.Module, About]:
    """Load a released model, or a public checkpoint whose layout is known.

    Arguments
    ---------
    source : str
        A folder, or a name on the HuggingFace hub.
    revision, savedir
        See :meth:`emosphere_sb.inference.interface.EmoSphere.from_pretrained`.

    Returns
    -------
    tuple
        The model, in evaluation mode, and what is known of it.

    Raises
    ------
    ValueError
        If it is not there, damaged, or nothing that is known.
    """
    folder = find(source, revision=revision, savedir=savedir)
    if not (folder / checksums.CONFIGURATION).is_file():
        layout = public_layout(folder, str(source))
        if layout is not None:
            return load_public(layout, folder, str(source))
    return load_released(folder)


def find(
    source: str | os.PathLike,
    *,
    revision: str | None = None,
    savedir: str | os.PathLike | None = None,
) -> Path:
    """The folder of a model, downloaded where it is a name on the hub.

    Raises
    ------
    ValueError
        If there is no such folder, and no such model on the hub or no way to it.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    text = str(source)
    if folder.exists():
        raise ValueError(f"{text} must be the folder of a model; it is a file.")
    if text.count("/") != 1 or text.startswith((".", "/", "~")):
        raise ValueError(f"There is no folder {text}, and it is no name on the hub (owner/model).")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                text, revision=revision, local_dir=savedir,
                # Weights as tensors, and plain data: nothing that could be code.
                allow_patterns=["*.json", "*.safetensors", "*.bin", "README.md", "*.txt"],
            )
        )  # fmt: skip
    except (
        OSError,
        ValueError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    ) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"{text} is no folder here, and cannot be had from the HuggingFace hub ({reason})."
        ) from error


def load_released(folder: Path) -> tuple[ReleasedModel, About]:
    """Load what :func:`emosphere_sb.release.release.release` wrote.

    Raises
    ------
    ValueError
        If a file is missing, damaged, changed, or made by a newer version.
    """
    checksums.check_seal(folder)
    configuration = checksums.read_json(folder / checksums.CONFIGURATION)
    if configuration.get("format") != checksums.FORMAT:
        raise ValueError(
            f"{folder / checksums.CONFIGURATION} has format {configuration.get('format')}; this "
            f"version reads format {checksums.FORMAT}. Update emosphere-sb."
        )
    refuse_code(checksums.read_json(folder / checksums.BACKBONE), folder / checksums.BACKBONE)
    try:
        about, described = About.from_dict(configuration["about"]), configuration["parts"]
        with unfilled():
            model = _build(described, folder)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{folder / checksums.CONFIGURATION} does not describe a model: {type(error).__name__}: "
            f"{error}."
        ) from error
    outputs = 0 if model.class_head is None else model.class_head.layers[-1].out_features
    if outputs != len(about.classes):
        raise ValueError(
            f"{folder / checksums.CONFIGURATION} must name each output of the class head; found "
            f"{outputs} outputs and {len(about.classes)} classes. Get the model again."
        )
    _fill(model, read_weights(folder / checksums.WEIGHTS), folder)
    return evaluation_mode(model), about


@contextmanager
def unfilled() -> Iterator[None]:
    """Modules that are made here get weights that nobody drew: those that are read replace them.

    Drawing them takes longer than all the rest, and would move the caller's random numbers.
    """
    try:
        from transformers.initialization import no_init_weights
    except ImportError:  # no public name: where it has gone, weights are drawn, which is slower
        no_init_weights = nullcontext
    with torch.random.fork_rng(devices=[]), no_init_weights():
        yield


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
    encoder = SSLEncoder(
        str(folder / checksums.BACKBONE),
        freeze="all",
        spec_augment=False,
        layers=described["encoder"]["layers"],
    )
    head = described["class_head"]
    return ReleasedModel(
        WaveformNormaliser(described["normaliser"]["mode"]),
        encoder,
        parts.build(described["pooling"], parts.POOLINGS),
        parts.build(described["vad_head"], ("VADHead",)),
        None if head is None else parts.build(head, parts.HEADS),
    )


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file.

    Raises
    ------
    ValueError
        If it is none: a pickle under that name is refused, not read.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(
            f"{path} is no safetensors file ({error}). Weights are read as tensors alone; a pickle "
            f"(.pt, .bin, .ckpt) under another name is refused."
        ) from error


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
            f"{folder / checksums.WEIGHTS} does not fit {checksums.CONFIGURATION} and {checksums.BACKBONE}: "
            f"{', '.join(sorted(wrong)[:5])}. The folder holds files of different models."
        )
    # Copied: what was read is mapped from the file, and would change with it.
    model.load_state_dict(weights)

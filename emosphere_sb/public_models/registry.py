"""Detect and load supported public VAD checkpoints.

The layout is detected from ``config.json`` and the weight names, not from the name of the model. No
code of a checkpoint is executed: its weights are loaded into modules of this package, so padding
does not affect predictions. All published checkpoints predict values in [0, 1] and were trained on
MSP-Podcast.
"""

from __future__ import annotations

import logging
from pathlib import Path

from torch import nn

from emosphere_sb.public_models import audeering, odyssey, vox_profile
from emosphere_sb.public_models.files import (
    CONFIGURATION,
    read_configuration,
    read_licence,
    read_state,
    weight_names,
    weights_file,
)
from emosphere_sb.public_models.modules import TRAINING_CORPUS, UNIT_SCALE
from emosphere_sb.release.model import ModelInfo, evaluation_mode
from emosphere_sb.release.weights import skip_initialisation

logger = logging.getLogger(__name__)

LAYOUTS = {
    "audeering": audeering,
    "odyssey": odyssey,
    "vox_profile": vox_profile,
}
"""Supported layouts by name; each is implemented in one module."""


def known_checkpoints() -> str:
    """Return the names of the published checkpoints with supported layouts."""
    return ", ".join(layout.KNOWN for layout in LAYOUTS.values())


def detect_layout(folder: Path, source: str) -> str | None:
    """Detect the layout of a model folder.

    Arguments
    ---------
    folder : Path
        Folder of the model.
    source : str
        Path or name requested by the user, for messages.

    Returns
    -------
    str or None
        Key of :data:`LAYOUTS`; ``None`` if the folder has no ``config.json``, that is, if it is
        not a checkpoint from transformers or the Hub.

    Raises
    ------
    ValueError
        If the layout is not supported.
    """
    if not (folder / CONFIGURATION).is_file():
        return None
    configuration = read_configuration(folder)
    path = weights_file(folder)
    names = weight_names(path)
    for name, layout in LAYOUTS.items():
        if layout.matches(configuration, names):
            return name
    shown = ", ".join(sorted({name.split(".")[0] for name in names})[:6])
    raise ValueError(
        f"{source} must be a released model, or a checkpoint in the layout of "
        f"{known_checkpoints()}; found a model of type "
        f"{configuration.get('model_type', 'unknown')} with weights {shown or '(none)'}."
    )


def load_public(layout: str, folder: Path, source: str) -> tuple[nn.Module, ModelInfo]:
    """Load a public checkpoint.

    Arguments
    ---------
    layout : str
        Layout returned by :func:`detect_layout`.
    folder : Path
        Folder of the model.
    source : str
        Path or name requested by the user; it determines the name of the model.

    Returns
    -------
    model : torch.nn.Module
        The model in evaluation mode.
    about : ModelInfo
        Metadata of the model.

    Raises
    ------
    ValueError
        If the layout is unknown, or the files are damaged or do not match.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}; found {layout!r}.")
    module, configuration = LAYOUTS[layout], read_configuration(folder)
    path = weights_file(folder)
    state = read_state(path)
    try:
        with skip_initialisation():  # skip weight initialisation; all weights are loaded
            model, taken = module.build(configuration, state, folder, path)
        limit = module.max_seconds(configuration)
    except KeyError as error:
        raise ValueError(
            f"{path} does not match the layout of {module.KNOWN}: {error} is missing. Download "
            f"the model again."
        ) from error
    except TypeError as error:
        raise ValueError(
            f"{folder / CONFIGURATION} does not match {path}: {error}. Download the model again."
        ) from error
    if unused := sorted(state.keys() - taken):
        logger.info("%s: ignored weights that are not needed for VAD: %s", path, ", ".join(unused))
    about = ModelInfo(
        name=_name(source),
        scale=UNIT_SCALE,
        max_seconds=limit,
        licence=read_licence(folder, module.LICENCE),
        facts={
            "protocol": {"corpus": TRAINING_CORPUS, "release": module.RELEASE},
            "layout": layout,
            # Other models with this layout may have been trained on other data.
            "published_as": module.KNOWN,
            "left_out": unused,
        },
    )
    return evaluation_mode(model), about


def _name(source: str) -> str:
    """Return the name of a model: the Hub name, or the last part of the folder's path."""
    folder = Path(source).expanduser()
    return folder.resolve().name if folder.is_dir() else source

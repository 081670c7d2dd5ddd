"""Public VAD checkpoints that people use today, in the layouts of their authors.

A layout is known by the settings in ``config.json`` and by the names of the weights, not by the
name of a model. Nothing of a checkpoint is run: its weights go into modules of this package, so
that padding changes no prediction. All of them give [0, 1] and were trained on MSP-Podcast.
"""

from __future__ import annotations

import logging
from pathlib import Path

from torch import nn

from emosphere_sb.public_models import audeering, odyssey, vox_profile
from emosphere_sb.public_models.files import (
    CONFIGURATION,
    configuration_of,
    licence_of,
    read_state,
    weight_names,
    weights_file,
)
from emosphere_sb.public_models.modules import CORPUS, UNIT
from emosphere_sb.release.model import About, evaluation_mode
from emosphere_sb.release.weights import unfilled

logger = logging.getLogger(__name__)

LAYOUTS = {
    "audeering": audeering,
    "odyssey": odyssey,
    "vox_profile": vox_profile,
}
"""A layout is one module and its name here."""


def known_text() -> str:
    """The known layouts by the checkpoints that have them."""
    return ", ".join(layout.KNOWN for layout in LAYOUTS.values())


def public_layout(folder: Path, source: str) -> str | None:
    """Which known layout a folder has.

    Arguments
    ---------
    folder : Path
        Of the model.
    source : str
        What was asked for, for messages.

    Returns
    -------
    str or None
        One of :data:`LAYOUTS`; ``None`` where there is no ``config.json``, so that it is no
        checkpoint of transformers or of the hub at all.

    Raises
    ------
    ValueError
        If there is one, and the layout is none of those that are known.
    """
    if not (folder / CONFIGURATION).is_file():
        return None
    configuration = configuration_of(folder)
    path = weights_file(folder)
    names = weight_names(path)
    for name, layout in LAYOUTS.items():
        if layout.recognises(configuration, names):
            return name
    shown = ", ".join(sorted({name.split(".")[0] for name in names})[:6])
    raise ValueError(
        f"{source} must be a released model, or a checkpoint in the layout of {known_text()}; "
        f"found a {configuration.get('model_type', 'model')} with weights of {shown or 'nothing'}."
    )


def load_public(layout: str, folder: Path, source: str) -> tuple[nn.Module, About]:
    """Load a public checkpoint.

    Arguments
    ---------
    layout : str
        As :func:`public_layout` says.
    folder : Path
        Of the model.
    source : str
        What was asked for; becomes its name.

    Returns
    -------
    tuple
        The model, in evaluation mode, and what is known of it.

    Raises
    ------
    ValueError
        If the layout is unknown, or the files are damaged or do not fit one another.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}; found {layout!r}.")
    module, configuration = LAYOUTS[layout], configuration_of(folder)
    path = weights_file(folder)
    state = read_state(path)
    try:
        with unfilled():  # no weight is drawn: all are read
            model, taken = module.build(configuration, state, folder, path)
        limit = module.max_seconds(configuration)
    except KeyError as error:
        raise ValueError(f"{path} lacks {error} of the layout of {module.KNOWN}.") from error
    except TypeError as error:
        raise ValueError(f"{folder / CONFIGURATION} does not fit {path}: {error}.") from error
    if left := sorted(state.keys() - taken):
        logger.info("%s: not VAD, not read: %s", path, ", ".join(left))
    about = About(
        name=_name(source),
        scale=UNIT,
        max_seconds=limit,
        licence=licence_of(folder, module.LICENCE),
        facts={
            "protocol": {"corpus": CORPUS, "release": module.RELEASE},
            "layout": layout,
            # Another model of this layout may have been trained on anything.
            "published_as": module.KNOWN,
            "left_out": left,
        },
    )
    return evaluation_mode(model), about


def _name(source: str) -> str:
    """The name of a model: on the hub as it is, of a folder its last part."""
    folder = Path(source).expanduser()
    return folder.resolve().name if folder.is_dir() else source

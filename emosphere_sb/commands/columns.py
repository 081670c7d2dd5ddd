"""``emosphere predict --columns``: describe the columns of the table of predictions."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emosphere_sb.release.model_info import ModelInfo


class ColumnsAction(argparse.Action):
    """Action that prints the columns, for the model before it if there is one, and exits."""

    def __init__(self, option_strings: list[str], dest: str, **settings: Any):
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **settings)

    def __call__(self, parser, namespace, values, option_string=None):
        print(columns_text(local_model_info(getattr(namespace, "model", None))))
        parser.exit()


def local_model_info(source: str | None) -> ModelInfo | None:
    """Read the metadata of a model in a local folder, without its weights.

    Arguments
    ---------
    source : str, optional
        Path of the folder of a released or exported model.

    Returns
    -------
    ModelInfo or None
        The metadata; ``None`` without a model, or if the folder has no metadata.

    Raises
    ------
    ValueError
        If the folder does not exist, or the metadata are invalid.
    """
    if source is None:
        return None
    from emosphere_sb.release import checksums
    from emosphere_sb.release.formats import check_format
    from emosphere_sb.release.model_info import ModelInfo

    folder = Path(source).expanduser()
    if not folder.is_dir():
        raise ValueError(
            f"--columns requires the folder of a model, or no MODEL; found {source}. Use "
            f"`emosphere predict --columns`."
        )
    path = folder / checksums.CONFIGURATION
    if not path.is_file():
        return None
    description = checksums.read_json(path)
    check_format(description, path)
    return ModelInfo.from_dict(description["about"])


def columns_text(info: ModelInfo | None) -> str:
    """Format the columns as a table with their units and ranges.

    Arguments
    ---------
    info : ModelInfo, optional
        Metadata of the model.
    """
    from emosphere_sb.console import format_table
    from emosphere_sb.inference.output.columns import describe_columns

    title = "Columns of the table" if info is None else f"Columns of the table of {info.name}"
    return format_table(
        ["column", "unit", "range", "meaning"], describe_columns(info), align="<<<<", title=title
    )

"""Read JSON files and create folders, with errors that name the path and a remedy."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def read_json_mapping(
    path: str | os.PathLike, *, remedy: str, keys: Iterable[str] = ()
) -> dict[str, Any]:
    """Read a mapping from a JSON file.

    Arguments
    ---------
    path : path
        The file.
    remedy : str
        Sentence that is appended to the error message.
    keys : iterable of str
        Keys that the mapping must have.

    Raises
    ------
    ValueError
        If the file cannot be read, is not valid JSON, is not a mapping, or lacks a key.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.json"
    >>> _ = path.write_text('{"a": 1}')
    >>> read_json_mapping(path, remedy="Delete it.", keys=["a"])
    {'a': 1}
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:  # RecursionError: too deeply nested
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"{path} is not a valid JSON file: {reason}. {remedy}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} must contain a mapping; found {type(found).__name__}. {remedy}")
    if missing := [key for key in keys if key not in found]:
        raise ValueError(f"{path} is damaged: it has no key {', '.join(missing)}. {remedy}")
    return found


def make_folder(path: str | os.PathLike) -> Path:
    """Create a folder and its parents, if they do not exist.

    Raises
    ------
    ValueError
        If a file has the name of the folder or of one of its parents.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        for taken in (path, *path.parents):
            check_is_folder(taken)
        raise ValueError(f"{path} cannot be created: {error.strerror}.") from error
    return path


def check_is_folder(path: str | os.PathLike) -> None:
    """Check that a path is a folder or does not exist.

    Raises
    ------
    ValueError
        If it is a file.
    """
    path = Path(path)
    if (path.exists() or path.is_symlink()) and not path.is_dir():
        raise ValueError(
            f"{path} must be a folder; found a file. Move or delete it, or choose another folder."
        )


def check_is_file(path: str | os.PathLike) -> None:
    """Check that a path is a file or does not exist.

    Raises
    ------
    ValueError
        If it is a folder.
    """
    if os.path.isdir(path):
        raise ValueError(
            f"{path} must be a file; found a folder. Move or delete it, or choose another folder."
        )

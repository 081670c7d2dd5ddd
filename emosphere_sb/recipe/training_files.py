"""Find the training files of a finished run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.manifest import Summary, read_manifest_rows
from data_prep.summary import load_summary
from emosphere_sb.fileio.yaml_tree import read_tree, scalars
from emosphere_sb.recipe.hparams import SAVED
from emosphere_sb.recipe.workspace import DATA_FILE, read_data_file

TRAINING_SET = "train"


@dataclass(frozen=True)
class TrainingFiles:
    """Training set of a run.

    Arguments
    ---------
    paths : list of str
        Paths of the audio files.
    durations : list of float
        Their durations in seconds.
    channel : str
        Use of several channels.
    """

    paths: list[str]
    durations: list[float]
    channel: str


def find_training_files(run: Path) -> TrainingFiles:
    """Return the training set of a finished run, according to its manifest.

    The manifest is found by its digest in the results folder of the run.

    Arguments
    ---------
    run : Path
        Folder of a finished run.

    Raises
    ------
    FileNotFoundError
        If the manifest or the corpus does not exist any more.
    ValueError
        If a file of the run is damaged.
    """
    used = read_data_file(run) or {}
    if TRAINING_SET not in used:
        raise FileNotFoundError(f"{run / DATA_FILE} does not give the digest of the training set")
    settings = scalars(read_tree(run / SAVED))
    folder = _find_manifests(used[TRAINING_SET], _results_folders(run, settings))
    if folder is None:
        raise FileNotFoundError(
            f"the manifest of the training set was not found in {settings['results_folder']}; run "
            f"the command in the folder in which the model was trained"
        )
    summary = Summary(folder, load_summary(folder))
    if not summary.data_root.is_dir():
        raise FileNotFoundError(f"the folder of the corpus does not exist: {summary.data_root}")
    rows = read_manifest_rows(summary.sets[TRAINING_SET], data_root=summary.data_root).values()
    return TrainingFiles(
        [row["wav"] for row in rows], [row["duration"] for row in rows],
        settings.get("channel") or "mix",
    )  # fmt: skip


def _results_folders(run: Path, settings: dict[str, Any]) -> list[Path]:
    """Return the results folder of a run, as it was given and from the path of the run."""
    default_depth = 3  # <results_folder>/<corpus>/<preset>/<partition>/<seed>
    return [Path(settings["results_folder"]), *run.absolute().parents[default_depth:][:1]]


def _find_manifests(digest: str, results_folders: list[Path]) -> Path | None:
    """Return the folder of the manifests with the given training set."""
    for results_folder in results_folders:
        for path in sorted(results_folder.glob(f"*/manifests/*/{TRAINING_SET}.csv")):
            if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
                return path.parent
    return None

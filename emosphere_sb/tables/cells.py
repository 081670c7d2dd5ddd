"""The runs of a table: one per configuration, corpus, seed and fold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from emosphere_sb.fileio.yaml_tree import tagged_value
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.corpora import reader_settings
from emosphere_sb.recipe.hparams import neutral_keys
from emosphere_sb.tables.spec import Group, Row, Table, cell_training_corpus, read_options

HPARAMS_FILE = "hparams/emosphere.yaml"
CELL_FILE = "cell.json"
"""File in a run's folder with the presets it was started with, which are reused to resume it."""

# Run options that do not affect the results.
RESULT_NEUTRAL_RUN_OPTIONS = (
    "device", "noprogressbar", "tqdm_colored_bar", "distributed_backend", "log_config",
    "ckpt_interval_minutes", "ckpt_interval_steps",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A run and the set whose predictions a table evaluates.

    Arguments
    ---------
    corpus : str
        Training corpus.
    preset : str
        Presets of ``presets.yaml``, joined by ``+``; may be empty.
    arguments : tuple of str
        Command-line arguments except ``--preset`` and ``--output_folder``.
    seed, fold : int
        Seed and fold of the run.
    set : str
        Name of the set to evaluate.
    folder : Path
        Folder of the run. Its name is a digest of the configuration, so rows and tables with
        the same configuration share one run.
    test_corpus : str or None
        Corpus of a cross-corpus test.
    """

    corpus: str
    preset: str
    arguments: tuple[str, ...]
    seed: int
    fold: int
    set: str
    folder: Path
    test_corpus: str | None

    def command(self) -> list[str]:
        """Return the arguments of the recipe for this run.

        Raises
        ------
        ValueError
            If ``cell.json`` in the run's folder is invalid.
        """
        preset = _initial_preset(self.folder / CELL_FILE, self.preset)
        presets = [f"--preset={preset}"] if preset else []
        return [HPARAMS_FILE, *presets, *self.arguments, f"--output_folder={self.folder}"]

    @property
    def metrics(self) -> Path:
        """Path of the metrics file, the last file that a run writes."""
        from emosphere_sb.recipe.cross_corpus import metrics_file

        if self.test_corpus:
            return metrics_file(self.folder, self.test_corpus)
        return self.folder / "metrics.json"

    @property
    def predictions(self) -> Path:
        """Path of the predictions to evaluate."""
        return self.folder / "predictions" / f"{self.set}.csv"


def _initial_preset(file: Path, preset: str) -> str:
    """Return the presets that a run was started with, or ``preset`` if it has not been started."""
    if not file.is_file():
        return preset
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["preset"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{file} is invalid: it must contain {{"preset": NAME}} with the presets of the run. '
            f"Restore the preset from hyperparams.yaml in the same folder, or write "
            f'{{"preset": "{preset}"}}.'
        ) from error
    return str(found)


class Cells:
    """Factory for the cells of tables.

    Arguments
    ---------
    results_folder : path
        Folder for runs and tables.
    data_folders : mapping of str to str
        Folder of each corpus. A corpus without a folder is generated if a preset allows it.
    preset : str
        Presets for all cells, applied after the table's and before the row's presets.
    overrides : mapping of str to str
        Keys and run options for all cells.

    Raises
    ------
    ValueError
        If a preset or key is unknown, or a key can only be set by the table.
    """

    def __init__(
        self,
        results_folder: Path,
        *,
        data_folders: Mapping[str, str] | None = None,
        preset: str = "",
        overrides: Mapping[str, str] | None = None,
    ):
        self.results_folder = Path(results_folder)
        self.data_folders = dict(data_folders or {})
        self.preset = preset
        self.overrides = read_options(overrides, "the command line")
        self._trees: dict[Cell, CommentedMap] = {}
        self._digests: dict[tuple, str] = {}  # cached: computing one takes 0.1 s

    def of(self, table: Table, row: Row, group: Group) -> dict[tuple[int, int], Cell]:
        """Return the cells of a row in a block of columns, by (seed, fold)."""
        return {
            (seed, fold): self._cell(table, row, group, seed, fold)
            for seed in table.seeds
            for fold in range(1, group.folds + 1)
        }

    def tree(self, cell: Cell) -> CommentedMap:
        """Return the merged hyperparameters of a cell."""
        if cell not in self._trees:
            self._trees[cell] = read_command(cell.command(), corpus=cell.corpus).tree
        return self._trees[cell]

    def _cell(self, table: Table, row: Row, group: Group, seed: int, fold: int) -> Cell:
        corpus = cell_training_corpus(row, group)
        other = group.tested_on if group.tested_on != corpus else None
        presets = "+".join(part for part in (table.preset, self.preset, row.preset) if part)
        words = [f"--seed={seed}"]
        if "fold" in reader_settings(corpus):
            words.append(f"--fold={fold}")
        words += [f"--{k}={v}" for k, v in (group.options | row.options | self.overrides).items()]
        key = (corpus, presets, *words)
        if key not in self._digests:
            self._digests[key] = self._digest(corpus, presets, words)
        digest = self._digests[key]
        folder = self.results_folder / "tables" / "runs" / corpus / digest
        name = group.set if other is None else f"{other}-{group.elsewhere}"
        paths = [f"--results_folder={self.results_folder}", "--noprogressbar"]
        if corpus in self.data_folders:
            paths.append(f"--data_folder={self.data_folders[corpus]}")
        if other is not None:
            folder_of_other = self.data_folders.get(other) or "?"
            paths += [f"--test_corpus={other}", f"--test_data_folder={folder_of_other}"]
        return Cell(corpus, presets, (*words, *paths), seed, fold, name, folder, other)

    def _digest(self, corpus: str, presets: str, words: Sequence[str]) -> str:
        """Return a digest of all merged settings that affect the results."""
        command = [HPARAMS_FILE, *([f"--preset={presets}"] if presets else []), *words]
        request = read_command(command, corpus=corpus)
        tree, options = request.tree, request.run_options
        neutral = {*neutral_keys(tree), "preset"}
        content: dict[str, Any] = {
            key: tagged_value(value) for key, value in tree.items() if key not in neutral
        }
        run_options = {
            key: value for key, value in options.items() if key not in RESULT_NEUTRAL_RUN_OPTIONS
        }
        text = json.dumps([corpus, content, run_options], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

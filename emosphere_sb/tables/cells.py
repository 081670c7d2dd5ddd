"""The runs behind a table: one a configuration, corpus, seed and fold, whatever a row calls it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from emosphere_sb.fileio.yaml_tree import plain
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.corpora import reader_settings
from emosphere_sb.recipe.hparams import RESULT_NEUTRAL_KEYS
from emosphere_sb.tables.spec import Group, Row, Table, read_options, trained_on

FILE = "hparams/emosphere.yaml"
ABOUT = "cell.json"
"""In a run's folder: the presets it was begun with. Resumed under another name, it keeps them."""

# Run options that change no result.
INDIFFERENT = (
    "device", "noprogressbar", "tqdm_colored_bar", "distributed_backend", "log_config",
    "ckpt_interval_minutes", "ckpt_interval_steps",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One run, and the set of its predictions that a table reads.

    Arguments
    ---------
    corpus : str
        That is trained on.
    preset : str
        Rows of ``presets.yaml``, joined by ``+``; may be empty.
    words : tuple of str
        The command line without ``--preset`` and the output folder.
    seed, fold : int
        Of the run.
    set : str
        Name of the predictions that are read.
    folder : Path
        Of the run: named by what it is, so that equal cells of several rows and tables are one run.
    test_corpus : str or None
        Another corpus that is tested on.
    """

    corpus: str
    preset: str
    words: tuple[str, ...]
    seed: int
    fold: int
    set: str
    folder: Path
    test_corpus: str | None

    def command(self) -> list[str]:
        """The recipe's arguments that make it.

        Raises
        ------
        ValueError
            If the folder's note of its presets was edited.
        """
        preset = _begun_as(self.folder / ABOUT, self.preset)
        presets = [f"--preset={preset}"] if preset else []
        return [FILE, *presets, *self.words, f"--output_folder={self.folder}"]

    @property
    def metrics(self) -> Path:
        """The file that a finished run leaves, written last."""
        from emosphere_sb.recipe.cross_corpus import metrics_file

        if self.test_corpus:
            return metrics_file(self.folder, self.test_corpus)
        return self.folder / "metrics.json"

    @property
    def predictions(self) -> Path:
        """The predictions that the table reads."""
        return self.folder / "predictions" / f"{self.set}.csv"


def _begun_as(about: Path, preset: str) -> str:
    """Under which presets a folder's run was begun; ``preset`` where there is none yet."""
    if not about.is_file():
        return preset
    try:
        found = json.loads(about.read_text(encoding="utf-8"))["preset"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{about} must hold {{"preset": NAME}}, the presets of the run beside it; it does not. '
            f'Write the preset of hyperparams.yaml there, or {{"preset": "{preset}"}}.'
        ) from error
    return str(found)


class Cells:
    """Makes the cells of tables.

    Arguments
    ---------
    results_folder : path
        Where runs and tables lie.
    data_folders : mapping of str to str
        Of each corpus that is not the demo's.
    preset : str
        Presets that every cell takes, behind the table's own and before a row's.
    overrides : mapping of str to str
        Keys and run options for every cell.

    Raises
    ------
    ValueError
        If a preset or key is unknown, or one is given that a table sets itself.
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
        self._digests: dict[tuple, str] = {}  # each takes a tenth of a second

    def of(self, table: Table, row: Row, group: Group) -> dict[tuple[int, int], Cell]:
        """The cells of one row in one block, by (seed, fold)."""
        return {
            (seed, fold): self._cell(table, row, group, seed, fold)
            for seed in table.seeds
            for fold in range(1, group.folds + 1)
        }

    def tree(self, cell: Cell) -> CommentedMap:
        """The merged hyperparameters of a cell."""
        if cell not in self._trees:
            self._trees[cell] = read_command(cell.command(), corpus=cell.corpus).tree
        return self._trees[cell]

    def _cell(self, table: Table, row: Row, group: Group, seed: int, fold: int) -> Cell:
        corpus = trained_on(row, group)
        other = group.tested_on if group.tested_on != corpus else None
        presets = "+".join(part for part in (table.preset, self.preset, row.preset) if part)
        words = [f"--seed={seed}"]
        if "fold" in reader_settings(corpus):
            words.append(f"--fold={fold}")
        words += [f"--{k}={v}" for k, v in (group.options | row.options | self.overrides).items()]
        asked = (corpus, presets, *words)
        if asked not in self._digests:
            self._digests[asked] = self._digest(corpus, presets, words)
        digest = self._digests[asked]
        folder = self.results_folder / "tables" / "runs" / corpus / digest
        name = group.set if other is None else f"{other}-{group.elsewhere}"
        places = [f"--results_folder={self.results_folder}", "--noprogressbar"]
        if corpus in self.data_folders:
            places.append(f"--data_folder={self.data_folders[corpus]}")
        if other is not None:
            where = self.data_folders.get(other, "")
            places += [f"--test_corpus={other}", f"--test_data_folder={where or '?'}"]
        return Cell(corpus, presets, (*words, *places), seed, fold, name, folder, other)

    def _digest(self, corpus: str, presets: str, words: Sequence[str]) -> str:
        """What a run is: its merged settings but for those that change no result."""
        command = [FILE, *([f"--preset={presets}"] if presets else []), *words]
        request = read_command(command, corpus=corpus)
        tree, options = request.tree, request.run_options
        content: dict[str, Any] = {
            key: plain(value)
            for key, value in tree.items()
            if key not in (*RESULT_NEUTRAL_KEYS, "preset")
        }
        told = {key: value for key, value in options.items() if key not in INDIFFERENT}
        text = json.dumps([corpus, content, told], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

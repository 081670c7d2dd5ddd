"""Definitions of results tables, read and validated from ``hparams/tables.yaml``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emosphere_sb.fileio.yaml_tree import read_tree
from emosphere_sb.recipe.arguments import HPARAMS
from emosphere_sb.recipe.corpora import corpus_name
from emosphere_sb.recipe.renamed_keys import unknown_name
from emosphere_sb.tables.columns import COLUMNS, Column

TABLES_FILE = HPARAMS / "tables.yaml"

TABLE_KEYS = (
    "caption", "preset", "seeds", "groups", "columns", "labels", "reference", "rows",
)  # fmt: skip
GROUP_KEYS = ("corpus", "tested_on", "set", "elsewhere", "folds", "options")
ROW_KEYS = ("label", "preset", "options", "corpus", "published")
RESERVED_KEYS = ("seed", "fold", "preset", "data_folder", "results_folder", "output_folder",
            "test_corpus", "test_data_folder")  # fmt: skip
"""Keys of ``emosphere.yaml`` that are set by the table and cannot be options."""


@dataclass(frozen=True)
class Group:
    """Block of columns: the test corpus and the set whose predictions are evaluated."""

    tested_on: str
    corpus: str | None
    set: str
    elsewhere: str
    folds: int
    options: Mapping[str, str]

    @property
    def title(self) -> str:
        """Header of the block."""
        pooled = f", {self.folds} folds pooled" if self.folds > 1 else ""
        name = self.set if self.elsewhere == self.set or self.corpus else "test"
        return f"{self.tested_on} {name}{pooled}"


@dataclass(frozen=True)
class Row:
    """Row of a table: its labels and the settings it changes."""

    name: str
    labels: tuple[str, ...]
    preset: str
    options: Mapping[str, str]
    corpus: str | None
    published: tuple[float, ...]


@dataclass(frozen=True)
class Table:
    """Definition of a table. The fields are described in ``tables.yaml``."""

    name: str
    caption: str
    preset: str
    seeds: tuple[int, ...]
    groups: tuple[Group, ...]
    columns: tuple[Column, ...]
    labels: tuple[str, ...]
    reference: str | None
    rows: tuple[Row, ...]

    def pairs(self) -> Iterator[tuple[Row, Group]]:
        """Iterate over all pairs of a row and a block of columns."""
        return ((row, group) for row in self.rows for group in self.groups)

    def published_scores(self, row: Row) -> list[float | None]:
        """Return the published score of each column for a row; ``None`` without a score."""
        given = dict(zip(self.columns, row.published, strict=False))
        shared = [COLUMNS.get(column.published_in or "", column) for column in self.columns]
        return [given.get(column) for column in shared]

    def corpora(self) -> list[str]:
        """Return the names of all corpora that the table uses."""
        names = [
            name for row, group in self.pairs() for name in (cell_training_corpus(row, group),)
        ]
        return list(dict.fromkeys([*names, *(group.tested_on for group in self.groups)]))


def cell_training_corpus(row: Row, group: Group) -> str:
    """Return the corpus that a cell is trained on."""
    return row.corpus or group.corpus or group.tested_on


def table_names(file: Path = TABLES_FILE) -> list[str]:
    """Return the names of all tables in a file."""
    return list(read_tree(file))


def read_table_spec(name: str, file: Path = TABLES_FILE) -> Table:
    """Read the definition of a table.

    Arguments
    ---------
    name : str
        Name of the table.
    file : path
        File with table definitions; the package's ``tables.yaml`` by default.

    Raises
    ------
    ValueError
        If the table does not exist or its definition is invalid. The message states where.
    """
    tree = read_tree(file)
    if name not in tree:
        raise ValueError(unknown_name("table", name, tree))
    spec = tree[name]
    place = f"{Path(file).name}, {name}"
    _check_keys(spec, TABLE_KEYS, place)
    for key in ("caption", "seeds", "groups", "columns", "labels", "rows"):
        if not spec.get(key):
            raise ValueError(f"{place}: {key} is required; found {spec.get(key)!r}.")
    for key in ("seeds", "groups", "columns", "labels"):
        _check_list(spec[key], f"{place}: {key}")
    _check_mapping(spec["rows"], f"{place}, rows")
    labels = tuple(map(str, spec["labels"]))
    columns = tuple(_column(column, place) for column in spec["columns"])
    groups = tuple(_group(item, place) for item in spec["groups"])
    rows = tuple(
        _row(str(key), item or {}, labels, len(columns), place)
        for key, item in spec["rows"].items()
    )
    reference = None if spec.get("reference") is None else str(spec["reference"])
    names = [row.name for row in rows]
    if reference is not None and reference not in names:
        raise ValueError(f"{place}: reference: {unknown_name('row', reference, names)}")
    if any(row.published for row in rows) and len(groups) > 1:
        raise ValueError(
            f"{place}: published scores require a table with one group; found {len(groups)} groups."
        )
    return Table(
        name, str(spec["caption"]), str(spec.get("preset") or ""), read_seeds(spec["seeds"], place),
        groups, columns, labels, reference, rows,
    )  # fmt: skip


def read_seeds(values: Sequence, place: str) -> tuple[int, ...]:
    """Convert seeds to a tuple of distinct non-negative integers.

    Raises
    ------
    ValueError
        If a seed is not an integer >= 0, or is repeated.

    Example
    -------
    >>> read_seeds(["1", 2], "--seeds")
    (1, 2)
    """
    texts = [str(value).strip() for value in values]
    if not texts or not all(text.isdigit() for text in texts):
        raise ValueError(f"{place}: seeds must be integers >= 0; found {', '.join(texts)}.")
    seeds = tuple(int(text) for text in texts)
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"{place}: seeds must be distinct; found {', '.join(texts)}.")
    return seeds


def read_options(options: Mapping[str, Any] | None, place: str) -> dict[str, str]:
    """Convert overrides to strings, as they would be written on the command line."""
    if options is not None:
        _check_mapping(options, f"{place}, options")
    for key in options or {}:
        if key in RESERVED_KEYS:
            raise ValueError(
                f"{place}: {key} is set by the table and cannot be an option. Use --seeds, "
                f"--preset, --data_folder or --results_folder."
            )
    return {key: _text(value) for key, value in (options or {}).items()}


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return str(value)


def _column(name: str, place: str) -> Column:
    if str(name) not in COLUMNS:
        raise ValueError(f"{place}: {unknown_name('column', str(name), COLUMNS)}")
    return COLUMNS[name]


def _group(spec: Mapping, place: str) -> Group:
    _check_keys(spec, GROUP_KEYS, f"{place}, groups")
    if ("corpus" in spec) == ("tested_on" in spec) or "set" not in spec:
        raise ValueError(
            f"{place}: each group requires a set, and either corpus or tested_on; found "
            f"{', '.join(spec) or 'nothing'}."
        )
    folds = spec.get("folds", 1)
    if not isinstance(folds, int) or isinstance(folds, bool) or folds < 1:
        raise ValueError(f"{place}: folds must be an integer >= 1; found {folds!r}.")
    tested = _corpus(spec.get("corpus", spec.get("tested_on")), f"{place}, groups")
    return Group(
        tested, tested if "corpus" in spec else None, str(spec["set"]),
        str(spec.get("elsewhere", spec["set"])), folds, read_options(spec.get("options"), place),
    )  # fmt: skip


def _row(name: str, spec: Mapping, labels: Sequence[str], columns: int, place: str) -> Row:
    place = f"{place}, rows, {name}"
    _check_keys(spec, ROW_KEYS, place)
    texts = tuple(map(str, _check_list(spec.get("label", [name]), f"{place}: label")))
    if len(texts) != len(labels):
        raise ValueError(
            f"{place}: label must have one entry for each of {', '.join(labels)}; found "
            f"{', '.join(texts)}."
        )
    published = _read_numbers(spec.get("published", []), f"{place}: published")
    if len(published) > columns:
        raise ValueError(
            f"{place}: published must have at most {columns} values, one per column; "
            f"found {len(published)}."
        )
    corpus = spec.get("corpus")
    if corpus is not None:
        corpus = _corpus(corpus, place)
    options = read_options(spec.get("options"), place)
    return Row(name, texts, str(spec.get("preset") or ""), options, corpus, published)


def _check_keys(spec: Any, allowed: Sequence[str], place: str) -> None:
    _check_mapping(spec, place)
    for key in spec:
        if key not in allowed:
            raise ValueError(f"{place}: {unknown_name('key', str(key), allowed)}")


def _check_mapping(value: Any, place: str) -> None:
    if not isinstance(value, Mapping):
        raise ValueError(f"{place} must be a mapping of keys to values; found {value!r}.")


def _check_list(value: Any, place: str) -> Sequence:
    if not isinstance(value, list):  # iterating over a string would yield its characters
        raise ValueError(f"{place} must be a list such as [a, b]; found {value!r}.")
    return value


def _read_numbers(values: Any, place: str) -> tuple[float, ...]:
    for value in _check_list(values, place):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{place} must contain only numbers; found {value!r}.")
    return tuple(map(float, values))


def _corpus(name: Any, place: str) -> str:
    try:
        return corpus_name(str(name))
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error

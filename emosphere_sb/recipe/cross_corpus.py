"""Testing a trained model on another corpus, on that corpus's own scale."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from data_prep.manifest import LEARNED_FROM, Summary, read_rows
from emosphere_sb.fileio.yaml_tree import read_tree, scalars
from emosphere_sb.recipe.arguments import HPARAMS, Arguments
from emosphere_sb.recipe.corpora import corpus_module, reader_settings
from emosphere_sb.recipe.hparams import merge
from emosphere_sb.recipe.renamed_keys import unknown_name
from emosphere_sb.recipe.workspace import data_digests, prepare_corpus

FILE = HPARAMS / "emosphere.yaml"
NOT_TESTED = {f"drop_{name}" for name in LEARNED_FROM}
"""Settings of sets that are not tested on."""


@dataclass(frozen=True)
class OtherCorpus:
    """A corpus that is tested on: name, preparation, sets, and the settings that were given."""

    name: str
    summary: Summary
    rows: dict[str, dict]
    options: dict[str, Any]

    def facts(self) -> dict[str, Any]:
        """What a figure on it must be quoted with."""
        return {
            "corpus": self.name,
            "release": self.summary.release,
            "scale": self.summary.facts["scale"],
            "options": self.options,
            "utterances": {name: len(part) for name, part in self.rows.items()},
            "manifests": data_digests(self.summary),
        }


def other_corpus(settings: dict, trained: Summary) -> OtherCorpus | None:
    """Prepare ``test_corpus``: its official test sets, or all of it where it has none.

    It is prepared by its own defaults and ``test_options``, whatever was said of the corpus that is
    trained on.

    Raises
    ------
    FileNotFoundError, ValueError
        If it cannot be read, has no test set, or is the corpus that the model is trained on.
    """
    corpus = settings["test_corpus"]
    if corpus is None:
        return None
    summary, options = prepare_tested(settings, corpus)
    if summary.data_root.resolve() == trained.data_root.resolve():
        raise ValueError(
            f"--test_data_folder must be another corpus; found {summary.data_root}, which the "
            f"model is trained on: its test sets are tested anyway."
        )
    sets = sets_to_test(summary)
    _refuse_learned(sets, trained)
    named = {f"{corpus}-{name}": part for name, part in sets.items()}
    return OtherCorpus(corpus, summary, named, options)


def prepare_tested(
    settings: dict, corpus: str, *, said_by: str = "--test_data_folder"
) -> tuple[Summary, dict[str, Any]]:
    """Prepare a corpus that is only tested on, by its own defaults and ``test_options``.

    Arguments
    ---------
    settings : dict
        With ``test_data_folder``, ``test_options``, and what a preparation asks for.
    corpus : str
        Its name.
    said_by : str
        What the user calls its folder, for messages.

    Returns
    -------
    tuple
        The summary, and the options that were given or are the corpus's own where all of it is
        tested.

    Raises
    ------
    FileNotFoundError, ValueError
        If it cannot be read, or an option is unknown.
    """
    options = {**getattr(corpus_module(corpus), "WHOLE", {}), **parse_options(settings, corpus)}
    own = scalars(read_tree(FILE))
    other = {**settings, **{key: own[key] for key in reader_settings(corpus) if key in own}}
    other |= {**options, "data_folder": settings["test_data_folder"]}
    if "drop_test" in options:  # where all of it is tested: of whatever set its reader makes
        other |= dict.fromkeys(NOT_TESTED, options["drop_test"])
    if not Path(other["data_folder"]).expanduser().is_dir():
        raise FileNotFoundError(
            f"{said_by} must be a folder that holds {corpus}; found {other['data_folder']}."
        )
    return prepare_corpus(other, corpus, needed=()), options


def sets_to_test(summary: Summary, *, said_by: str = "--test_data_folder") -> dict[str, dict]:
    """Manifest rows of the official test sets, or of ``all`` where the corpus has none.

    Raises
    ------
    ValueError
        If it has official sets, and no test set among them.
    """
    sets = {
        name: read_rows(path, data_root=summary.data_root) for name, path in summary.sets.items()
    }
    if summary.facts["official_split"]:
        sets = {name: part for name, part in sets.items() if name not in LEARNED_FROM}
    else:
        sets = {"all": {key: row for part in sets.values() for key, row in part.items()}}
    if not sets:
        raise ValueError(
            f"{said_by} must hold a test set of {summary.corpus}; found "
            f"{', '.join(summary.sets)} in {summary.data_root}."
        )
    return sets


def _refuse_learned(sets: Mapping[str, Mapping[str, Mapping]], trained: Summary) -> None:
    """Refuses audio that the model is trained on: a copy of its corpus has another folder."""
    for learned in LEARNED_FROM:
        known = read_rows(trained.sets[learned], data_root=trained.data_root)
        for part in sets.values():
            for name in part.keys() & known.keys():
                pair = part[name]["wav"], known[name]["wav"]
                if all(map(os.path.isfile, pair)) and filecmp.cmp(*pair, shallow=False):
                    raise ValueError(
                        f"--test_data_folder must be another corpus; found {pair[0]}, the same "
                        f"audio as {pair[1]} in the set '{learned}' of the model's own."
                    )


def parse_options(settings: dict, corpus: str) -> dict[str, Any]:
    """The mapping in ``test_options``, whose values are read as the command line's are.

    YAML alone would make release 1.10 of 1.1, and truth of ``no``.

    Example
    -------
    >>> parse_options({"test_options": "{label_low: 1, release: 1.10}"}, "OwnData")
    {'label_low': 1, 'release': '1.10'}
    """
    text = settings["test_options"]
    try:
        words = YAML(typ="base").load(text) if text else {}  # all scalars as text
    except YAMLError:
        words = None
    if not isinstance(words, dict):
        raise ValueError(
            f"test_options must be a mapping such as '{{label_low: 1, label_high: 5}}'; found "
            f"{text!r}."
        )
    allowed = reader_settings(corpus) - NOT_TESTED
    for key in words:
        if key not in allowed:
            raise ValueError(f"test_options: {unknown_name('key', str(key), allowed)}")
    overrides = {key: _as_word(value) for key, value in words.items()}
    try:
        values = scalars(merge(Arguments(FILE, overrides=overrides)))
    except ValueError as error:
        raise ValueError(f"test_options: {error}") from error
    return {key: values[key] for key in words}


def _as_word(value: Any) -> str:
    """A value as it would stand on the command line."""
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return "null" if value in (None, "") else str(value)


def metrics_file(folder: Path, corpus: str) -> Path:
    """Where the figures on another corpus stand, beside the run's own."""
    return folder / f"metrics_on_{corpus}.json"

"""Cross-corpus tests: evaluation on another corpus, on the label scale of that corpus."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from data_prep.manifest import TRAINING_SETS, Summary, read_manifest_rows
from emosphere_sb.fileio.yaml_tree import read_tree, scalars
from emosphere_sb.recipe.arguments import HPARAMS, Arguments
from emosphere_sb.recipe.corpora import corpus_module, reader_settings
from emosphere_sb.recipe.hparams import merge
from emosphere_sb.recipe.renamed_keys import unknown_name
from emosphere_sb.recipe.workspace import data_digests, prepare_corpus

HPARAMS_FILE = HPARAMS / "emosphere.yaml"
TRAINING_ONLY_KEYS = {f"drop_{name}" for name in TRAINING_SETS}
"""Settings that affect only the training and development sets."""


@dataclass(frozen=True)
class OtherCorpus:
    """Corpus of a cross-corpus test.

    Arguments
    ---------
    name : str
        Name of the corpus.
    summary : Summary
        Summary of the prepared corpus.
    rows : dict
        Manifest rows of each set.
    options : dict
        Settings given for the corpus.
    """

    name: str
    summary: Summary
    rows: dict[str, dict]
    options: dict[str, Any]

    def metadata(self) -> dict[str, Any]:
        """Return the metadata to save in ``metrics.json`` with results on this corpus."""
        return {
            "corpus": self.name,
            "release": self.summary.release,
            "scale": self.summary.facts["scale"],
            "options": self.options,
            "utterances": {name: len(part) for name, part in self.rows.items()},
            "manifests": data_digests(self.summary),
        }


def prepare_other_corpus(settings: dict, trained: Summary) -> OtherCorpus | None:
    """Prepare the test sets of ``test_corpus``, or all utterances if it has no official split.

    The corpus is prepared with its own defaults and ``test_options``, not with the settings of the
    training corpus.

    Raises
    ------
    FileNotFoundError, ValueError
        If the corpus cannot be read, has no test set, or is the training corpus.
    """
    corpus = settings["test_corpus"]
    if corpus is None:
        return None
    summary, options = prepare_test_corpus(settings, corpus)
    if summary.data_root.resolve() == trained.data_root.resolve():
        raise ValueError(
            f"--test_data_folder must not be the training corpus; found {summary.data_root}. The "
            f"test sets of the training corpus are evaluated without this option."
        )
    sets = sets_to_test(summary)
    _check_no_training_audio(sets, trained)
    named = {f"{corpus}-{name}": part for name, part in sets.items()}
    return OtherCorpus(corpus, summary, named, options)


def prepare_test_corpus(
    settings: dict, corpus: str, *, option: str = "--test_data_folder"
) -> tuple[Summary, dict[str, Any]]:
    """Prepare a corpus for testing only, with its own defaults and ``test_options``.

    Arguments
    ---------
    settings : dict
        Settings of the preparation, including ``test_data_folder`` and ``test_options``.
    corpus : str
        Name of the corpus.
    option : str
        Command-line option that gives the folder of the corpus, for error messages.

    Returns
    -------
    tuple
        Summary of the prepared corpus, and the options that were used.

    Raises
    ------
    FileNotFoundError, ValueError
        If the corpus cannot be read, or an option is unknown.
    """
    options = {**getattr(corpus_module(corpus), "WHOLE", {}), **parse_options(settings, corpus)}
    own = scalars(read_tree(HPARAMS_FILE))
    other = {**settings, **{key: own[key] for key in reader_settings(corpus) if key in own}}
    other |= {**options, "data_folder": settings["test_data_folder"]}
    if "drop_test" in options:  # all utterances are tested, so it applies to every set
        other |= dict.fromkeys(TRAINING_ONLY_KEYS, options["drop_test"])
    if not Path(other["data_folder"]).expanduser().is_dir():
        raise FileNotFoundError(
            f"{option}={other['data_folder']} is not a folder. Set it to the folder of {corpus}."
        )
    return prepare_corpus(other, corpus, needed=()), options


def sets_to_test(summary: Summary, *, option: str = "--test_data_folder") -> dict[str, dict]:
    """Return the rows of the official test sets; without an official split, all rows as ``all``.

    Raises
    ------
    ValueError
        If the corpus has an official split without a test set.
    """
    sets = {
        name: read_manifest_rows(path, data_root=summary.data_root)
        for name, path in summary.sets.items()
    }
    if summary.facts["official_split"]:
        sets = {name: part for name, part in sets.items() if name not in TRAINING_SETS}
    else:
        sets = {"all": {key: row for part in sets.values() for key, row in part.items()}}
    if not sets:
        raise ValueError(
            f"{option} must contain a test set of {summary.corpus}; found only "
            f"{', '.join(summary.sets)} in {summary.data_root}."
        )
    return sets


def _check_no_training_audio(sets: Mapping[str, Mapping[str, Mapping]], trained: Summary) -> None:
    """Check that no test file is identical to a training or development file.

    This finds copies of the training corpus in another folder.
    """
    for learned in TRAINING_SETS:
        known = read_manifest_rows(trained.sets[learned], data_root=trained.data_root)
        for part in sets.values():
            for name in part.keys() & known.keys():
                pair = part[name]["wav"], known[name]["wav"]
                if all(map(os.path.isfile, pair)) and filecmp.cmp(*pair, shallow=False):
                    raise ValueError(
                        f"--test_data_folder must not be a copy of the training corpus; {pair[0]} "
                        f"is identical to {pair[1]} in the {learned} set."
                    )


def parse_options(settings: dict, corpus: str) -> dict[str, Any]:
    """Parse the mapping in ``test_options``. Its values are parsed as they are on the
    command line.

    Plain YAML would read release 1.10 as 1.1.

    Raises
    ------
    ValueError
        If the text is not a mapping, or a setting is unknown or has an invalid value.

    Example
    -------
    >>> parse_options({"test_options": "{label_low: 1, release: 1.10}"}, "OwnData")
    {'label_low': 1, 'release': '1.10'}
    """
    text = settings["test_options"]
    try:
        given = YAML(typ="base").load(text) if text else {}  # all scalars as text
    except YAMLError:
        given = None
    if not isinstance(given, dict):
        raise ValueError(
            f"test_options must be a mapping such as '{{label_low: 1, label_high: 5}}'; found "
            f"{text!r}."
        )
    allowed = reader_settings(corpus) - TRAINING_ONLY_KEYS
    for key in given:
        if key not in allowed:
            raise ValueError(f"test_options: {unknown_name('key', str(key), allowed)}")
    overrides = {key: _as_argument(value) for key, value in given.items()}
    try:
        values = scalars(merge(Arguments(HPARAMS_FILE, overrides=overrides)))
    except ValueError as error:
        raise ValueError(f"test_options: {error}") from error
    return {key: values[key] for key in given}


def _as_argument(value: Any) -> str:
    """Convert a value to a string, as it would be written on the command line."""
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return "null" if value in (None, "") else str(value)


def metrics_file(folder: Path, corpus: str) -> Path:
    """Return the path of the metrics of a cross-corpus test in a run's folder."""
    return folder / f"metrics_on_{corpus}.json"

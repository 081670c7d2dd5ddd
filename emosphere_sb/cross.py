"""Testing a trained model on another corpus, on that corpus's own scale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from data_prep.manifest import LEARNED_FROM, Summary, read_rows
from emosphere_sb.arguments import HPARAMS
from emosphere_sb.corpora import corpus_module, reader_settings
from emosphere_sb.hparams import read_tree, scalars, unknown
from emosphere_sb.workspace import prepare_corpus


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
        }


def other_corpus(settings: dict, trained: Summary) -> OtherCorpus | None:
    """Prepare ``test_corpus``: its official test sets, or all of it where it has none.

    It is prepared by its own defaults and ``test_options``, whatever was said of the corpus that is
    trained on.

    Raises
    ------
    FileNotFoundError, ValueError
        If it cannot be read, or is the corpus that the model is trained on.
    """
    corpus = settings["test_corpus"]
    if corpus is None:
        return None
    options = {**getattr(corpus_module(corpus), "WHOLE", {}), **parse_options(settings, corpus)}
    own = scalars(read_tree(HPARAMS / "emosphere.yaml"))
    other = {**settings, **{key: own[key] for key in reader_settings(corpus) if key in own}}
    other |= {**options, "data_folder": settings["test_data_folder"]}
    if not Path(other["data_folder"]).expanduser().is_dir():
        raise FileNotFoundError(
            f"--test_data_folder must be a folder that holds {corpus}; found "
            f"{other['data_folder']}."
        )
    summary = prepare_corpus(other, corpus, needed=())
    if summary.data_root.resolve() == trained.data_root.resolve():
        raise ValueError(
            f"--test_data_folder must be another corpus; found {summary.data_root}, which the "
            f"model is trained on: its test sets are tested anyway."
        )
    sets = {
        name: read_rows(path, data_root=summary.data_root) for name, path in summary.sets.items()
    }
    if summary.facts["official_split"]:
        sets = {name: part for name, part in sets.items() if name not in LEARNED_FROM}
    else:
        sets = {"all": {key: row for part in sets.values() for key, row in part.items()}}
    named = {f"{corpus}-{name}": part for name, part in sets.items()}
    return OtherCorpus(corpus, summary, named, options)


def parse_options(settings: dict, corpus: str) -> dict[str, Any]:
    """The mapping in ``test_options``, all of whose keys the corpus has.

    Example
    -------
    >>> parse_options({"test_options": "{label_low: 1, label_high: 5}"}, "OwnData")
    {'label_low': 1, 'label_high': 5}
    """
    text = settings["test_options"]
    try:
        options = YAML(typ="safe").load(text) if text else {}
    except YAMLError:
        options = None
    if not isinstance(options, dict):
        raise ValueError(
            f"test_options must be a mapping such as '{{label_low: 1, label_high: 5}}'; found "
            f"{text!r}."
        )
    allowed = reader_settings(corpus)
    for key in options:
        if key not in allowed:
            raise ValueError(f"test_options: {unknown('key', key, allowed)}")
    return options


def metrics_file(folder: Path, corpus: str) -> Path:
    """Where the figures on another corpus stand, beside the run's own."""
    return folder / f"metrics_on_{corpus}.json"

"""Help text of the recipes, from ``emosphere.yaml`` and ``presets.yaml``. Does not import torch."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emosphere_sb.fileio.yaml_tree import read_tree, tag_of
from emosphere_sb.recipe.arguments import HPARAMS, RUN_OPTIONS
from emosphere_sb.recipe.corpora import CORPORA, reader_settings
from emosphere_sb.recipe.hparams import (
    CHOICE_KEYS,
    MAPPING_KEYS,
    NUMBER_KEYS,
    STRING_OR_NUMBER_KEYS,
    WORD_KEYS,
)

TOPICS = ("presets",)
_HEADING = re.compile(r"# -{2,} (?P<title>.+?) -{2,}$")
_ENTRY = re.compile(r"(?P<key>[A-Za-z]\w*):(?P<value>.*?)(?:\s# (?P<meaning>.+))?$")

INTRODUCTION = """\
usage: {program} HPARAMS.yaml [--preset=NAME[+NAME]] [--key=value ...]

Prepare {corpus}, train a model on it, and evaluate the model on all test sets. Results are written
to results/.

  HPARAMS.yaml           hyperparameter file; hparams/emosphere.yaml is the paper's model
  --preset=NAME[+NAME]   apply presets in the given order; --help=presets lists them
  --key=value            set a key of HPARAMS.yaml; keys cannot be abbreviated
"""
RUN_OPTIONS_HEADING = "SpeechBrain's run options"

COMPONENTS = {
    "normaliser": "object that normalises waveforms",
    "encoder": "object that computes frame-level features from waveforms with the backbone",
    "pooling": "object that pools the features of all frames into one vector per utterance",
    "vad_head": "object that predicts valence, arousal and dominance from the pooled vector",
    "task": "object that defines the classes and the loss of the auxiliary task",
    "auxiliary_head": "object that predicts the classes of the auxiliary task; null: no such head",
    "weighting": "object that weights the regression loss and the auxiliary loss",
    "regression_loss": "object that computes the loss for predicted valence, arousal and dominance",
    "opt_class": "optimiser class with its arguments",
    "epoch_counter": "object that counts epochs and stops training",
}
"""Descriptions of the keys without a comment in ``emosphere.yaml``."""


@dataclass(frozen=True)
class HelpEntry:
    """Key or preset in a YAML file.

    Arguments
    ---------
    group : str
        Heading of the section.
    name : str
        Name of the key or preset.
    meaning : str
        Description, taken from the comment on the same line.
    """

    group: str
    name: str
    meaning: str


def read_entries(path: Path) -> list[HelpEntry]:
    """Return the top-level keys of a YAML file with their headings and comments."""
    group, entries = "", []
    for line in path.read_text(encoding="utf-8").splitlines():
        if heading := _HEADING.fullmatch(line):
            group = heading["title"]
        elif entry := _ENTRY.fullmatch(line):
            entries.append(HelpEntry(group, entry["key"], entry["meaning"] or ""))
    return entries


def recipe_help(corpus: str, *, program: str | None = None, topic: str = "") -> str:
    """Return the help text of a recipe.

    Arguments
    ---------
    corpus : str
        Name of the corpus. Keys that apply only to other corpora are not listed.
    program : str, optional
        Name of the command; ``python recipes/<corpus>/train.py`` by default.
    topic : str
        ``presets`` to list the presets instead of the keys.

    Raises
    ------
    ValueError
        If the topic is unknown.
    """
    if topic == "presets":
        return _presets()
    if topic:
        raise ValueError(f"--help can only have the value {' or '.join(TOPICS)}; found {topic!r}.")
    program = program or f"python recipes/{corpus}/train.py"
    lines = [INTRODUCTION.format(program=program, corpus=corpus)]
    tree = read_tree(HPARAMS / "emosphere.yaml")
    lines += _keys(corpus, tree)
    names = ", ".join(name for name in RUN_OPTIONS if name not in tree)
    lines += [f"{RUN_OPTIONS_HEADING}:", *_wrap(names, indent=2)]
    return "\n".join(lines)


def _presets() -> str:
    lines = ["Presets, used as --preset=NAME or combined as --preset=A+B:"]
    entries = read_entries(HPARAMS / "presets.yaml")
    width = max(len(entry.name) for entry in entries)
    for group, members in _by_group(entries):
        lines += ["", f"{group}:"]
        for entry in members:
            lines.append(f"  {entry.name:<{width}}  {entry.meaning}")
    return "\n".join(lines)


def _keys(corpus: str, tree: Mapping[str, Any]) -> Iterator[str]:
    """Generate the lines that describe the keys of a corpus, by group."""
    other_keys = set().union(*(reader_settings(name) for name in CORPORA)) - reader_settings(corpus)
    for group, entries in _by_group(read_entries(HPARAMS / "emosphere.yaml")):
        shown = [e for e in entries if e.name not in {*other_keys, "preset", "modules"}]
        if not shown:
            continue
        yield f"{group}:"
        for entry in shown:
            value = tree[entry.name]
            yield f"  --{entry.name} {_type_name(entry.name, value)}"
            yield from _wrap(_describe(entry, value), indent=6)
        yield ""


def _describe(entry: HelpEntry, value: Any) -> str:
    """Return the description of a key and its default."""
    meaning = entry.meaning or COMPONENTS[entry.name]
    return f"{meaning} (default: {_format_default(value)})"


def _by_group(entries: list[HelpEntry]) -> Iterator[tuple[str, list[HelpEntry]]]:
    groups = dict.fromkeys(entry.group for entry in entries)
    return ((group, [entry for entry in entries if entry.group == group]) for group in groups)


def _type_name(key: str, value: Any) -> str:
    """Return the type of a value for the help text."""
    if key in MAPPING_KEYS:
        return "MAPPING"
    if key in NUMBER_KEYS:
        return "NUMBER"
    if key in STRING_OR_NUMBER_KEYS:
        return "TEXT|NUMBER"
    if key in CHOICE_KEYS:
        return "|".join(["True|False", *CHOICE_KEYS[key]])
    if key in WORD_KEYS:
        return "|".join(["null", *WORD_KEYS[key]])
    if tag_of(value) == "!ref":
        return "NUMBER"
    if tag_of(value):
        return "OBJECT"
    names = {bool: "True|False", int: "INTEGER", list: "LIST"}
    for kind, name in names.items():
        if isinstance(value, kind):
            return name
    return "NUMBER" if isinstance(value, float) else "TEXT"


def _format_default(value: Any) -> str:
    """Format a default value as it would be written on the command line."""
    tag = tag_of(value)
    if tag == "!ref":
        return str(value.value).strip("<>")
    if tag:
        return str(tag).rpartition(".")[2]
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return "null" if value is None else str(value)


def _wrap(text: str, *, indent: int) -> list[str]:
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    return textwrap.wrap(
        text, width, initial_indent=" " * indent, subsequent_indent=" " * indent,
        break_on_hyphens=False,
    )  # fmt: skip

"""The corpora that a recipe can be run on, and the settings that each of them has."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from types import ModuleType

# A corpus is one file in data_prep/ and its name here.
CORPORA = {
    "MSP-Podcast": "data_prep.msp_podcast.reader",
    "IEMOCAP": "data_prep.iemocap.reader",
    "MSP-IMPROV": "data_prep.msp_improv.reader",
    "OwnData": "data_prep.own_data.reader",
}


def corpus_module(corpus: str) -> ModuleType:
    """The module that reads a corpus's label files.

    Raises
    ------
    ValueError
        If there is no such corpus.
    """
    return importlib.import_module(CORPORA[corpus_name(corpus)])


def reader_settings(corpus: str) -> set[str]:
    """Names of the settings that a corpus's ``read`` takes."""
    return set(inspect.signature(corpus_module(corpus).read).parameters) - {"data_folder"}


def corpus_name(text: str) -> str:
    """A corpus's name as it is written here, whatever the case of its letters.

    Raises
    ------
    ValueError
        If there is no such corpus.

    Example
    -------
    >>> corpus_name("msp-improv")
    'MSP-IMPROV'
    """
    for name in CORPORA:
        if name.casefold() == text.casefold():
            return name
    raise ValueError(f"Unknown corpus {text!r}. Allowed: {', '.join(CORPORA)}.")


def check_corpus_keys(keys: Iterable[str], corpus: str) -> None:
    """Raise ``ValueError`` for keys that only other corpora use.

    Arguments
    ---------
    keys : iterable of str
        Keys on the command line. Those of presets are not checked: presets serve all corpora.
    corpus : str
        The one that is trained on.

    Raises
    ------
    ValueError
        Naming the setting, and the corpora that have it.

    Example
    -------
    >>> check_corpus_keys(["seed", "fold"], "IEMOCAP")
    >>> check_corpus_keys(["four_classes"], "MSP-IMPROV")
    Traceback (most recent call last):
    ValueError: --four_classes belongs to IEMOCAP and does nothing for MSP-IMPROV; leave it out \
(settings of a --test_corpus go into --test_options).
    """
    for key in keys:
        owners = [name for name in CORPORA if key in reader_settings(name)]
        if owners and key not in reader_settings(corpus):
            raise ValueError(
                f"--{key} belongs to {', '.join(owners)} and does nothing for {corpus}; leave it "
                f"out (settings of a --test_corpus go into --test_options)."
            )

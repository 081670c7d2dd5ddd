"""Supported corpora and the settings of each."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from types import ModuleType

# To add a corpus, write a reader in data_prep/ and list it here.
CORPORA = {
    "MSP-Podcast": "data_prep.msp_podcast.reader",
    "IEMOCAP": "data_prep.iemocap.reader",
    "MSP-IMPROV": "data_prep.msp_improv.reader",
    "OwnData": "data_prep.own_data.reader",
}


def corpus_module(corpus: str) -> ModuleType:
    """Return the module that reads the label files of a corpus.

    Raises
    ------
    ValueError
        If the corpus is unknown.
    """
    return importlib.import_module(CORPORA[corpus_name(corpus)])


def reader_settings(corpus: str) -> set[str]:
    """Return the names of a corpus's settings: the arguments of its ``read`` function."""
    return set(inspect.signature(corpus_module(corpus).read).parameters) - {"data_folder"}


def corpus_name(text: str) -> str:
    """Return the canonical name of a corpus. The case of ``text`` is ignored.

    Raises
    ------
    ValueError
        If the corpus is unknown.

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
    """Check that no key is specific to other corpora.

    Arguments
    ---------
    keys : iterable of str
        Keys on the command line. Keys in presets are not checked because presets apply to all
        corpora.
    corpus : str
        Name of the training corpus.

    Raises
    ------
    ValueError
        If a key has no effect for this corpus. The message names the corpora that use the key.

    Example
    -------
    >>> check_corpus_keys(["seed", "fold"], "IEMOCAP")
    >>> check_corpus_keys(["four_classes"], "MSP-IMPROV")
    Traceback (most recent call last):
    ValueError: --four_classes is a setting of IEMOCAP and has no effect for MSP-IMPROV. Remove it \
(settings for the test corpus belong in --test_options).
    """
    for key in keys:
        owners = [name for name in CORPORA if key in reader_settings(name)]
        if owners and key not in reader_settings(corpus):
            raise ValueError(
                f"--{key} is a setting of {', '.join(owners)} and has no effect for {corpus}. "
                f"Remove it (settings for the test corpus belong in --test_options)."
            )

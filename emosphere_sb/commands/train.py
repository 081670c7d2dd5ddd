"""``emosphere train CORPUS``: run ``recipes/CORPUS/train.py`` from an installed package."""

from __future__ import annotations

from collections.abc import Sequence

HPARAMS = "hparams/emosphere.yaml"

USAGE = """\
usage: emosphere train CORPUS [HPARAMS.yaml] [--preset=NAME[+NAME]] [--key=value ...]

Prepare a corpus, train a model on it and evaluate it on all test sets. Results are written to
results/.

  CORPUS                 {corpora}
  HPARAMS.yaml           hyperparameter file (default: hparams/emosphere.yaml, the paper's model)

For all keys: emosphere train CORPUS --help
For all presets: emosphere train CORPUS --help=presets
"""


def run(words: Sequence[str]) -> int:
    """Run ``emosphere train``.

    Arguments
    ---------
    words : sequence of str
        The arguments after ``emosphere train``.

    Returns
    -------
    int
        Exit status, see :func:`emosphere_sb.recipe.main.main`.

    Raises
    ------
    ValueError
        If the corpus is not the first argument.
    """
    from emosphere_sb.recipe.corpora import CORPORA, corpus_name
    from emosphere_sb.recipe.main import main

    words = list(words)
    if not words or words[0] in ("-h", "--help"):
        print(USAGE.format(corpora=", ".join(CORPORA)), end="")
        return 0 if words else 2
    if words[0].startswith("-") or words[0].endswith((".yaml", ".yml")):
        raise ValueError(
            f"The corpus must come first: emosphere train CORPUS; found {words[0]}. Corpora: "
            f"{', '.join(CORPORA)}."
        )
    corpus, words = corpus_name(words[0]), words[1:]
    if not any(map(is_file_name, without_option_values(words))):
        words = [HPARAMS, *words]
    return main(words, corpus=corpus, program=f"emosphere train {corpus}")


def without_option_values(words: Sequence[str]) -> list[str]:
    """Leave out the values of options that are written ``--option value``.

    Example
    -------
    >>> without_option_values(["--debug", "own.yaml", "--log_config", "log.yaml", "--seed=1"])
    ['--debug', 'own.yaml', '--log_config', '--seed=1']
    """
    from emosphere_sb.recipe.arguments import FLAGS

    flags = {f"--{name}" for name in FLAGS}
    pairs = zip(["", *words], words, strict=False)
    return [
        word
        for before, word in pairs
        if not before.startswith("--") or "=" in before or before in flags
    ]


def is_file_name(word: str) -> bool:
    """Whether an argument names a hyperparameter file.

    Example
    -------
    >>> [is_file_name(word) for word in ("own.yaml", "--seed=1", "1")]
    [True, False, False]
    """
    return not word.startswith("-") and word.lower().endswith((".yaml", ".yml"))

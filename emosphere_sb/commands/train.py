"""``emosphere train CORPUS``: run ``recipes/CORPUS/train.py`` from an installed package."""

from __future__ import annotations

from collections.abc import Sequence

HPARAMS = "hparams/emosphere.yaml"

USAGE = """\
usage: emosphere train CORPUS [HPARAMS.yaml] [--preset=NAME[+NAME]] [--key=value ...]

Prepare a corpus, train a model on it, and evaluate the model on all test sets. Results are written
to results/.

  CORPUS                 {corpora}
  HPARAMS.yaml           hyperparameter file (default: hparams/emosphere.yaml, the paper's model)

To list all keys, run emosphere train CORPUS --help
To list all presets, run emosphere train CORPUS --help=presets
"""


def run(argv: Sequence[str]) -> int:
    """Run ``emosphere train``.

    Arguments
    ---------
    argv : sequence of str
        Arguments after ``emosphere train``.

    Returns
    -------
    int
        Exit status of :func:`emosphere_sb.recipe.main.main`.

    Raises
    ------
    ValueError
        If the corpus is not the first argument.
    """
    from emosphere_sb.recipe.corpora import CORPORA, corpus_name
    from emosphere_sb.recipe.main import main

    argv = list(argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE.format(corpora=", ".join(CORPORA)), end="")
        return 0 if argv else 2
    if argv[0].startswith("-") or argv[0].endswith((".yaml", ".yml")):
        raise ValueError(
            f"The corpus must come first: emosphere train CORPUS; found {argv[0]}. Corpora: "
            f"{', '.join(CORPORA)}."
        )
    corpus, argv = corpus_name(argv[0]), argv[1:]
    if not any(map(is_file_name, without_option_values(argv))):
        argv = [HPARAMS, *argv]
    return main(argv, corpus=corpus, program=f"emosphere train {corpus}")


def without_option_values(argv: Sequence[str]) -> list[str]:
    """Remove the values of options written as ``--option value``.

    Example
    -------
    >>> without_option_values(["--debug", "own.yaml", "--log_config", "log.yaml", "--seed=1"])
    ['--debug', 'own.yaml', '--log_config', '--seed=1']
    """
    from emosphere_sb.recipe.arguments import FLAGS

    flags = {f"--{name}" for name in FLAGS}
    pairs = zip(["", *argv], argv, strict=False)
    return [
        argument
        for before, argument in pairs
        if not before.startswith("--") or "=" in before or before in flags
    ]


def is_file_name(argument: str) -> bool:
    """Return whether an argument is the name of a hyperparameter file.

    Example
    -------
    >>> [is_file_name(argument) for argument in ("own.yaml", "--seed=1", "1")]
    [True, False, False]
    """
    return not argument.startswith("-") and argument.lower().endswith((".yaml", ".yml"))

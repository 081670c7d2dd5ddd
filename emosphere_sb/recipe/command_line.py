"""Parsing of a recipe's command line together with its hyperparameter file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ruamel.yaml.comments import CommentedMap

from emosphere_sb.fileio.yaml_tree import read_tree
from emosphere_sb.recipe.arguments import HPARAMS, parse_arguments
from emosphere_sb.recipe.corpora import check_corpus_keys, corpus_name
from emosphere_sb.recipe.hparams import check_keys, merge
from emosphere_sb.recipe.renamed_keys import replace_keys
from emosphere_sb.results.provenance import recipe_command


@dataclass(frozen=True)
class RunRequest:
    """Parsed and validated request for a run.

    Arguments
    ---------
    corpus : str
        Name of the training corpus.
    tree : CommentedMap
        Merged hyperparameters.
    run_options : dict
        SpeechBrain's run options.
    command : str
        Command line as text. It is saved with the results.
    """

    corpus: str
    tree: CommentedMap
    run_options: dict[str, Any]
    command: str = ""


def read_command(argv: list[str], *, corpus: str, program: str | None = None) -> RunRequest:
    """Parse and validate a command line and its hyperparameter file.

    Arguments
    ---------
    argv : list of str
        Command-line arguments, as in ``sys.argv[1:]``.
    corpus : str
        Name of the corpus, a key of ``emosphere_sb.recipe.corpora.CORPORA``.
    program : str, optional
        Command to record in front of the arguments; the recipe's script by default.

    Raises
    ------
    ValueError
        If the command line or the file is invalid, or a key does not apply to the corpus.
    """
    path = HPARAMS / "emosphere.yaml"
    defaults = read_tree(path)
    arguments = parse_arguments(argv, defaults)
    if arguments.file.samefile(path):
        tree = defaults
    else:
        tree = read_tree(arguments.file)
        replace_keys(tree, arguments.file)
        check_keys(tree, defaults, arguments.file)
        for name in arguments.run_options.keys() & tree.keys():  # keys of the file take precedence
            arguments.overrides[name] = str(arguments.run_options.pop(name))
    tree = merge(arguments, tree, defaults)
    check_corpus_keys(arguments.overrides, corpus)
    if (tree["test_corpus"] is None) != (tree["test_data_folder"] is None):
        raise ValueError(
            f"--test_corpus and --test_data_folder must be given together; found "
            f"{tree['test_corpus']} and {tree['test_data_folder']}."
        )
    if tree["test_corpus"] is not None:
        tree["test_corpus"] = corpus_name(tree["test_corpus"])
    command = recipe_command(corpus, argv, program=program)
    return RunRequest(corpus, tree, arguments.run_options, command)

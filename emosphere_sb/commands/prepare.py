"""``emosphere prepare``: write the manifests of a corpus without training."""

from __future__ import annotations

from collections.abc import Sequence

USAGE = """\
usage: emosphere prepare CORPUS --data_folder=/path/to/corpus [--preset=NAME[+NAME]]
                         [--key=value ...]

Read the labels of a corpus, check its audio files, and write manifests, a list of rejected files
with reasons, and a summary. This is the first step of training; training with the same options
reuses the manifests.

  CORPUS            {corpora}
  --data_folder=…   folder of the corpus
  --fold=all        prepare all folds of the partition
  --key=value       any key of hparams/emosphere.yaml; relevant keys:
                    {keys}
  --reuse_manifests=False
                    prepare again even if nothing has changed
"""

COMMON = (
    "results_folder", "reuse_manifests", "min_duration", "max_duration", "out_of_range_labels",
    "channel", "synthetic_corpus",
)  # fmt: skip
"""Settings that apply to all corpora."""


def run(argv: Sequence[str]) -> int:
    """Run ``emosphere prepare``.

    Arguments
    ---------
    argv : sequence of str
        Arguments after ``emosphere prepare``.

    Returns
    -------
    int
        Exit status: 0, or 2 if no corpus was given.

    Raises
    ------
    ValueError, OSError
        If the command line or the corpus is invalid.
    """
    argv = list(argv)
    if not argv or {"-h", "--help"} & set(argv):
        print(prepare_help(argv[0] if argv and not argv[0].startswith("-") else None))
        return 0 if argv else 2
    from emosphere_sb.recipe.corpora import corpus_name

    if argv[0].startswith("-"):
        raise ValueError(f"The corpus must come first: emosphere prepare CORPUS; found {argv[0]}.")
    for line in write_manifests(corpus_name(argv[0]), argv[1:]):
        print(line)
    return 0


def write_manifests(corpus: str, options: Sequence[str]) -> list[str]:
    """Write the manifests of a corpus.

    Arguments
    ---------
    corpus : str
        Name of the corpus.
    options : sequence of str
        Options ``--key=value``, as for training.

    Returns
    -------
    list of str
        Lines of the summary; with ``--fold=all``, those of all folds.
    """
    from emosphere_sb.fileio.yaml_tree import scalars
    from emosphere_sb.recipe.arguments import HPARAMS
    from emosphere_sb.recipe.command_line import read_command
    from emosphere_sb.recipe.hparams import ALL_FOLDS

    request = read_command([str(HPARAMS / "emosphere.yaml"), *options], corpus=corpus)
    tree, run_options = request.tree, request.run_options
    if run_options:
        raise ValueError(
            f"Not used by `emosphere prepare`: --{', --'.join(run_options)}. Omit these options."
        )
    from data_prep.manifest import preparation_summary_lines
    from emosphere_sb.recipe.folds import prepared_folds
    from emosphere_sb.recipe.workspace import prepare_corpus

    if tree["fold"] == ALL_FOLDS:
        summaries = [summary for _, summary in prepared_folds(tree, corpus)]
    else:
        summaries = [prepare_corpus(scalars(tree), corpus)]
    return [line for summary in summaries for line in preparation_summary_lines(summary)]


def prepare_help(corpus: str | None = None) -> str:
    """Return the help text with the settings of a corpus.

    Arguments
    ---------
    corpus : str, optional
        Name of the corpus; all corpora by default.
    """
    import textwrap

    from emosphere_sb.fileio.yaml_tree import read_tree
    from emosphere_sb.recipe.arguments import HPARAMS
    from emosphere_sb.recipe.corpora import CORPORA, corpus_name, reader_settings

    names = list(CORPORA) if corpus is None else [corpus_name(corpus)]
    takes = set(COMMON).union(*(reader_settings(name) for name in names))
    keys = ", ".join(key for key in read_tree(HPARAMS / "emosphere.yaml") if key in takes)
    wrapped = textwrap.fill(keys, 78, subsequent_indent=" " * 20).strip()
    return USAGE.format(corpora=", ".join(CORPORA), keys=wrapped)

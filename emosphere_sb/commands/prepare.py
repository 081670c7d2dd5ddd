"""``emosphere prepare``: the manifests of a corpus, without training."""

from __future__ import annotations

from collections.abc import Sequence

USAGE = """\
usage: emosphere prepare CORPUS --data_folder=/path/to/it [--preset=NAME[+NAME]] [--key=value ...]

Reads a corpus's labels, checks its audio files, and writes manifests, a list of what is refused
with its reasons, and a summary, as the first step of a training would. With the same options that
training finds them and goes on from there.

  CORPUS            {corpora}
  --data_folder=…   where the corpus is
  --fold=all        every fold of the partition
  --key=value       any setting of hparams/emosphere.yaml; those that matter here are
                    {keys}
  --reuse_manifests=False prepare again, whether or not anything has changed
"""

COMMON = (
    "results_folder", "reuse_manifests", "min_duration", "max_duration",
    "out_of_range_labels", "synthetic_corpus",
)  # fmt: skip
"""Settings of the preparation of any corpus."""


def run(words: Sequence[str]) -> int:
    """Run the command.

    Arguments
    ---------
    words : sequence of str
        What stands behind ``emosphere prepare``.

    Returns
    -------
    int
        0.

    Raises
    ------
    ValueError, OSError
        If the command line or the corpus is at fault.
    """
    words = list(words)
    if not words or {"-h", "--help"} & set(words):
        print(usage(words[0] if words and not words[0].startswith("-") else None))
        return 0 if words else 2
    from emosphere_sb.recipe.corpora import corpus_name

    if words[0].startswith("-"):
        raise ValueError(f"The corpus comes first: emosphere prepare CORPUS …; found {words[0]}.")
    for line in prepare(corpus_name(words[0]), words[1:]):
        print(line)
    return 0


def prepare(corpus: str, options: Sequence[str]) -> list[str]:
    """Write the manifests of a corpus.

    Arguments
    ---------
    corpus : str
        Its name.
    options : sequence of str
        ``--key=value`` of the recipe.

    Returns
    -------
    list of str
        The summary, in lines; of every fold with ``--fold=all``.
    """
    from emosphere_sb.fileio.yaml_tree import scalars
    from emosphere_sb.recipe.arguments import HPARAMS
    from emosphere_sb.recipe.command_line import read_command
    from emosphere_sb.recipe.hparams import ALL_FOLDS

    request = read_command([str(HPARAMS / "emosphere.yaml"), *options], corpus=corpus)
    tree, run_options = request.tree, request.run_options
    if run_options:
        raise ValueError(
            f"--{', --'.join(run_options)} would do nothing in a preparation; leave it out."
        )
    from data_prep.manifest import summary_lines
    from emosphere_sb.recipe.folds import prepared_folds
    from emosphere_sb.recipe.workspace import prepare_corpus

    if tree["fold"] == ALL_FOLDS:
        summaries = [summary for _, summary in prepared_folds(tree, corpus)]
    else:
        summaries = [prepare_corpus(scalars(tree), corpus)]
    return [line for summary in summaries for line in summary_lines(summary)]


def usage(corpus: str | None = None) -> str:
    """The help text, with the settings of a corpus or of all of them.

    Arguments
    ---------
    corpus : str, optional
        The one that was named.
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

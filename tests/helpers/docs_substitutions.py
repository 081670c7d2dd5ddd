"""Replacements in the commands of pages, for running them in a test, each with a reason.

Patterns are regular expressions on a command or a block of Python, applied from top to bottom.
Names in braces are filled in when it is run (:class:`tests.helpers.docs_workspace.Workspace`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.helpers.docs_pages import SHELL, Snippet

HPARAMS = r"(train\.py hparams/emosphere\.yaml)"


@dataclass(frozen=True)
class Substitution:
    """A pattern, its replacement, and the reason."""

    pattern: str
    by: str
    why: str


TABLE = [
    # ---- Data ------------------------------------------------------------------------------------
    Substitution(
        r"/path/to/(MSP-PODCAST|IEMOCAP_full_release|MSP-IMPROV|folder)", r"{\1}",
        "corpora cannot be passed on: synthetic speech in their layouts",
    ),
    Substitution(
        r"(MSP-Podcast/train\.py .*--data_folder=)…", r"\1{MSP-PODCAST}",
        "the same, where a page leaves the folder open",
    ),
    # ---- Size ------------------------------------------------------------------------------------
    Substitution(
        HPARAMS + r"(?! --help)(?!.*--preset=)", r"\1 --preset=smoke",
        "a run of the paper's model takes a day: the same code at a tiny size",
    ),
    Substitution(
        r"--preset=published(?!\+smoke)", "--preset=published+smoke",
        "the same, with the published division and protocol",
    ),
    Substitution(
        r"(emosphere table .*)--preset=demo_small",
        r"\1--preset=smoke --results_folder=results/small",
        "minutes become seconds; preset smoke's own folders hold runs on another corpus by now",
    ),
    Substitution(
        r"--preset=(?:demo|learn)\b", "--preset=smoke", "minutes become seconds",
    ),
    Substitution(
        r"(?<=results/)MSP-Podcast(?:-1\.11|-synthetic)?/(?:emosphere|demo)/",
        "MSP-Podcast-synthetic/smoke/",
        "where the run of preset smoke lies",
    ),
    Substitution(
        r"emosphere table paper_table_1", r"emosphere table paper_table_1 --preset=smoke",
        "four fine-tunings with five seeds each take weeks",
    ),
    Substitution(
        r"(emosphere table ablation regions)", r"\1 --preset=smoke", "so do eleven",
    ),
    Substitution(
        r"(emosphere table .*?)(?: --seeds=\S+)?( --jobs=\S+)?$", r"\1 --seeds=1\2",
        "one seed shows that it runs",
    ),
    Substitution(
        r"(emosphere table .*)", r"\1 --tables={tables}",
        "the same tables with the reference and one more row each",
    ),
    Substitution(r"--jobs=4", "--jobs=2", "two cores"),
    # ---- Models of the hub -----------------------------------------------------------------------
    Substitution(
        r"facebook/hubert-large-ll60k", "{hubert}",
        "no test reaches out: a tiny model of random weights that save_pretrained wrote",
    ),
    Substitution(
        r"audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim", "{audeering}",
        "the same in audeering's layout",
    ),
    # ---- Several processes -----------------------------------------------------------------------
    Substitution(
        r"(torchrun .*)", r"\1 --device=cpu", "several processes and no GPU for each",
    ),
    Substitution(
        r"(torchrun .*)", r"\1 --output_folder=results/several",
        "a run of its own: that of the same row is finished, and would only be tested again",
    ),
    Substitution(
        r"(--nnodes=2 .*)--nproc_per_node=4", r"\1--nproc_per_node=1",
        "two machines are played by this one, with a process each",
    ),
    Substitution(r"--nproc_per_node=4", "--nproc_per_node=2", "two cores"),
    Substitution(
        r"--master_addr=first\.machine --master_port=29500",
        "--master_addr=127.0.0.1 --master_port={port}",
        "this machine, at a port that is free",
    ),
    # ---- The page --------------------------------------------------------------------------------
    Substitution(r"(emosphere demo .*)", r"\1 --port={port}", "a port that is free"),
]  # fmt: skip


def substituted(snippet: Snippet) -> tuple[str, list[Substitution]]:
    """The text to run instead of a snippet, before names in braces are filled in.

    Arguments
    ---------
    snippet : Snippet
        As :func:`tests.helpers.docs_pages.snippets` finds it.

    Returns
    -------
    tuple
        The text, and the substitutions that were used.

    Raises
    ------
    ValueError
        If a placeholder such as … or /path/to is left.
    """
    text, used = snippet.text, []
    for line in TABLE:
        changed = re.sub(line.pattern, line.by, text)
        if changed != text:
            used.append(line)
        text = changed
    left = re.search(r"…|/path/to\S*", text)
    if left and snippet.language == SHELL:
        raise ValueError(
            f"{snippet.place}: {left[0]!r} cannot be run: {snippet.text}. Add a line to TABLE of "
            f"tests/helpers/docs_substitutions.py with its replacement and the reason."
        )
    return text, used

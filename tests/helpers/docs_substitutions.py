"""Substitutions in the commands of documentation pages that make them testable.

Patterns are regular expressions for a command or a Python block, applied from top to bottom.
Placeholders in braces are replaced at run time by
:class:`tests.helpers.docs_workspace.Workspace`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.helpers.docs_pages import SHELL, Snippet

HPARAMS = r"(train\.py hparams/emosphere\.yaml)"


@dataclass(frozen=True)
class Substitution:
    """A pattern, its replacement, and the reason for it."""

    pattern: str
    by: str
    why: str


TABLE = [
    # ---- Data ------------------------------------------------------------------------------------
    Substitution(
        r"/path/to/(MSP-PODCAST|IEMOCAP_full_release|MSP-IMPROV|folder)", r"{\1}",
        "corpora cannot be distributed: use synthetic speech in their layouts",
    ),
    Substitution(
        r"/path/to/(tava|whisper-base-encoder)", r"\1",
        "only the name of the make target is checked",
    ),
    Substitution(
        r"(MSP-Podcast/train\.py .*--data_folder=)…", r"\1{MSP-PODCAST}",
        "as above, for pages that omit the folder",
    ),
    # ---- Size ------------------------------------------------------------------------------------
    Substitution(
        HPARAMS + r"(?! --help)(?!.*--preset=)", r"\1 --preset=smoke",
        "training the paper's model takes a day: use a tiny model",
    ),
    Substitution(
        r"(emosphere train \S+)(?!.*--preset=)",
        r"\1 --preset=smoke --output_folder=results/installed",
        "as above, in a separate folder because the same run is already finished",
    ),
    Substitution(
        r"--preset=published(?!\+smoke)", "--preset=published+smoke",
        "as above, with the split and protocol of the paper",
    ),
    Substitution(
        r"(emosphere table .*)--preset=demo_small",
        r"\1--preset=smoke --results_folder=results/small",
        "faster; separate folder because the smoke preset already has runs on another corpus",
    ),
    Substitution(
        r"--preset=(?:demo|learn)\b", "--preset=smoke", "faster",
    ),
    Substitution(
        r"(?<=results/)MSP-Podcast(?:-1\.11|-synthetic)?/(?:emosphere|demo)/",
        "MSP-Podcast-synthetic/smoke/",
        "folder of the run with the smoke preset",
    ),
    Substitution(
        r"(?<=results/)MSP-Podcast-1\.11/published\+no_regions/", "MSP-Podcast-synthetic/smoke/",
        "comparing a run with itself avoids training another model",
    ),
    Substitution(
        r"emosphere table (paper_table_\d)", r"emosphere table \1 --preset=smoke",
        "fine-tuning several models with five seeds each takes weeks",
    ),
    Substitution(
        r"(emosphere table ablation regions)", r"\1 --preset=smoke", "as above, for eleven models",
    ),
    Substitution(
        r"(emosphere table .*?)(?: --seeds=\S+)?( --jobs=\S+)?$", r"\1 --seeds=1\2",
        "one seed is enough to test the command",
    ),
    Substitution(
        r"(emosphere table .*)", r"\1 --tables={tables}",
        "the same tables with only the reference and one other row each",
    ),
    Substitution(r"--jobs=4", "--jobs=2", "for two cores"),
    Substitution(
        r"--preset=frozen", "--preset=frozen --number_of_epochs=2",
        "two epochs are enough to test the command",
    ),
    # ---- Models from the Hub ---------------------------------------------------------------------
    Substitution(
        r"(--preset=frozen .*)$(?<!results/mine)", r"\1 --backbone={hubert}",
        "as below, for the preset without --backbone",
    ),
    Substitution(
        r"facebook/hubert-large-ll60k|microsoft/wavlm-base-plus", "{hubert}",
        "tests do not download models: a tiny random model written by save_pretrained",
    ),
    Substitution(
        r"audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim", "{audeering}",
        "as above, in the layout of audeering",
    ),
    # ---- Several processes -----------------------------------------------------------------------
    Substitution(
        r"(torchrun .*)", r"\1 --device=cpu", "tests do not need GPUs",
    ),
    Substitution(
        r"(torchrun .*)", r"\1 --output_folder=results/several",
        "separate folder, because the run with the same preset is already finished",
    ),
    Substitution(
        r"(--nnodes=2 .*)--nproc_per_node=4", r"\1--nproc_per_node=1",
        "two machines are simulated with one process each",
    ),
    Substitution(r"--nproc_per_node=4", "--nproc_per_node=2", "for two cores"),
    Substitution(
        r"--master_addr=first\.machine --master_port=29500",
        "--master_addr=127.0.0.1 --master_port={port}",
        "this machine with a free port",
    ),
    # ---- Demo page ------------------------------------------------------------------------------
    Substitution(r"(emosphere demo .*)", r"\1 --port={port}", "a free port"),
]  # fmt: skip


def substituted(snippet: Snippet) -> tuple[str, list[Substitution]]:
    """Apply the substitutions to a snippet, without replacing placeholders.

    Arguments
    ---------
    snippet : Snippet
        A snippet from :func:`tests.helpers.docs_pages.snippets`.

    Returns
    -------
    tuple
        The resulting text, and the substitutions that were applied.

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
            f"{snippet.location}: {left[0]!r} in {snippet.text!r} has no substitution. Add it to "
            f"TABLE in tests/helpers/docs_substitutions.py with the reason."
        )
    return text, used

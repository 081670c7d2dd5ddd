"""A corpus's utterances become manifests: SpeechBrain CSV files, one a set.

A reader of a corpus only parses label files (:class:`Corpus`). Everything that corpora share
happens here and in the modules this one calls: the check of the audio, the list of rejected files,
the guard against shared speakers, the summary, and the decision whether anything has to be done.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from data_prep.audio_check import list_audio, listing_digest
from data_prep.corpus import Corpus, Rejection, Utterance
from data_prep.parsing.folders import corpus_folder
from data_prep.schema import (
    COLUMNS,
    manifest_row,
    read_manifest,
    read_rows,
    replacements,
    validate,
    write_csv,
    write_text,
)
from data_prep.screening import Checked, screen, shared_speakers, spelt_differently
from data_prep.summary import (
    REJECTED_FILE,
    SUMMARY_FILE,
    Summary,
    file_digest,
    is_unchanged,
    load_summary,
    rejection_counts,
    request_of,
    set_facts,
    summary_lines,
)

__all__ = [
    "COLUMNS",
    "LEARNED_FROM",
    "Corpus",
    "Rejection",
    "Summary",
    "Utterance",
    "load_summary",
    "prepare",
    "read_manifest",
    "read_rows",
    "replacements",
    "summary_lines",
    "validate",
]

logger = logging.getLogger(__name__)

LEARNED_FROM = ("train", "valid")
"""Sets that shape a model's weights."""

MIN_DURATION = 0.025
"""Seconds: the receptive field of the speech models' convolutions, 400 samples at 16 kHz."""

MAX_DURATION = 60.0
"""Seconds. One longer file in a batch asks for more memory than any utterance should."""


def prepare(
    corpus_module: ModuleType,
    data_folder: str | os.PathLike,
    output_folder: str | os.PathLike,
    *,
    min_duration: float = MIN_DURATION,
    max_duration: float = MAX_DURATION,
    out_of_range_labels: str = "reject",
    workers: int | None = None,
    skip: bool = True,
    needed: Sequence[str] = LEARNED_FROM,
    **options: Any,
) -> Summary:
    """Writes the manifests of a corpus, unless they are there and nothing has changed.

    Arguments
    ---------
    corpus_module : module
        With ``NAME`` and ``read(data_folder, **options) -> Corpus``.
    data_folder : path
        The corpus on disk.
    output_folder : path
        Gets ``<set>.csv``, ``rejected.csv`` and, last, ``summary.json``.
    min_duration, max_duration : float
        In seconds; files shorter or longer are rejected.
    out_of_range_labels : str
        ``reject`` rows with a label off the corpus's scale, or ``clip`` it to the nearest end, with
        a warning.
    workers : int, optional
        Threads that read audio headers.
    skip : bool
        Whether an earlier preparation of the same input may be used.
    needed : sequence of str
        Sets that must not be empty; whoever only tests needs none.
    **options
        For the reader of the corpus.

    Returns
    -------
    Summary
        Manifests, counts, rejected files by reason, warnings.

    Raises
    ------
    FileNotFoundError
        If the data folder or something in it is missing.
    ValueError
        If label files cannot be read, sets share speakers though they are not the corpus's own, or
        no utterance of a needed set, or none at all, is left.
    """
    root, folder = corpus_folder(data_folder), Path(output_folder)
    if not 0 <= min_duration < max_duration:
        raise ValueError(
            "0 <= min_duration < max_duration must hold; found "
            f"min_duration={min_duration}, max_duration={max_duration}."
        )
    limits = {
        "min_duration": min_duration,
        "max_duration": max_duration,
        "out_of_range_labels": out_of_range_labels,
    }
    request = request_of(corpus_module.NAME, root, {**limits, "needed": list(needed), **options})
    facts = is_unchanged(folder, request) if skip else None
    if facts is not None:
        return Summary(folder, facts, skipped=True)
    corpus = corpus_module.read(root, **options)
    # Taken before the audio is looked at: a file that changes meanwhile means a new preparation.
    fingerprint = _fingerprint(corpus, request)
    listing = list_audio(corpus.audio_folders)
    fingerprint["audio"] = listing_digest(listing)
    checked, rejected, warnings = screen(corpus, listing, workers=workers, **limits)
    checked, empty = _usable_sets(corpus, checked, rejected, needed)
    warnings += empty + spelt_differently(checked) + _guard_speakers(corpus, checked)
    facts = _facts(corpus, checked, rejected, warnings)
    return _write(folder, corpus, checked, rejected, facts, fingerprint)


def _fingerprint(corpus: Corpus, request: dict[str, Any]) -> dict[str, Any]:
    """What a later start compares, except for the audio."""
    return {
        "request": request,
        "inputs": {str(path): file_digest(path) for path in corpus.inputs},
        "audio_folders": [str(path) for path in corpus.audio_folders],
    }


def _usable_sets(
    corpus: Corpus, checked: Checked, rejected: Sequence[Rejection], needed: Sequence[str]
) -> tuple[Checked, list[str]]:
    """The sets that hold something; an error if a needed one, or all of them, hold nothing."""
    warnings = []
    if not any(checked.values()):
        needed = needed or list(corpus.sets)
    for name in dict.fromkeys((*needed, *corpus.sets)):
        if checked.get(name):
            continue
        reasons = _why_empty(name, corpus, rejected)
        if name in needed:
            raise ValueError(
                f"The set '{name}' of {corpus.name} must hold at least one utterance; {reasons}. "
                f"Read from {corpus.data_root}."
            )
        warnings.append(f"The set '{name}' is left out because it is empty: {reasons}.")
    return {name: rows for name, rows in checked.items() if rows}, warnings


def _why_empty(name: str, corpus: Corpus, rejected: Sequence[Rejection]) -> str:
    """Why a set is empty, in words."""
    own = [rejection for rejection in rejected if rejection.set == name]
    left_out = Counter(item.option for item in corpus.left_out if item.set == name)
    rows = len(corpus.sets.get(name, ())) + left_out.total()
    rows += sum(rejection.set == name for rejection in corpus.rejected)
    text = f"found {rows:,} rows for it in the labels"
    if not rows and name in corpus.unfilled:
        return f"{text}: {corpus.unfilled[name]}"
    if left_out:
        counts = [f"{count:,} by {option}" for option, count in left_out.most_common()]
        text += f", left out: {', '.join(counts)}"
    if not rows:
        # They may be this set's: nobody knows. Audio without a label is not among them.
        own = [rejection for rejection in corpus.rejected if not rejection.set]
    examples: dict[str, Rejection] = {}
    for rejection in own:
        examples.setdefault(rejection.kind, rejection)
    top = [
        f"{count:,} x {kind} (first: {examples[kind].path}, {examples[kind].reason})"
        for kind, count in list(rejection_counts(own).items())[:3]
    ]
    return f"{text}, rejected: {'; '.join(top)}" if top else text


def _guard_speakers(corpus: Corpus, checked: Checked) -> list[str]:
    """Warnings for sets that share speakers; an error unless the corpus itself divides so."""
    shared = shared_speakers(checked)
    texts = [
        f"{a} and {b} share {len(names):,} (speaker {', '.join(names[:3])}"
        + (", ...)" if len(names) > 3 else ")")
        for (a, b), names in shared.items()
    ]
    if texts and not corpus.official_split:
        raise ValueError(
            f"The sets of {corpus.name} must not share speakers: {'; '.join(texts)}. "
            "Give each speaker's utterances to one set, or leave the division to the preparation."
        )
    return [
        f"Speakers are shared, as this division of the corpus has it: {text}." for text in texts
    ]


def _facts(
    corpus: Corpus, checked: Checked, rejected: Sequence[Rejection], warnings: Sequence[str]
) -> dict[str, Any]:
    """The contents of the summary, except for the fingerprint."""
    return {
        "corpus": corpus.name,
        "release": corpus.release,
        "data_root": str(corpus.data_root),
        "scale": corpus.scale.to_dict(),
        "sets": {
            name: set_facts(name, rows, labelled=name not in corpus.predict_only)
            for name, rows in checked.items()
        },
        "rejected": rejection_counts(rejected),
        "official_split": corpus.official_split,
        "warnings": [*corpus.warnings, *warnings],
        "protocol": corpus.protocol,
    }


def _write(
    folder: Path,
    corpus: Corpus,
    checked: Checked,
    rejected: Sequence[Rejection],
    facts: dict[str, Any],
    fingerprint: dict[str, Any],
) -> Summary:
    """Writes all files, the summary last: without it the others do not count."""
    folder.mkdir(parents=True, exist_ok=True)
    _remove_earlier(folder)
    for name, rows in checked.items():
        write_csv(folder / f"{name}.csv", COLUMNS, (manifest_row(*row) for row in rows))
    lines = ((item.path, item.set, item.reason) for item in rejected)
    write_csv(folder / REJECTED_FILE, ("path", "set", "reason"), lines)
    outputs = [*(f"{name}.csv" for name in checked), REJECTED_FILE]
    fingerprint["outputs"] = {name: file_digest(folder / name) for name in outputs}
    text = json.dumps({**facts, "fingerprint": fingerprint}, indent=2, ensure_ascii=True)
    write_text(folder / SUMMARY_FILE, text + "\n")
    logger.info("Wrote %s with %s", folder, ", ".join(outputs))
    return Summary(folder, json.loads(text))


def _remove_earlier(folder: Path) -> None:
    """Takes away an earlier preparation, its summary first: nobody shall take it for this one."""
    try:
        earlier = load_summary(folder)["sets"]
    except (FileNotFoundError, ValueError):
        earlier = {}
    (folder / SUMMARY_FILE).unlink(missing_ok=True)
    for name in earlier:
        (folder / f"{os.path.basename(name)}.csv").unlink(missing_ok=True)

"""Write the manifests of a corpus: SpeechBrain CSV files, one per set.

The reader of a corpus only parses its label files and returns a :class:`Corpus`. All steps shared
by the corpora are in this module and the modules it calls: checking the audio, listing rejected
files, checking for shared speakers, writing the summary, and detecting that nothing has changed.
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

from data_prep.audio_check import list_audio, listing_digest, stat_audio
from data_prep.corpus import Corpus, Rejection, Utterance
from data_prep.parsing.folders import resolve_data_folder
from data_prep.schema import (
    MANIFEST_COLUMNS,
    check_manifest_columns,
    manifest_row,
    read_manifest,
    read_manifest_rows,
    replacements,
    write_csv,
    write_text,
)
from data_prep.screening import (
    UsableRows,
    label_warnings,
    name_variant_warnings,
    screen_utterances,
    shared_speakers,
)
from data_prep.summary import (
    REJECTED_FILE,
    SUMMARY_FILE,
    Summary,
    facts_digest,
    file_digest,
    find_unchanged_summary,
    load_summary,
    preparation_request,
    preparation_summary_lines,
    rejection_counts,
    set_statistics,
)
from emosphere_sb.fileio.csv_cells import neutral_cell
from emosphere_sb.fileio.json_file import make_folder

__all__ = [
    "MANIFEST_COLUMNS",
    "TRAINING_SETS",
    "Corpus",
    "Rejection",
    "Summary",
    "Utterance",
    "check_manifest_columns",
    "load_summary",
    "preparation_summary_lines",
    "prepare_manifests",
    "read_manifest",
    "read_manifest_rows",
    "replacements",
]

logger = logging.getLogger(__name__)

TRAINING_SETS = ("train", "valid")
"""Sets that are used to train a model and to select its checkpoint."""

MIN_DURATION = 0.025
"""Minimum duration in seconds: the receptive field of the speech models' convolutions, 400 samples
at 16 kHz."""

MAX_DURATION = 60.0
"""Maximum duration in seconds; it limits the memory that a batch requires."""


def prepare_manifests(
    corpus_module: ModuleType,
    data_folder: str | os.PathLike,
    output_folder: str | os.PathLike,
    *,
    min_duration: float = MIN_DURATION,
    max_duration: float = MAX_DURATION,
    out_of_range_labels: str = "reject",
    channel: str = "mix",
    workers: int | None = None,
    reuse: bool = True,
    required_sets: Sequence[str] = TRAINING_SETS,
    **options: Any,
) -> Summary:
    """Write the manifests of a corpus, or reuse existing ones if nothing has changed.

    Arguments
    ---------
    corpus_module : module
        Reader of the corpus, with ``NAME`` and ``read(data_folder, **options) -> Corpus``.
    data_folder : path
        Folder of the corpus.
    output_folder : path
        Folder for ``<set>.csv``, ``rejected.csv`` and ``summary.json``, which is written last.
    min_duration, max_duration : float
        Duration limits in seconds; shorter and longer files are rejected.
    out_of_range_labels : str
        ``reject`` to reject rows with a label outside the corpus's scale, or ``clip`` to clip the
        label to the scale with a warning.
    channel : str
        Use of several channels: ``mix``, ``left``, ``right`` or ``loudest``. Files whose mix
        cancels the signal cause a warning.
    workers : int, optional
        Number of threads that check audio files.
    reuse : bool
        Whether to reuse an earlier preparation of the same input.
    required_sets : sequence of str
        Sets that must not be empty. Pass an empty sequence if the corpus is only used for testing.
    **options
        Options of the corpus reader.

    Returns
    -------
    Summary
        Manifests, counts, rejected files by reason, and warnings.

    Raises
    ------
    FileNotFoundError
        If the data folder or a required file in it is missing.
    ValueError
        If a label file cannot be read, if sets that are not official share speakers, or if a
        required set, or the whole corpus, has no usable utterances.
    """
    root, folder = resolve_data_folder(data_folder), Path(output_folder)
    if not 0 <= min_duration < max_duration:
        raise ValueError(
            "min_duration must be at least 0 and less than max_duration; found "
            f"min_duration={min_duration}, max_duration={max_duration}."
        )
    limits = {
        "min_duration": min_duration,
        "max_duration": max_duration,
        "out_of_range_labels": out_of_range_labels,
        "channel": channel,
    }
    request = preparation_request(
        corpus_module.NAME, root, {**limits, "needed": list(required_sets), **options}
    )
    facts = find_unchanged_summary(folder, request) if reuse else None
    if facts is not None:
        return Summary(folder, facts, skipped=True)
    corpus = corpus_module.read(root, **options)
    # Computed before the audio is read: a file changed meanwhile triggers a new preparation.
    fingerprint = _fingerprint(corpus, request)
    skipped: list[str] = []
    # A file that is in one of the folders is listed once, under the path in the listing.
    named = stat_audio(corpus.audio_files)
    listing = named | list_audio(corpus.audio_folders, warnings=skipped)
    fingerprint["audio"] = listing_digest(listing)
    checked, rejected, warnings = screen_utterances(corpus, listing, workers=workers, **limits)
    checked, empty = _drop_empty_sets(corpus, checked, rejected, required_sets)
    warnings += (
        skipped
        + empty
        + label_warnings(checked, predict_only=corpus.predict_only)
        + name_variant_warnings(checked)
        + _check_shared_speakers(corpus, checked)
    )
    facts = _summary_contents(corpus, checked, rejected, warnings)
    return _write_files(folder, corpus, checked, rejected, facts, fingerprint)


def _fingerprint(corpus: Corpus, request: dict[str, Any]) -> dict[str, Any]:
    """Return the fingerprint that detects changes of anything except the audio."""
    return {
        "request": request,
        "inputs": {str(path): file_digest(path) for path in corpus.inputs},
        "audio_folders": [str(path) for path in corpus.audio_folders],
        "audio_files": [str(path) for path in corpus.audio_files],
    }


def _drop_empty_sets(
    corpus: Corpus, checked: UsableRows, rejected: Sequence[Rejection], needed: Sequence[str]
) -> tuple[UsableRows, list[str]]:
    """Drop empty sets with a warning; raise an error if a required set or all sets are empty."""
    warnings = []
    if not any(checked.values()):
        needed = needed or list(corpus.sets)
    for name in dict.fromkeys((*needed, *corpus.sets)):
        if checked.get(name):
            continue
        reasons = _explain_empty_set(name, corpus, rejected)
        if name in needed:
            raise ValueError(
                f"The '{name}' set of {corpus.name} must contain at least one utterance; "
                f"{reasons}. Data folder: {corpus.data_root}."
            )
        warnings.append(f"The '{name}' set is empty and was skipped: {reasons}.")
    return {name: rows for name, rows in checked.items() if rows}, warnings


def _explain_empty_set(name: str, corpus: Corpus, rejected: Sequence[Rejection]) -> str:
    """Explain why a set is empty."""
    own = [rejection for rejection in rejected if rejection.set == name]
    excluded = Counter(item.option for item in corpus.excluded if item.set == name)
    rows = len(corpus.sets.get(name, ())) + excluded.total()
    rows += sum(rejection.set == name for rejection in corpus.rejected)
    text = f"found {rows:,} rows for this set in the label files"
    if not rows and name in corpus.empty_set_reasons:
        return f"{text}: {corpus.empty_set_reasons[name]}"
    if excluded:
        counts = [f"{count:,} by {option}" for option, count in excluded.most_common()]
        text += f", excluded: {', '.join(counts)}"
    if not rows:
        # Rejected rows whose set is unknown may belong here. Unlabelled audio is not counted.
        own = [rejection for rejection in corpus.rejected if not rejection.set]
    examples: dict[str, Rejection] = {}
    for rejection in own:
        examples.setdefault(rejection.kind, rejection)
    top = [
        f"{count:,} x {kind} (first: {examples[kind].path}, {examples[kind].reason})"
        for kind, count in list(rejection_counts(own).items())[:3]
    ]
    return f"{text}, rejected: {'; '.join(top)}" if top else text


def _check_shared_speakers(corpus: Corpus, checked: UsableRows) -> list[str]:
    """Return warnings about sets that share speakers; raise an error if they are not official."""
    shared = shared_speakers(checked)
    texts = [
        f"{a} and {b} share {len(names):,} speaker{'s' * (len(names) != 1)} ({', '.join(names[:3])}"
        + (", ...)" if len(names) > 3 else ")")
        for (a, b), names in shared.items()
    ]
    if texts and not corpus.official_split:
        raise ValueError(
            f"The sets of {corpus.name} must not share speakers: {'; '.join(texts)}. "
            "Assign all utterances of a speaker to one set, or remove the split from the labels to "
            "split by speaker automatically."
        )
    return [f"The official sets of this corpus share speakers: {text}." for text in texts]


def _summary_contents(
    corpus: Corpus, checked: UsableRows, rejected: Sequence[Rejection], warnings: Sequence[str]
) -> dict[str, Any]:
    """Return the contents of ``summary.json``, except for the fingerprint."""
    return {
        "corpus": corpus.name,
        "release": corpus.release,
        "data_root": str(corpus.data_root),
        "scale": corpus.scale.to_dict(),
        "sets": {
            name: set_statistics(name, rows, labelled=name not in corpus.predict_only)
            for name, rows in checked.items()
        },
        "rejected": rejection_counts(rejected),
        "official_split": corpus.official_split,
        "warnings": [*corpus.warnings, *warnings],
        "protocol": corpus.protocol,
    }


def _write_files(
    folder: Path,
    corpus: Corpus,
    checked: UsableRows,
    rejected: Sequence[Rejection],
    facts: dict[str, Any],
    fingerprint: dict[str, Any],
) -> Summary:
    """Write all files. The summary is written last and marks the preparation as complete."""
    make_folder(folder)
    _remove_previous_files(folder)
    for name, rows in checked.items():
        write_csv(folder / f"{name}.csv", MANIFEST_COLUMNS, (manifest_row(*row) for row in rows))
    # The manifests keep all names: SpeechBrain reads them.
    lines = (map(neutral_cell, (item.path, item.set, item.reason)) for item in rejected)
    write_csv(folder / REJECTED_FILE, ("path", "set", "reason"), lines)
    outputs = [*(f"{name}.csv" for name in checked), REJECTED_FILE]
    fingerprint["outputs"] = {name: file_digest(folder / name) for name in outputs}
    fingerprint["facts"] = facts_digest(json.loads(json.dumps(facts)))
    text = json.dumps({**facts, "fingerprint": fingerprint}, indent=2, ensure_ascii=True)
    write_text(folder / SUMMARY_FILE, text + "\n")
    logger.info("Wrote %s with %s", folder, ", ".join(outputs))
    return Summary(folder, json.loads(text))


def _remove_previous_files(folder: Path) -> None:
    """Remove the files of an earlier preparation, starting with its summary."""
    try:
        earlier = load_summary(folder)["sets"]
    except (FileNotFoundError, ValueError):
        earlier = {}
    (folder / SUMMARY_FILE).unlink(missing_ok=True)
    for name in earlier:
        (folder / f"{os.path.basename(name)}.csv").unlink(missing_ok=True)

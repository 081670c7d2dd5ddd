"""Identity of training data, to find out whether a model is tested on what it was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from data_prep.manifest import TRAINING_SETS, Summary

TRAINING_DATA_KEY = "training_data"
"""Key of the identity in the protocol of a run and of a released model."""
SAMPLE = 256
"""Number of utterances whose digests are stored: those with the smallest digests."""


def training_data(summary: Summary, rows: Mapping[str, Mapping[str, Mapping]]) -> dict:
    """Return the identity of the data that a model is trained on and selected with.

    Arguments
    ---------
    summary : Summary
        Summary of the prepared corpus.
    rows : mapping
        Manifest rows of each set, by id.

    Returns
    -------
    dict
        ``label_files``, the SHA-256 digests of the label files; ``utterances``, the number of
        training and development utterances; and ``sample``, digests of the id and duration of up to
        256 of them, selected by digest.
    """
    digests = sorted(d for name in TRAINING_SETS for d in _digests(rows.get(name, {})))
    return {
        "label_files": label_digests(summary),
        "utterances": len(digests),
        "sample": " ".join(digests[:SAMPLE]),
    }


def label_digests(summary: Summary) -> list[str]:
    """Return the SHA-256 digests of the label files of a prepared corpus."""
    digests = summary.facts["fingerprint"]["inputs"].values()
    return sorted(digest for digest in digests if digest)  # None: an optional file is missing


def count_shared(identity: Mapping, rows: Mapping[str, Mapping]) -> tuple[int, int]:
    """Return how many utterances of a set belong to the training data.

    Arguments
    ---------
    identity : mapping
        Result of :func:`training_data`.
    rows : mapping
        Manifest rows of the set, by id.

    Returns
    -------
    tuple of int
        Number of utterances that are in the training data, and number of utterances that could be
        compared: all of them if the training data have at most 256 utterances, otherwise those
        whose digests are in the range of the sample.
    """
    sample = set(str(identity["sample"]).split())
    found = _digests(rows)
    if identity["utterances"] > len(sample):
        found = [digest for digest in found if digest <= max(sample)]
    return sum(digest in sample for digest in found), len(found)


def _digests(rows: Mapping[str, Mapping]) -> list[str]:
    """Return a digest of the id and duration of each utterance."""
    texts = (f"{key}|{float(row['duration']):.2f}" for key, row in rows.items())
    return [hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts]

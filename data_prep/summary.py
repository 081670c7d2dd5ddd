"""Summary of data preparation, stored as ``summary.json`` next to the manifests."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from data_prep.audio_check import list_audio, listing_digest, stat_audio
from data_prep.corpus import Rejection, Utterance, speaker_key
from data_prep.set_digests import set_digests
from emosphere_sb.audio.check import AudioInfo
from emosphere_sb.fileio.atomic import digest_of
from emosphere_sb.scale import DIMENSIONS, Scale

SUMMARY_FILE = "summary.json"
REJECTED_FILE = "rejected.csv"

CODE_VERSION = 5
"""Version of the fingerprint. Increase it when the same input yields different manifests."""


@dataclass(frozen=True)
class Summary:
    """Summary of data preparation.

    Arguments
    ---------
    folder : pathlib.Path
        Folder of the manifests.
    facts : dict
        Contents of ``summary.json``.
    skipped : bool
        Whether the manifests of an earlier preparation were reused.
    """

    folder: Path
    facts: dict[str, Any]
    skipped: bool = False

    @property
    def sets(self) -> dict[str, Path]:
        """Path of the manifest of each set."""
        return {name: self.folder / facts["file"] for name, facts in self.facts["sets"].items()}

    @cached_property
    def audio_digests(self) -> dict[str, str]:
        """Digest of the audio of each set; see :mod:`data_prep.set_digests`."""
        return set_digests(self.sets, self.data_root, self.folder)

    @property
    def labelled(self) -> tuple[str, ...]:
        """Names of the sets with labels. The other sets can only be predicted."""
        return tuple(name for name, facts in self.facts["sets"].items() if facts["labelled"])

    @property
    def counts(self) -> dict[str, int]:
        """Number of utterances in each set."""
        return {name: facts["utterances"] for name, facts in self.facts["sets"].items()}

    @property
    def hours(self) -> dict[str, float]:
        """Hours of audio in each set."""
        return {name: facts["hours"] for name, facts in self.facts["sets"].items()}

    @property
    def rejected(self) -> dict[str, int]:
        """Number of rejected files by category of the reason, most frequent first."""
        return dict(self.facts["rejected"])

    @property
    def data_root(self) -> Path:
        """Folder that replaces ``$data_root`` in the manifests."""
        return Path(self.facts["data_root"])

    @property
    def corpus(self) -> str:
        """Name of the corpus."""
        return self.facts["corpus"]

    @property
    def release(self) -> str | None:
        """Release of the corpus, if known."""
        return self.facts["release"]

    @property
    def scale(self) -> Scale:
        """Scale of the labels in the manifests."""
        return Scale.from_dict(self.facts["scale"])

    @property
    def warnings(self) -> list[str]:
        """Warnings to consider when reporting results."""
        return list(self.facts["warnings"])

    @property
    def protocol(self) -> dict[str, Any]:
        """Partition, seed and excluded classes."""
        return dict(self.facts["protocol"])


def load_summary(folder: str | os.PathLike) -> dict[str, Any]:
    """Load ``summary.json`` from a folder of manifests.

    Arguments
    ---------
    folder : path
        Output folder of data preparation.

    Raises
    ------
    FileNotFoundError
        If the folder does not contain the complete output of data preparation.
    ValueError
        If the file is corrupted.
    """
    path = Path(folder) / SUMMARY_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} not found, so data preparation is not complete. "
            "Re-run data preparation with --reuse_manifests=False."
        )
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path} is not valid JSON: {error}. Delete it and re-run data preparation."
        ) from None
    if not isinstance(facts, dict) or "sets" not in facts:
        raise ValueError(f"{path} has no key 'sets'. Delete it and re-run data preparation.")
    return facts


def preparation_summary_lines(summary: Summary) -> list[str]:
    """Format the summary of data preparation for the console.

    Arguments
    ---------
    summary : Summary
        Summary returned by :func:`data_prep.manifest.prepare_manifests`.

    Returns
    -------
    list of str
        Lines with the sets, the rejected files by reason, and the warnings.
    """
    release = f" {summary.release}" if summary.release else ""
    state = "unchanged since the last preparation" if summary.skipped else "prepared"
    lines = [f"{summary.corpus}{release} {state}: manifests in {summary.folder}"]
    for name, facts in summary.facts["sets"].items():
        lines.append(f"  {name}: {_format_set(facts)}")
    rejected = summary.rejected
    lines.append(f"  rejected: {sum(rejected.values()):,}{_list_hint(rejected)}")
    lines += [f"    {count:,} {reason}" for reason, count in rejected.items()]
    for name, classes in summary.protocol.get("dropped", {}).items():
        counts = ", ".join(f"{count:,} {emotion}" for emotion, count in classes.items())
        lines.append(f"  excluded from {name} by the protocol: {counts}")
    return lines + [f"  warning: {text}" for text in summary.warnings]


def _format_set(facts: Mapping[str, Any]) -> str:
    """Format the statistics of one set."""
    known = facts["speakers"]
    parts = [f"{facts['utterances']:,} utterances", f"{facts['hours']:.2f} h"]
    parts.append(f"{known:,} known speaker{'s' * (known != 1)}")
    if not facts["labelled"]:
        parts.append("labels hidden")
    else:
        parts += [f"{n:,} without {name}" for name, n in facts["missing"].items() if n]
    other = sum(n for channels, n in facts["channels"].items() if channels != "1")
    if other:
        parts.append(f"{other:,} not mono")
    if len(facts["sample_rates"]) > 1:
        rates = (f"{n:,} at {rate} Hz" for rate, n in facts["sample_rates"].items())
        parts.append(" and ".join(rates))
    return ", ".join(parts)


def _list_hint(rejected: Mapping[str, int]) -> str:
    """Return a hint to the list of rejected files, if there are any."""
    return f" (listed in {REJECTED_FILE})" if rejected else ""


def set_statistics(
    name: str, rows: Sequence[tuple[Utterance, AudioInfo]], *, labelled: bool
) -> dict[str, Any]:
    """Return counts, durations and sampling rates of one set, for ``summary.json``.

    Arguments
    ---------
    name : str
        Name of the set; its manifest is ``<name>.csv``.
    rows : sequence of (Utterance, AudioInfo)
        Utterances of the set.
    labelled : bool
        Whether the labels are known; False if they are hidden.
    """
    durations = [info.duration for _, info in rows]
    return {
        "file": f"{name}.csv",
        "labelled": labelled,
        "utterances": len(rows),
        "hours": sum(durations) / 3600,
        "shortest": min(durations, default=0.0),
        "longest": max(durations, default=0.0),
        "emotions": _count_values(row.emotion for row, _ in rows),
        "speakers": len({speaker_key(name) for name in {row.speaker for row, _ in rows}} - {""}),
        "genders": _count_values(row.gender for row, _ in rows),
        "missing": {
            dimension: sum(getattr(row, dimension) is None for row, _ in rows)
            for dimension in DIMENSIONS
        },
        "sample_rates": _count_values(str(info.sample_rate) for _, info in rows),
        "channels": _count_values(str(info.channels) for _, info in rows),
    }


def _count_values(values: Iterable[str]) -> dict[str, int]:
    """Count how often each value occurs, most frequent first, and by name if equally frequent."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def rejection_counts(rejected: Sequence[Rejection]) -> dict[str, int]:
    """Count the rejections by category of the reason, most frequent first.

    Example
    -------
    >>> rejection_counts([Rejection("a", "no label: x"), Rejection("b", "missing audio file"),
    ...                   Rejection("c", "no label: y")])
    {'no label': 2, 'missing audio file': 1}
    """
    return _count_values(rejection.kind for rejection in rejected)


def file_digest(path: str | os.PathLike) -> str | None:
    """Return the SHA-256 of a file, or None if it does not exist.

    Example
    -------
    >>> file_digest(getfixture("tmp_path") / "absent") is None
    True
    """
    try:
        return digest_of(path)
    except OSError:
        return None


def preparation_request(name: str, data_folder: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of data preparation as plain JSON, for its fingerprint."""
    request = {"corpus": name, "data_folder": str(data_folder), "options": dict(options)}
    return json.loads(
        json.dumps({"code": CODE_VERSION, **request}, default=_to_json, sort_keys=True)
    )


def facts_digest(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the contents of ``summary.json`` except for its fingerprint."""
    content = {key: value for key, value in facts.items() if key != "fingerprint"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _to_json(value: Any) -> Any:
    """Convert an option value that JSON does not support; the elements of sets are sorted."""
    return sorted(map(str, value)) if isinstance(value, (set, frozenset)) else str(value)


def find_unchanged_summary(folder: Path, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the summary of an earlier preparation if it is still valid, and None otherwise.

    It is valid if the settings, the contents of the label files, the names, sizes and modification
    times of all audio files, and the contents of the manifests and of the summary itself are
    unchanged.

    Arguments
    ---------
    folder : pathlib.Path
        Folder of the manifests.
    request : dict
        Settings of the preparation; see :func:`preparation_request`.
    """
    try:
        facts = load_summary(folder)
        fingerprint = facts["fingerprint"]
        same = (
            fingerprint["request"] == request
            and fingerprint["facts"] == facts_digest(facts)
            and all(file_digest(p) == digest for p, digest in fingerprint["inputs"].items())
            and all(file_digest(folder / p) == d for p, d in fingerprint["outputs"].items())
            and listing_digest(
                stat_audio(fingerprint["audio_files"]) | list_audio(fingerprint["audio_folders"])
            )
            == fingerprint["audio"]
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return facts if same else None

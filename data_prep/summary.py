"""What a preparation found, kept as ``summary.json`` beside the manifests."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.audio_check import list_audio, listing_digest
from data_prep.corpus import Rejection, Utterance, speaker_key
from emosphere_sb.audio.header import Header
from emosphere_sb.fileio.atomic import digest_of
from emosphere_sb.scale import DIMENSIONS, Scale

SUMMARY_FILE = "summary.json"
REJECTED_FILE = "rejected.csv"

CODE_VERSION = 4
"""Part of the fingerprint: raise it when the same input gives other manifests."""


@dataclass(frozen=True)
class Summary:
    """The outcome of a preparation.

    Arguments
    ---------
    folder : pathlib.Path
        Where the manifests are.
    facts : dict
        The contents of ``summary.json``.
    skipped : bool
        Whether the manifests of an earlier preparation were still good.
    """

    folder: Path
    facts: dict[str, Any]
    skipped: bool = False

    @property
    def sets(self) -> dict[str, Path]:
        """Manifest of each set, by its name."""
        return {name: self.folder / facts["file"] for name, facts in self.facts["sets"].items()}

    @property
    def labelled(self) -> tuple[str, ...]:
        """Names of the sets with labels; the others can only be predicted."""
        return tuple(name for name, facts in self.facts["sets"].items() if facts["labelled"])

    @property
    def counts(self) -> dict[str, int]:
        """Utterances in each set."""
        return {name: facts["utterances"] for name, facts in self.facts["sets"].items()}

    @property
    def hours(self) -> dict[str, float]:
        """Hours of audio in each set."""
        return {name: facts["hours"] for name, facts in self.facts["sets"].items()}

    @property
    def rejected(self) -> dict[str, int]:
        """How many files were rejected, by kind of reason, most frequent first."""
        return dict(self.facts["rejected"])

    @property
    def data_root(self) -> Path:
        """The folder that ``$data_root`` in the manifests stands for."""
        return Path(self.facts["data_root"])

    @property
    def corpus(self) -> str:
        """The corpus's name."""
        return self.facts["corpus"]

    @property
    def release(self) -> str | None:
        """The corpus's release, where it is known."""
        return self.facts["release"]

    @property
    def scale(self) -> Scale:
        """The scale of the labels in the manifests."""
        return Scale.from_dict(self.facts["scale"])

    @property
    def warnings(self) -> list[str]:
        """What whoever reports a result should know."""
        return list(self.facts["warnings"])

    @property
    def protocol(self) -> dict[str, Any]:
        """Partition, seed, classes left out."""
        return dict(self.facts["protocol"])


def load_summary(folder: str | os.PathLike) -> dict[str, Any]:
    """The contents of ``summary.json`` in a folder of manifests.

    Arguments
    ---------
    folder : path
        Where a preparation wrote to.

    Raises
    ------
    FileNotFoundError
        If the folder holds no finished preparation.
    ValueError
        If the file is damaged.
    """
    path = Path(folder) / SUMMARY_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} must exist: it is written last, when a preparation is finished. "
            "Run the preparation again with --reuse_manifests=False."
        )
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} must hold JSON: {error}. Delete it and prepare again.") from None
    if not isinstance(facts, dict) or "sets" not in facts:
        raise ValueError(f"{path} must hold a summary of sets. Delete it and prepare again.")
    return facts


def summary_lines(summary: Summary) -> list[str]:
    """A preparation's outcome for the screen: sets, rejected files with their reasons, warnings.

    Arguments
    ---------
    summary : Summary
        As :func:`data_prep.manifest.prepare` returned it.
    """
    release = f" {summary.release}" if summary.release else ""
    state = "unchanged since the last preparation" if summary.skipped else "prepared"
    lines = [f"{summary.corpus}{release} {state}: manifests in {summary.folder}"]
    for name, facts in summary.facts["sets"].items():
        lines.append(f"  {name}: {_set_line(facts)}")
    rejected = summary.rejected
    lines.append(f"  rejected: {sum(rejected.values()):,}{_see(rejected)}")
    lines += [f"    {count:,} {reason}" for reason, count in rejected.items()]
    for name, classes in summary.protocol.get("dropped", {}).items():
        counts = ", ".join(f"{count:,} {emotion}" for emotion, count in classes.items())
        lines.append(f"  left out of {name} by the protocol: {counts}")
    return lines + [f"  warning: {text}" for text in summary.warnings]


def _set_line(facts: Mapping[str, Any]) -> str:
    """One set in words."""
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


def _see(rejected: Mapping[str, int]) -> str:
    """Where the rejected files are listed, if there are any."""
    return f" (listed in {REJECTED_FILE})" if rejected else ""


def set_facts(
    name: str, rows: Sequence[tuple[Utterance, Header]], *, labelled: bool
) -> dict[str, Any]:
    """Counts of one set.

    Arguments
    ---------
    name : str
        Of the set; its manifest is ``<name>.csv``.
    rows : sequence of (Utterance, Header)
        What the set holds.
    labelled : bool
        False where the labels are hidden.
    """
    durations = [header.duration for _, header in rows]
    return {
        "file": f"{name}.csv",
        "labelled": labelled,
        "utterances": len(rows),
        "hours": sum(durations) / 3600,
        "shortest": min(durations, default=0.0),
        "longest": max(durations, default=0.0),
        "emotions": _counts(row.emotion for row, _ in rows),
        "speakers": len({speaker_key(name) for name in {row.speaker for row, _ in rows}} - {""}),
        "genders": _counts(row.gender for row, _ in rows),
        "missing": {
            dimension: sum(getattr(row, dimension) is None for row, _ in rows)
            for dimension in DIMENSIONS
        },
        "sample_rates": _counts(str(header.sample_rate) for _, header in rows),
        "channels": _counts(str(header.channels) for _, header in rows),
    }


def _counts(values: Iterable[str]) -> dict[str, int]:
    """How often each value occurs, the most frequent first, equal ones by name."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def rejection_counts(rejected: Sequence[Rejection]) -> dict[str, int]:
    """How often each kind of reason occurs, the most frequent first.

    Example
    -------
    >>> rejection_counts([Rejection("a", "no label: x"), Rejection("b", "missing audio file"),
    ...                   Rejection("c", "no label: y")])
    {'no label': 2, 'missing audio file': 1}
    """
    return _counts(rejection.kind for rejection in rejected)


def file_digest(path: str | os.PathLike) -> str | None:
    """SHA-256 of a file's contents; None if there is no such file.

    Example
    -------
    >>> file_digest(getfixture("tmp_path") / "absent") is None
    True
    """
    try:
        return digest_of(path)
    except OSError:
        return None


def request_of(name: str, data_folder: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for, as plain JSON: the part of a fingerprint known before any reading."""
    request = {"corpus": name, "data_folder": str(data_folder), "options": dict(options)}
    return json.loads(json.dumps({"code": CODE_VERSION, **request}, default=_plain, sort_keys=True))


def _plain(value: Any) -> Any:
    """JSON for option values that are no JSON, in the same order every time."""
    return sorted(map(str, value)) if isinstance(value, (set, frozenset)) else str(value)


def is_unchanged(folder: Path, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """The facts of an earlier preparation if asking again would give the same; None if not.

    Compared are the request, the contents of the label files, name, size and time of change of all
    audio files, and the contents of the manifests themselves.

    Arguments
    ---------
    folder : pathlib.Path
        Where the manifests are.
    request : dict
        See :func:`request_of`.
    """
    try:
        facts = load_summary(folder)
        fingerprint = facts["fingerprint"]
        same = (
            fingerprint["request"] == request
            and all(file_digest(p) == digest for p, digest in fingerprint["inputs"].items())
            and all(file_digest(folder / p) == d for p, d in fingerprint["outputs"].items())
            and listing_digest(list_audio(fingerprint["audio_folders"])) == fingerprint["audio"]
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return facts if same else None

"""Check labels, ids, audio and speakers, and separate usable from rejected utterances."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable
from dataclasses import replace

from data_prep.audio_check import FileStatus, check_audio_files
from data_prep.corpus import Corpus, Rejection, Utterance, speaker_key
from data_prep.duplicates import AudioPaths, drop_duplicates, resolve_paths
from data_prep.parsing.label_text import is_finite
from emosphere_sb.audio.check import MISSING_FILE, AudioInfo, warning_summary
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.scale import DIMENSIONS, Scale

UsableRows = dict[str, list[tuple[Utterance, AudioInfo]]]
"""Usable utterances of each set, with the properties of their audio."""

OUT_OF_RANGE_ACTIONS = ("reject", "clip")
"""Ways to handle labels outside the scale."""

MAX_LISTED_CHANGES = 10
"""Maximum number of clipped labels that a warning lists."""

MIN_CHECKED = 8
"""Number of labels below which a set is not checked for equal labels."""

_DATA_ROOT = re.compile(r"\$data_root(?![\w.])")


def screen_utterances(
    corpus: Corpus,
    listing: dict[str, FileStatus],
    *,
    min_duration: float,
    max_duration: float,
    out_of_range_labels: str = "reject",
    channel: str = "mix",
    workers: int | None = None,
) -> tuple[UsableRows, list[Rejection], list[str]]:
    """Split the utterances of a corpus into usable and rejected ones.

    Arguments
    ---------
    corpus : Corpus
        Corpus returned by its reader.
    listing : dict of str to FileStatus
        Audio files in the corpus's folders; see :func:`data_prep.audio_check.list_audio`.
    min_duration, max_duration : float
        Duration limits in seconds (inclusive).
    out_of_range_labels : str
        ``reject`` to reject rows with a label outside the scale, or ``clip`` to clip the label.
    channel : str
        Use of several channels; see :func:`emosphere_sb.audio.check.check_audio`.
    workers : int, optional
        Number of threads that check audio files.

    Returns
    -------
    checked : dict of str to list of (Utterance, AudioInfo)
        Usable utterances of each set, in the order of the corpus.
    rejected : list of Rejection
        Rejections by the reader, followed by those for duplicates, labels, audio, and audio files
        without a label.
    warnings : list of str
        Warnings about clipped labels and missing transcripts.

    Raises
    ------
    ValueError
        If ``out_of_range_labels`` is neither ``reject`` nor ``clip``.
    """
    if out_of_range_labels not in OUT_OF_RANGE_ACTIONS:
        raise ValueError(
            f"--out_of_range_labels must be {' or '.join(OUT_OF_RANGE_ACTIONS)}; found "
            f"{out_of_range_labels!r}."
        )
    files = AudioPaths(corpus.data_root, listing)
    resolve_paths(corpus, files)
    single, doubles, named = drop_duplicates(corpus, files)
    rejected = [*corpus.rejected, *doubles]
    rows, clipped = [], {}
    for name, row in single:
        if out_of_range_labels == "clip":
            row, clipped[row.id] = clip_labels(row, corpus.scale)
        reason = label_problem(row, corpus.scale, labelled=name not in corpus.predict_only)
        if reason:
            rejected.append(Rejection(row.path, reason, name))
        else:
            rows.append((name, row))
    paths = [files.absolute(row.path) for _, row in rows]
    audio = check_audio_files(paths, workers=workers, channel=channel, max_seconds=max_duration)
    checked: UsableRows = {name: [] for name in corpus.sets}
    for (name, row), path, info in zip(rows, paths, audio, strict=True):
        reason = audio_problem(info, min_duration=min_duration, max_duration=max_duration)
        if reason == MISSING_FILE and (hint := files.suggest(path)):
            reason += f": {hint}"
        if reason or isinstance(info, AudioError):
            rejected.append(Rejection(row.path, reason, name))
        else:
            checked[name].append((row, info))
    rejected += [Rejection(path, "audio without a label") for path in files.unlabelled(named)]
    defects = [
        (row.path, text)
        for members in checked.values() for row, info in members for text in info.warnings
    ]  # fmt: skip
    usable_ids = (row.id for members in checked.values() for row, _ in members)
    warnings = _clipping_warnings(
        [change for name in usable_ids for change in clipped.get(name, ())]
    )
    if corpus.has_transcripts:
        warnings += _missing_transcript_warnings(checked)
    return checked, rejected, warnings + warning_summary(defects)


def clip_labels(row: Utterance, scale: Scale) -> tuple[Utterance, list[str]]:
    """Clip the labels of a row to the scale.

    Arguments
    ---------
    row : Utterance
        Row of a label file.
    scale : emosphere_sb.scale.Scale
        Scale of the corpus.

    Returns
    -------
    row : Utterance
        The row with clipped labels.
    changes : list of str
        Descriptions of the clipped labels.

    Example
    -------
    >>> row, changes = clip_labels(Utterance("a", "a.wav", 4.0, 7.5, None), Scale(1, 7))
    >>> row.vad, changes
    ((4.0, 7.0, None), ['arousal of a was 7.5'])
    """
    off = {
        dimension: value
        for dimension, value in zip(DIMENSIONS, row.vad, strict=True)
        if is_finite(value) and not scale.contains(value)
    }
    if not off:
        return row, []
    ends = {key: scale.low if value < scale.low else scale.high for key, value in off.items()}
    return replace(row, **ends), [f"{key} of {row.id} was {value}" for key, value in off.items()]


def _clipping_warnings(changes: list[str]) -> list[str]:
    """Return a warning with the number of clipped labels and examples, if there are any."""
    if not changes:
        return []
    more = ", ..." if len(changes) > MAX_LISTED_CHANGES else ""
    return [
        f"{len(changes):,} labels outside the scale were clipped "
        f"({', '.join(changes[:MAX_LISTED_CHANGES])}{more})."
    ]


def _missing_transcript_warnings(checked: UsableRows) -> list[str]:
    """Return a warning if utterances have no transcript."""
    missing = [not row.transcript for rows in checked.values() for row, _ in rows]
    return [f"{sum(missing):,} of {len(missing):,} utterances have no transcript."] * any(missing)


def label_problem(row: Utterance, scale: Scale, *, labelled: bool = True) -> str:
    """Return the reason for rejecting the labels or texts of a row, or an empty string.

    Arguments
    ---------
    row : Utterance
        Row of a label file.
    scale : emosphere_sb.scale.Scale
        Scale of the corpus.
    labelled : bool
        Whether at least one dimension must have a label.

    Example
    -------
    >>> label_problem(Utterance("a", "a.wav", 4.0, 7.5, None), Scale(1, 7))
    'label outside the scale: arousal is 7.5; must be from 1 to 7'
    >>> label_problem(Utterance("a", "a.wav", 4.0), Scale(1, 7))
    ''
    """
    if labelled and row.vad == (None, None, None):
        return "no label: valence, arousal and dominance are empty"
    for dimension, value in zip(DIMENSIONS, row.vad, strict=True):
        if value is None:
            continue
        if not is_finite(value):
            return f"label not finite: {dimension} is {value}"
        if not scale.contains(value):
            return (
                f"label outside the scale: {dimension} is {value}; "
                f"must be from {scale.low:g} to {scale.high:g}"
            )
    return _text_problem(row)


def _text_problem(row: Utterance) -> str:
    """Return the reason why a row cannot be stored in a manifest, or an empty string."""
    texts = (row.path, row.emotion, row.speaker, row.gender, row.session, row.transcript)
    text = "\n".join((row.id, *texts))
    if _DATA_ROOT.search(text):
        return "reserved word: a path or text contains '$data_root', which manifests replace"
    if "\0" in text:
        return "not text: a path or text contains a null byte"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "not text: a path or text is not valid Unicode"
    return ""


def audio_problem(info: AudioInfo | AudioError, *, min_duration: float, max_duration: float) -> str:
    """Return the reason for rejecting an audio file, or an empty string.

    Example
    -------
    >>> audio_problem(AudioInfo(320, 16000, 1), min_duration=0.025, max_duration=60.0)
    'shorter than 0.025 s: 0.02 s'
    """
    if isinstance(info, AudioError):
        return info.reason
    if info.duration < min_duration:
        return f"shorter than {min_duration:g} s: {info.duration:g} s"
    if info.duration > max_duration:
        return f"longer than {max_duration:g} s: {info.duration:g} s"
    return ""


def shared_speakers(checked: UsableRows) -> dict[tuple[str, str], list[str]]:
    """Return the known speakers shared by two sets, for each pair of sets that share any.

    Different spellings of a name, such as ``s1`` and ``S 1``, count as one speaker.

    Example
    -------
    >>> info = AudioInfo(16000, 16000, 1)
    >>> row = lambda id, speaker: (Utterance(id, id, 1.0, speaker=speaker), info)
    >>> shared_speakers({"train": [row("a", "30"), row("b", "Unknown")],
    ...                  "valid": [row("c", "30"), row("d", "Unknown")], "test": [row("e", "31")]})
    {('train', 'valid'): ['30']}
    """
    people = {
        name: _group_by_person({row.speaker for row, _ in rows}) for name, rows in checked.items()
    }
    shared = {}
    for a, b in itertools.combinations(people, 2):
        keys = people[a].keys() & people[b].keys()
        shared[a, b] = sorted(" = ".join(sorted(people[a][key] | people[b][key])) for key in keys)
    return {pair: names for pair, names in shared.items() if names}


def label_warnings(checked: UsableRows, *, predict_only: Collection[str] = ()) -> list[str]:
    """Return warnings about dimensions that have no labels, or equal labels, in a set.

    Arguments
    ---------
    checked : dict of str to list of (Utterance, AudioInfo)
        Usable utterances of each set.
    predict_only : collection of str
        Sets with hidden labels, which are not checked. Sets of fewer than eight labels are not
        checked for equal labels, which may be chance.
    """
    warnings = []
    for name, rows in checked.items():
        if not rows or name in predict_only:
            continue
        for dimension in DIMENSIONS:
            values = [getattr(row, dimension) for row, _ in rows]
            known = [value for value in values if value is not None]
            if not known:
                warnings.append(
                    f"No utterance of the '{name}' set has a label of {dimension}, so its CCC is "
                    "undefined, and the mean CCC is that of the other dimensions."
                )
            elif len(known) >= MIN_CHECKED and len(set(known)) == 1:
                warnings.append(
                    f"All {len(known):,} utterances of the '{name}' set with a label of "
                    f"{dimension} have the label {known[0]:g}, so its CCC is 0 or undefined."
                )
    return warnings


def name_variant_warnings(checked: UsableRows) -> list[str]:
    """Return a warning if speaker names differ only in case, whitespace or Unicode form.

    Example
    -------
    >>> info = AudioInfo(16000, 16000, 1)
    >>> rows = [(Utterance(id, id, 1.0, speaker=id), info) for id in ("s 1", "S1", "s2")]
    >>> name_variant_warnings({"train": rows})
    ["Speaker names that differ only in case or whitespace are treated as one speaker: 'S1' and \
's 1'."]
    """
    names = {row.speaker for rows in checked.values() for row, _ in rows}
    groups = [group for group in _group_by_person(names).values() if len(group) > 1]
    if not groups:
        return []
    texts = [" and ".join(map(repr, sorted(group))) for group in groups[:3]]
    more = f"; and {len(groups) - 3:,} more" if len(groups) > 3 else ""
    return [
        "Speaker names that differ only in case or whitespace are treated as one speaker: "
        f"{'; '.join(texts)}{more}."
    ]


def _group_by_person(names: Iterable[str]) -> dict[str, set[str]]:
    """Group the spellings of known speaker names by their normalised form."""
    people: dict[str, set[str]] = {}
    for name in sorted(names):
        if key := speaker_key(name):
            people.setdefault(key, set()).add(name)
    return people

"""Which utterances can be used: labels, ids, audio and speakers, checked in one place."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable
from dataclasses import replace

from data_prep.audio_check import Found, read_headers
from data_prep.corpus import Corpus, Rejection, Utterance, speaker_key
from data_prep.duplicates import Files, without_doubles
from data_prep.parsing.label_text import is_finite
from emosphere_sb.audio.errors import AudioError
from emosphere_sb.audio.header import MISSING_FILE, Header
from emosphere_sb.scale import DIMENSIONS, Scale

Checked = dict[str, list[tuple[Utterance, Header]]]
"""For each set the utterances that can be used, with their headers."""

LARGEST_RATIO = 1000
"""Of a sample rate to 16 kHz in lowest terms. Resampling costs memory in proportion to it: 44.1 kHz
has 441, 16,001 Hz would take gigabytes for two seconds."""

OUTSIDE_SCALE = ("reject", "clip")
"""What to do with labels that lie outside the scale."""

NAMED = 10
"""So many labels that were changed are named in a warning."""

_DATA_ROOT = re.compile(r"\$data_root(?![\w.])")


def screen(
    corpus: Corpus,
    listing: dict[str, Found],
    *,
    min_duration: float,
    max_duration: float,
    out_of_range_labels: str = "reject",
    workers: int | None = None,
) -> tuple[Checked, list[Rejection], list[str]]:
    """Splits a corpus into what can be used and what cannot, with the reason for each.

    Arguments
    ---------
    corpus : Corpus
        As its reader returned it.
    listing : dict of str to Found
        The audio files below the corpus's folders, see :func:`data_prep.audio_check.list_audio`.
    min_duration, max_duration : float
        In seconds, both still accepted.
    out_of_range_labels : str
        ``reject`` rows with a label off the scale, or ``clip`` it to the scale's nearest end.
    workers : int, optional
        Threads that read headers.

    Returns
    -------
    checked : dict of str to list of (Utterance, Header)
        Every set of the corpus, in its order.
    rejected : list of Rejection
        The reader's own rejections, then doubles, labels, audio, and audio without a label.
    warnings : list of str
        What was changed on the way, and what is missing.

    Raises
    ------
    ValueError
        If ``out_of_range_labels`` is none of its words.
    """
    if out_of_range_labels not in OUTSIDE_SCALE:
        raise ValueError(
            f"--out_of_range_labels must be {' or '.join(OUTSIDE_SCALE)}; found "
            f"{out_of_range_labels!r}."
        )
    files = Files(corpus.data_root, listing)
    single, doubles, named = without_doubles(corpus, files)
    rejected = [*corpus.rejected, *doubles]
    rows, clipped = [], {}
    for name, row in single:
        if out_of_range_labels == "clip":
            row, clipped[row.id] = clip(row, corpus.scale)
        reason = label_problem(row, corpus.scale, labelled=name not in corpus.predict_only)
        if reason:
            rejected.append(Rejection(row.path, reason, name))
        else:
            rows.append((name, row))
    paths = [files.absolute(row.path) for _, row in rows]
    headers = read_headers(paths, workers=workers)
    checked: Checked = {name: [] for name in corpus.sets}
    for (name, row), path, header in zip(rows, paths, headers, strict=True):
        reason = audio_problem(header, min_duration=min_duration, max_duration=max_duration)
        if reason == MISSING_FILE and (alike := files.alike(path)):
            reason += f": there is {alike}"
        if reason or isinstance(header, AudioError):
            rejected.append(Rejection(row.path, reason, name))
        else:
            checked[name].append((row, header))
    rejected += [Rejection(path, "audio without a label") for path in files.unlabelled(named)]
    kept = (row.id for members in checked.values() for row, _ in members)
    warnings = _clipped([change for name in kept for change in clipped.get(name, ())])
    return checked, rejected, warnings + (_silent(checked) if corpus.transcribed else [])


def clip(row: Utterance, scale: Scale) -> tuple[Utterance, list[str]]:
    """A row whose labels lie on the scale, and what had to be changed, in words.

    Arguments
    ---------
    row : Utterance
        One row of a label file.
    scale : emosphere_sb.scale.Scale
        The corpus's scale.

    Example
    -------
    >>> row, changes = clip(Utterance("a", "a.wav", 4.0, 7.5, None), Scale(1, 7))
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


def _clipped(changes: list[str]) -> list[str]:
    """A warning that counts and names labels that were clipped."""
    if not changes:
        return []
    more = ", ..." if len(changes) > NAMED else ""
    return [
        f"{len(changes):,} labels outside the scale were put on its nearest end "
        f"({', '.join(changes[:NAMED])}{more})."
    ]


def _silent(checked: Checked) -> list[str]:
    """A warning if utterances have no transcript."""
    missing = [not row.transcript for rows in checked.values() for row, _ in rows]
    return [f"{sum(missing):,} of {len(missing):,} utterances have no transcript."] * any(missing)


def label_problem(row: Utterance, scale: Scale, *, labelled: bool = True) -> str:
    """Why a row's labels or texts cannot be used; empty if they can.

    Arguments
    ---------
    row : Utterance
        One row of a label file.
    scale : emosphere_sb.scale.Scale
        The corpus's scale.
    labelled : bool
        Whether at least one dimension must be known.

    Example
    -------
    >>> label_problem(Utterance("a", "a.wav", 4.0, 7.5, None), Scale(1, 7))
    'label outside the scale: arousal is 7.5, allowed is 1 to 7'
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
                f"label outside the scale: {dimension} is {value}, "
                f"allowed is {scale.low:g} to {scale.high:g}"
            )
    return _text_problem(row)


def _text_problem(row: Utterance) -> str:
    """Why a row could not be written to a manifest and read back unchanged; empty if it can."""
    texts = (row.path, row.emotion, row.speaker, row.gender, row.session, row.transcript)
    text = "\n".join((row.id, *texts))
    if _DATA_ROOT.search(text):
        return "reserved word: a path or text holds '$data_root', which manifests replace"
    if "\0" in text:
        return "not text: a path or text holds a zero byte"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "not text: a path or text is not valid Unicode"
    return ""


def audio_problem(header: Header | AudioError, *, min_duration: float, max_duration: float) -> str:
    """Why an audio file cannot be used; empty if it can.

    Example
    -------
    >>> audio_problem(Header(320, 16000, 1), min_duration=0.025, max_duration=60.0)
    'shorter than 0.025 s: 0.02 s'
    """
    if isinstance(header, AudioError):
        return str(header)
    if header.sample_rate // math.gcd(header.sample_rate, 16000) > LARGEST_RATIO:
        return f"odd sample rate: {header.sample_rate} Hz; convert it to 16000 Hz"
    if header.duration < min_duration:
        return f"shorter than {min_duration:g} s: {header.duration:g} s"
    if header.duration > max_duration:
        return f"longer than {max_duration:g} s: {header.duration:g} s"
    return ""


def shared_speakers(checked: Checked) -> dict[tuple[str, str], list[str]]:
    """The known speakers that two sets have in common, for every pair that has any.

    A speaker whose name is typed in several ways, such as ``s1`` and ``S 1``, is one person.

    Example
    -------
    >>> header = Header(16000, 16000, 1)
    >>> row = lambda id, speaker: (Utterance(id, id, 1.0, speaker=speaker), header)
    >>> shared_speakers({"train": [row("a", "30"), row("b", "Unknown")],
    ...                  "valid": [row("c", "30"), row("d", "Unknown")], "test": [row("e", "31")]})
    {('train', 'valid'): ['30']}
    """
    people = {name: _by_person({row.speaker for row, _ in rows}) for name, rows in checked.items()}
    shared = {}
    for a, b in itertools.combinations(people, 2):
        keys = people[a].keys() & people[b].keys()
        shared[a, b] = sorted(" = ".join(sorted(people[a][key] | people[b][key])) for key in keys)
    return {pair: names for pair, names in shared.items() if names}


def spelt_differently(checked: Checked) -> list[str]:
    """A warning if known speakers have names that differ only in case, blanks or Unicode form.

    Example
    -------
    >>> header = Header(16000, 16000, 1)
    >>> rows = [(Utterance(id, id, 1.0, speaker=id), header) for id in ("s 1", "S1", "s2")]
    >>> spelt_differently({"train": rows})
    ["Speakers whose names differ only in case or blanks count as one person: 'S1' and 's 1'."]
    """
    names = {row.speaker for rows in checked.values() for row, _ in rows}
    groups = [group for group in _by_person(names).values() if len(group) > 1]
    if not groups:
        return []
    texts = [" and ".join(map(repr, sorted(group))) for group in groups[:3]]
    more = f"; and {len(groups) - 3:,} more" if len(groups) > 3 else ""
    return [
        "Speakers whose names differ only in case or blanks count as one person: "
        f"{'; '.join(texts)}{more}."
    ]


def _by_person(names: Iterable[str]) -> dict[str, set[str]]:
    """Spellings of known speakers' names, by what they have in common."""
    people: dict[str, set[str]] = {}
    for name in sorted(names):
        if key := speaker_key(name):
            people.setdefault(key, set()).add(name)
    return people

"""Which utterances can be used: labels, ids, audio and speakers, checked in one place."""

from __future__ import annotations

import itertools
import math
import os
import re
from collections import defaultdict
from collections.abc import Sequence

from data_prep.audio_check import AudioError, Header, read_headers
from data_prep.corpus import Corpus, Rejection, Utterance, is_known_speaker
from data_prep.label_text import is_finite
from emosphere_sb.scale import DIMENSIONS, Scale

Checked = dict[str, list[tuple[Utterance, Header]]]
"""For each set the utterances that can be used, with their headers."""

LARGEST_RATIO = 1000
"""Of a sample rate to 16 kHz in lowest terms. Resampling costs memory in proportion to it: 44.1 kHz
has 441, 16,001 Hz would take gigabytes for two seconds."""

_DATA_ROOT = re.compile(r"\$data_root(?![\w.])")


def screen(
    corpus: Corpus,
    listing: dict[str, tuple[int, int]],
    *,
    min_duration: float,
    max_duration: float,
    workers: int | None = None,
) -> tuple[Checked, list[Rejection]]:
    """Splits a corpus into what can be used and what cannot, with the reason for each.

    Arguments
    ---------
    corpus : Corpus
        As its reader returned it.
    listing : dict of str to tuple
        The audio files below the corpus's folders, see :func:`data_prep.audio_check.list_audio`.
    min_duration, max_duration : float
        In seconds, both still accepted.
    workers : int, optional
        Threads that read headers.

    Returns
    -------
    checked : dict of str to list of (Utterance, Header)
        Every set of the corpus, in its order.
    rejected : list of Rejection
        The reader's own rejections, then doubles, labels, audio, and audio without a label.
    """
    named = _named_files(corpus)
    rejected = list(corpus.rejected)
    single, doubles = _without_doubles(list(corpus.utterances()))
    rejected += doubles
    rows = []
    for name, row in single:
        reason = label_problem(row, corpus.scale, labelled=name not in corpus.predict_only)
        if reason:
            rejected.append(Rejection(row.path, reason, name))
        else:
            rows.append((name, row))
    headers = read_headers([_file(corpus, row.path) for _, row in rows], workers=workers)
    checked: Checked = {name: [] for name in corpus.sets}
    for (name, row), header in zip(rows, headers, strict=True):
        reason = audio_problem(header, min_duration=min_duration, max_duration=max_duration)
        if reason or isinstance(header, AudioError):
            rejected.append(Rejection(row.path, reason, name))
        else:
            checked[name].append((row, header))
    return checked, rejected + _unlabelled(corpus, listing, named)


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

    Example
    -------
    >>> header = Header(16000, 16000, 1)
    >>> row = lambda id, speaker: (Utterance(id, id, 1.0, speaker=speaker), header)
    >>> shared_speakers({"train": [row("a", "30"), row("b", "Unknown")],
    ...                  "valid": [row("c", "30"), row("d", "Unknown")], "test": [row("e", "31")]})
    {('train', 'valid'): ['30']}
    """
    speakers = {
        name: {row.speaker for row, _ in rows if is_known_speaker(row.speaker)}
        for name, rows in checked.items()
    }
    pairs = itertools.combinations(speakers, 2)
    shared = {(a, b): sorted(speakers[a] & speakers[b]) for a, b in pairs}
    return {pair: names for pair, names in shared.items() if names}


def _file(corpus: Corpus, path: str) -> str:
    """Absolute path of an utterance's audio."""
    return os.path.normpath(os.path.join(corpus.data_root, path))


def _named_files(corpus: Corpus) -> set[str]:
    """Absolute paths of all audio that some label names, used or not."""
    named = {_file(corpus, row.path) for _, row in corpus.utterances()}
    named.update(_file(corpus, rejection.path) for rejection in corpus.rejected)
    named.update(_file(corpus, path) for path in corpus.left_out)
    return named


def _unlabelled(
    corpus: Corpus, listing: dict[str, tuple[int, int]], named: set[str]
) -> list[Rejection]:
    """One rejection for every audio file that no label names."""
    root = str(corpus.data_root)
    paths = sorted(path for path in listing if path not in named)
    relative = (os.path.relpath(path, root).replace(os.sep, "/") for path in paths)
    return [Rejection(path, "audio without a label") for path in relative]


def _without_doubles(
    rows: Sequence[tuple[str, Utterance]],
) -> tuple[list[tuple[str, Utterance]], list[Rejection]]:
    """Of equal rows the first; of different rows with one id, or one file, none."""
    rejected: list[Rejection] = []
    for kind, key in (("duplicate id", "id"), ("duplicate file", "path")):
        groups = defaultdict(list)
        for position, (_, row) in enumerate(rows):
            groups[getattr(row, key)].append(position)
        bad = {}
        for value, places in groups.items():
            if len(places) > 1:
                bad.update(_doubles(rows, places, f"{kind}: {value!r}"))
        rejected += [
            Rejection(rows[place][1].path, reason, rows[place][0])
            for place, reason in sorted(bad.items())
        ]
        rows = [row for place, row in enumerate(rows) if place not in bad]
    return list(rows), rejected


def _doubles(rows: Sequence[tuple[str, Utterance]], places: list[int], what: str) -> dict[int, str]:
    """Reasons for the rows at some places, which share an id or a file."""
    if len({rows[place] for place in places}) == 1:
        return dict.fromkeys(places[1:], f"{what}, an equal row stands before")
    return {place: f"{what} occurs in {len(places)} different rows" for place in places}

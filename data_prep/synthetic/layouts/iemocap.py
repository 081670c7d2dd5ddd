"""The synthetic demo speech as IEMOCAP lies on disk, with the irregularities of its copies."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from data_prep.synthetic.layouts.layout import Layout, couples, write_lines
from data_prep.synthetic.recording import Take
from data_prep.synthetic.script import Panel, Spoken, Voice

SESSIONS = tuple("12345")
SIZES = {
    "demo": dict.fromkeys(SESSIONS, 600),
    "small": dict.fromkeys(SESSIONS, 240),
    "smoke": dict.fromkeys(SESSIONS, 12),
}
"""Name of a size: utterances of each session."""

CLASSES = {
    "neu": ("Neutral", (0.0, 0.0, 0.0)),
    "hap": ("Happiness", (0.60, 0.15, 0.10)),
    "exc": ("Excited", (0.50, 0.65, 0.30)),
    "sad": ("Sadness", (-0.50, -0.50, -0.40)),
    "ang": ("Anger", (-0.60, 0.65, 0.60)),
    "fru": ("Frustration", (-0.45, 0.10, 0.15)),
    "fea": ("Fear", (-0.50, 0.50, -0.65)),
    "dis": ("Disgust", (-0.75, -0.25, 0.35)),
    "sur": ("Surprise", (0.15, 0.65, -0.40)),
}
"""Code of a class: the raters' word for it and its valence, arousal, dominance."""

# Two or three raters: less noise than elsewhere, or they would cap the CCC at about 0.8.
PANEL = Panel(
    {code: centre for code, (_, centre) in CLASSES.items()},
    other="oth",
    tie="xxx",
    high=5,
    raters=(2, 3),
    pool=6,
    noise=0.36,
    unrated_every=47,
    skipped_every=43,
)

_VOICES = {  # the woman and the man of each session
    "1": "en+f2 en-us+m8",
    "2": "en-us+Andrea en-us+victor",
    "3": "en-us+f4 en-us+Jacky",
    "4": "en+aunty en+antonio",
    "5": "en+Annie en-us+ian",
}
# The first letter says who wears the motion capture: not who speaks.
_DIALOGS = [
    *("F_impro01", "M_impro01", "M_script01_1b", "F_script01_1", "F_impro02", "M_impro02"),
    *("F_script01_2", "M_script01_2", "F_impro03", "M_impro03", "F_script02_1", "M_script02_1"),
    *("F_impro04", "M_impro04", "F_script02_2", "M_script02_2", "F_script03_1", "M_script03_1"),
    *("F_impro05", "M_impro05"),
]
_HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"
_APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "
_PAUSE = 0.4  # seconds between two turns


class Turn(NamedTuple):
    """An utterance and its place: id, start and end in its dialog, in seconds."""

    id: str
    item: Spoken
    start: float = 0.0
    end: float = 0.0


def voices() -> list[Voice]:
    """A woman and a man in each session, and no one in two of them.

    Example
    -------
    >>> [voice.speaker for voice in voices()][:4]
    ['Ses01F', 'Ses01M', 'Ses02F', 'Ses02M']
    """
    return couples(_VOICES, lambda session, letter: f"Ses0{session}{letter}")


def dialogs(spoken: Sequence[Spoken]) -> dict[str, list[Turn]]:
    """The turns of each dialog. Its two speakers take turns, whoever wears the motion capture.

    Arguments
    ---------
    spoken : sequence of Spoken
        The corpus.

    Returns
    -------
    dialogs : dict of str to list of Turn
        By the dialog's name; times are not known yet.
    """
    sessions = defaultdict(list)
    for item in spoken:
        sessions[item.voice.part].append(item)
    found: dict[str, list[Turn]] = {}
    for session, items in sessions.items():
        size = max(4, -(-len(items) // len(_DIALOGS)))
        for start in range(0, len(items), size):
            name = f"Ses0{session}{_DIALOGS[start // size]}"
            found[name] = list(_numbered(name, items[start : start + size]))
    return found


def _numbered(dialog: str, items: Sequence[Spoken]) -> Iterator[Turn]:
    """Each speaker's turns of a dialog are counted from 0."""
    turns: Counter[str] = Counter()
    for item in items:
        letter = item.voice.gender[0]
        yield Turn(f"{dialog}_{letter}{turns[letter]:03d}", item)
        turns[letter] += 1


def _wav(folder: Path, turn: str) -> Path:
    """The audio file of a turn."""
    dialog = turn.rpartition("_")[0]
    return folder / f"Session{int(dialog[3:5])}" / "sentences" / "wav" / dialog / f"{turn}.wav"


def _takes(folder: Path, spoken: Sequence[Spoken]) -> list[Take]:
    """What to record: 16 kHz mono."""
    everything = (turn for turns in dialogs(spoken).values() for turn in turns)
    return [Take(turn.item, str(_wav(folder, turn.id))) for turn in everything]


def _write_texts(folder: Path, spoken: Sequence[Spoken], seed: int) -> None:
    """Labels, transcriptions, and what must not be taken for either."""
    spotted = set()
    for dialog, turns in dialogs(spoken).items():
        turns = list(_timed(folder, turns))
        session = folder / f"Session{int(dialog[3:5])}" / "dialog"
        labels = session / "EmoEvaluation" / f"{dialog}.txt"
        selves = {turn.id: _self_report(turn.item, seed) for turn in turns}
        write_lines(labels, evaluation_lines(turns, selves), encoding="latin-1")
        write_lines(session / "transcriptions" / f"{dialog}.txt", transcription_lines(turns))
        _write_decoys(labels, turns, selves)
        if session not in spotted:
            spotted.add(session)
            for path in (labels, _wav(folder, turns[0].id)):
                path.with_name(f"._{path.name}").write_bytes(_APPLE_DOUBLE)


def _timed(folder: Path, turns: Sequence[Turn]) -> Iterator[Turn]:
    """The turns with their times: one begins a little after the other has ended."""
    time = 1.5
    for turn in turns:
        end = time + soundfile.info(_wav(folder, turn.id)).duration
        yield turn._replace(start=time, end=end)
        time = end + _PAUSE


def evaluation_lines(
    turns: Sequence[Turn], selves: Mapping[str, tuple[float, float, float]]
) -> Iterator[str]:
    """Of a label file: a line for each turn, then its raters, then a blank line.

    Arguments
    ---------
    turns : sequence of Turn
        Of one dialog.
    selves : mapping of str to tuple
        For each turn's id the speaker's own valence, arousal, dominance, which is in no mean.
    """
    yield _HEADER
    yield ""
    for turn in turns:
        yield _turn_line(turn, turn.item.consensus)
        actor = f"{turn.item.voice.gender[0]}1"
        for rating in turn.item.ratings:
            yield f"C-E{rating.worker}:\t{_word(rating.emotion, turn.item.number)}"
        yield f"C-{actor}:\tNeutral;\t()"
        for rating in turn.item.ratings:
            yield f"A-E{rating.worker}:\t{_votes(rating.vad)}"
        yield f"A-{actor}:\t{_votes(selves[turn.id])}"
        yield ""


def _turn_line(turn: Turn, vad: Sequence[float]) -> str:
    """Times, id, class, and the bracket in the order valence, arousal, dominance."""
    values = ", ".join(_number(value) for value in vad)
    return f"[{turn.start:.4f} - {turn.end:.4f}]\t{turn.id}\t{turn.item.emotion}\t[{values}]"


def _number(value: float) -> str:
    """Four decimals."""
    return "NaN" if np.isnan(value) else f"{value:.4f}"


def _word(emotion: str, number: int) -> str:
    """A rater's class; ``Other`` may come with a comment, which is not always plain ASCII."""
    if emotion != PANEL.other:
        return f"{CLASSES[emotion][0]};\t()"
    return f"Other;\t({('puzzled', 'blasé', '')[number % 3]})"


def _votes(vad: Sequence[float]) -> str:
    """A rater's numbers, with two blanks after ``dom`` and nothing where there is no vote."""
    valence, arousal, dominance = ("" if np.isnan(vote) else f"{vote:.0f}" for vote in vad)
    return f"val {valence}; act {arousal}; dom  {dominance};\t()"


def _self_report(item: Spoken, seed: int) -> tuple[float, float, float]:
    """What the speaker says: felt more strongly than it is heard."""
    noise = np.random.default_rng([seed, 8, item.number]).normal(0.0, 0.3, 3)
    votes = np.clip(np.rint(3.0 + 3.0 * (np.array(item.vad) + noise)), 1, 5)
    valence, arousal, dominance = votes.tolist()
    return valence, arousal, dominance


def transcription_lines(turns: Sequence[Turn]) -> Iterator[str]:
    """Of a transcription file, with a line without an id and an id without audio.

    Arguments
    ---------
    turns : sequence of Turn
        Of one dialog.
    """
    for turn in turns:
        yield f"{turn.id} [{turn.start:08.4f}-{turn.end:08.4f}]: {turn.item.text}"
    dialog, end = turns[0].id.rpartition("_")[0], turns[-1].end
    yield "M: [LAUGHTER]"
    yield f"{dialog}_FXX0 [{end + 0.1:08.4f}-{end + 0.3:08.4f}]: Hm."


def _write_decoys(labels: Path, turns: Sequence[Turn], selves: Mapping[str, tuple]) -> None:
    """Sub-folders with other files of the same dialog, one even in the grammar of the labels."""
    own = [_HEADER, "", *(_turn_line(turn, selves[turn.id]) for turn in turns)]
    write_lines(labels.parent / "Self-evaluation" / labels.name, own)
    rows = [(turn.id, turn.item.ratings[0]) for turn in turns]
    classes = (f"{name} :{CLASSES.get(r.emotion, ('Other',))[0]}; ()" for name, r in rows)
    write_lines(labels.parent / "Categorical" / f"{labels.stem}_e1_cat.txt", classes)
    votes = (f"{name} :act {r.vad[1]:.0f}; :val {r.vad[0]:.0f}; ()" for name, r in rows)
    write_lines(labels.parent / "Attribute" / f"{labels.stem}_e1_atr.txt", votes)


LAYOUT = Layout(
    corpus="IEMOCAP",
    sizes=SIZES,
    voices=voices(),
    panel=PANEL,
    takes=_takes,
    write_texts=_write_texts,
    first=10_000,
)
"""All of the above."""

"""Synthetic speech in the file layout of IEMOCAP, including the irregularities of its copies."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from data_prep.synthetic.layouts.layout import Layout, paired_voices, write_lines
from data_prep.synthetic.recording import Recording
from data_prep.synthetic.script import Panel, Sentence, Voice

SESSIONS = tuple("12345")
SIZES = {
    "demo": dict.fromkeys(SESSIONS, 600),
    "small": dict.fromkeys(SESSIONS, 240),
    "smoke": dict.fromkeys(SESSIONS, 12),
}
"""Number of utterances of each session, by the name of the size."""

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
"""For each class code, the raters' word, and valence, arousal and dominance."""

# With two or three raters, the default noise would limit the CCC to about 0.8.
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

_VOICES = {  # female and male speaker of each session
    "1": "en+f2 en-us+m8",
    "2": "en-us+Andrea en-us+victor",
    "3": "en-us+f4 en-us+Jacky",
    "4": "en+aunty en+antonio",
    "5": "en+Annie en-us+ian",
}
# The first letter denotes who wears the motion-capture markers, not who speaks.
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
    """Utterance with its id, and its start and end in the dialogue in seconds."""

    id: str
    item: Sentence
    start: float = 0.0
    end: float = 0.0


def voices() -> list[Voice]:
    """Return the voices: one female and one male speaker per session.

    Example
    -------
    >>> [voice.speaker for voice in voices()][:4]
    ['Ses01F', 'Ses01M', 'Ses02F', 'Ses02M']
    """
    return paired_voices(_VOICES, lambda session, letter: f"Ses0{session}{letter}")


def dialogues(sentences: Sequence[Sentence]) -> dict[str, list[Turn]]:
    """Group the sentences into dialogues in which the two speakers alternate.

    Arguments
    ---------
    sentences : sequence of Sentence
        Sentences of the corpus.

    Returns
    -------
    dialogues : dict of str to list of Turn
        Turns of each dialogue by its name, without times.
    """
    sessions = defaultdict(list)
    for item in sentences:
        sessions[item.voice.part].append(item)
    found: dict[str, list[Turn]] = {}
    for session, items in sessions.items():
        size = max(4, -(-len(items) // len(_DIALOGS)))
        for start in range(0, len(items), size):
            name = f"Ses0{session}{_DIALOGS[start // size]}"
            found[name] = list(_number_turns(name, items[start : start + size]))
    return found


def _number_turns(dialog: str, items: Sequence[Sentence]) -> Iterator[Turn]:
    """Number the turns of each speaker in a dialogue from 0."""
    turns: Counter[str] = Counter()
    for item in items:
        letter = item.voice.gender[0]
        yield Turn(f"{dialog}_{letter}{turns[letter]:03d}", item)
        turns[letter] += 1


def _wav_path(folder: Path, turn: str) -> Path:
    """Return the path of the audio file of a turn."""
    dialog = turn.rpartition("_")[0]
    return folder / f"Session{int(dialog[3:5])}" / "sentences" / "wav" / dialog / f"{turn}.wav"


def _recordings(folder: Path, sentences: Sequence[Sentence]) -> list[Recording]:
    """Return the audio files to synthesise: 16 kHz mono."""
    everything = (turn for turns in dialogues(sentences).values() for turn in turns)
    return [Recording(turn.item, str(_wav_path(folder, turn.id))) for turn in everything]


def _write_texts(folder: Path, sentences: Sequence[Sentence], seed: int) -> None:
    """Write labels, transcriptions, and decoy files that a reader must ignore."""
    spotted = set()
    for dialog, turns in dialogues(sentences).items():
        turns = list(_with_times(folder, turns))
        session = folder / f"Session{int(dialog[3:5])}" / "dialog"
        labels = session / "EmoEvaluation" / f"{dialog}.txt"
        selves = {turn.id: _self_report(turn.item, seed) for turn in turns}
        write_lines(labels, evaluation_lines(turns, selves), encoding="latin-1")
        write_lines(session / "transcriptions" / f"{dialog}.txt", transcription_lines(turns))
        _write_decoys(labels, turns, selves)
        if session not in spotted:
            spotted.add(session)
            for path in (labels, _wav_path(folder, turns[0].id)):
                path.with_name(f"._{path.name}").write_bytes(_APPLE_DOUBLE)


def _with_times(folder: Path, turns: Sequence[Turn]) -> Iterator[Turn]:
    """Add times to the turns, with a short pause between turns."""
    time = 1.5
    for turn in turns:
        end = time + soundfile.info(_wav_path(folder, turn.id)).duration
        yield turn._replace(start=time, end=end)
        time = end + _PAUSE


def evaluation_lines(
    turns: Sequence[Turn], selves: Mapping[str, tuple[float, float, float]]
) -> Iterator[str]:
    """Yield the lines of a label file: each turn, followed by its raters and a blank line.

    Arguments
    ---------
    turns : sequence of Turn
        Turns of one dialogue.
    selves : mapping of str to tuple
        Self-reported valence, arousal and dominance by turn id; they are not part of the means.
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
            yield f"A-E{rating.worker}:\t{_format_votes(rating.vad)}"
        yield f"A-{actor}:\t{_format_votes(selves[turn.id])}"
        yield ""


def _turn_line(turn: Turn, vad: Sequence[float]) -> str:
    """Format times, id, class, and valence, arousal and dominance in brackets."""
    values = ", ".join(_number(value) for value in vad)
    return f"[{turn.start:.4f} - {turn.end:.4f}]\t{turn.id}\t{turn.item.emotion}\t[{values}]"


def _number(value: float) -> str:
    """Format a number with four decimals."""
    return "NaN" if np.isnan(value) else f"{value:.4f}"


def _word(emotion: str, number: int) -> str:
    """Format a rater's class; ``Other`` may have a comment with non-ASCII characters."""
    if emotion != PANEL.other:
        return f"{CLASSES[emotion][0]};\t()"
    return f"Other;\t({('puzzled', 'blasé', '')[number % 3]})"


def _format_votes(vad: Sequence[float]) -> str:
    """Format the votes of a rater, with two spaces after ``dom``; missing votes are empty."""
    valence, arousal, dominance = ("" if np.isnan(vote) else f"{vote:.0f}" for vote in vad)
    return f"val {valence}; act {arousal}; dom  {dominance};\t()"


def _self_report(item: Sentence, seed: int) -> tuple[float, float, float]:
    """Simulate the speaker's self-report, which is more extreme than the ratings."""
    noise = np.random.default_rng([seed, 8, item.number]).normal(0.0, 0.3, 3)
    votes = np.clip(np.rint(3.0 + 3.0 * (np.array(item.vad) + noise)), 1, 5)
    valence, arousal, dominance = votes.tolist()
    return valence, arousal, dominance


def transcription_lines(turns: Sequence[Turn]) -> Iterator[str]:
    """Yield the lines of a transcription file, including one without an id and one without audio.

    Arguments
    ---------
    turns : sequence of Turn
        Turns of one dialogue.
    """
    for turn in turns:
        yield f"{turn.id} [{turn.start:08.4f}-{turn.end:08.4f}]: {turn.item.text}"
    dialog, end = turns[0].id.rpartition("_")[0], turns[-1].end
    yield "M: [LAUGHTER]"
    yield f"{dialog}_FXX0 [{end + 0.1:08.4f}-{end + 0.3:08.4f}]: Hm."


def _write_decoys(labels: Path, turns: Sequence[Turn], selves: Mapping[str, tuple]) -> None:
    """Write subfolders with other files of the dialogue, one of them in the label format."""
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
    recordings=_recordings,
    write_texts=_write_texts,
    first=10_000,
)
"""Layout of IEMOCAP."""

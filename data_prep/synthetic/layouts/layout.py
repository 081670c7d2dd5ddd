"""What a layout of the synthetic demo speech consists of, and what several layouts need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.synthetic.recording import Take
from data_prep.synthetic.script import Panel, Spoken, Voice, script

# eSpeak NG's variants with the voice of a woman; the others in use have that of a man.
_FEMALE = {"f1", "f2", "f3", "f4", "f5", "Alicia", "linda", "grandma", "anika", "belinda"}
_FEMALE |= {"Andrea", "aunty", "Annie", "shelby", "steph"}


@dataclass(frozen=True)
class Layout:
    """How the synthetic speech lies on disk when it stands in for a corpus.

    Arguments
    ---------
    corpus : str
        Whose layout this is.
    sizes : mapping of str to mapping
        For each size, ``demo``, ``small`` and ``smoke``, the utterances of each split or session.
    voices : sequence of Voice
        Who speaks in which of them.
    panel : Panel
        Who rates.
    takes : callable
        ``takes(folder, spoken)``: the audio files, one an utterance.
    write_texts : callable
        ``write_texts(folder, spoken, seed)``: everything else, once the audio is there.
    first : int
        Number of the first utterance; see :func:`data_prep.synthetic.script.script`.
    hidden : frozenset of str
        Splits whose labels nobody is given.
    options : mapping of str to Any
        What a reader has to be told because the files do not say it.
    """

    corpus: str
    sizes: Mapping[str, Mapping[str, int]]
    voices: Sequence[Voice]
    panel: Panel
    takes: Callable[[Path, Sequence[Spoken]], list[Take]]
    write_texts: Callable[[Path, Sequence[Spoken], int], None]
    first: int = 0
    hidden: frozenset[str] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)

    def script(self, utterances: Mapping[str, int], *, seed: int = 1) -> list[Spoken]:
        """What is said in a corpus of this layout.

        Arguments
        ---------
        utterances : mapping of str to int
            Number of utterances of each split or session.
        seed : int
            The same seed gives the same records.
        """
        return script(utterances, self.voices, self.panel, seed=seed, first=self.first)


def gender_of(name: str) -> str:
    """Of an eSpeak voice.

    Example
    -------
    >>> gender_of("en-us+f1"), gender_of("en+m1")
    ('Female', 'Male')
    """
    return "Female" if name.split("+")[1] in _FEMALE else "Male"


def couples(names: Mapping[str, str], speaker: Callable[[str, str], str]) -> list[Voice]:
    """The voices of a corpus in which each session has its own woman and man.

    Arguments
    ---------
    names : mapping of str to str
        For each session the two eSpeak voices, with a blank between them.
    speaker : callable
        ``speaker(session, letter)``: how the corpus names them; the letter is F or M.

    Example
    -------
    >>> [voice.speaker for voice in couples({"2": "en+f1 en+m1"}, "{0}{1}".format)]
    ['2F', '2M']
    """
    return [
        Voice(name, speaker(session, gender_of(name)[0]), gender_of(name), session)
        for session, pair in names.items()
        for name in pair.split()
    ]


def write_lines(path: Path, lines: Iterable[str], *, encoding: str = "utf-8") -> None:
    """A text file, the same on every system, and its folder where there is none.

    Arguments
    ---------
    path : pathlib.Path
        The file.
    lines : iterable of str
        Without their ends.
    encoding : str
        Of the text.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)

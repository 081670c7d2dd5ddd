"""Definition of a layout for synthetic speech, and functions shared by the layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.synthetic.recording import Recording
from data_prep.synthetic.script import Panel, Sentence, Voice, generate_script

# Female voice variants of eSpeak NG; the other variants used here are male.
_FEMALE = {"f1", "f2", "f3", "f4", "f5", "Alicia", "linda", "grandma", "anika", "belinda"}
_FEMALE |= {"Andrea", "aunty", "Annie", "shelby", "steph"}


@dataclass(frozen=True)
class Layout:
    """File layout of a synthetic corpus.

    Arguments
    ---------
    corpus : str
        Name of the corpus that has this layout.
    sizes : mapping of str to mapping
        Number of utterances of each split or session for the sizes ``demo``, ``small`` and
        ``smoke``.
    voices : sequence of Voice
        Voices of the splits or sessions.
    panel : Panel
        Raters.
    recordings : callable
        ``recordings(folder, sentences)``: returns one audio file per utterance.
    write_texts : callable
        ``write_texts(folder, sentences, seed)``: writes all other files after the audio.
    first : int
        Number of the first utterance; see :func:`data_prep.synthetic.script.generate_script`.
    hidden : frozenset of str
        Splits whose labels are hidden.
    options : mapping of str to Any
        Reader options that are required because the files do not contain the information.
    """

    corpus: str
    sizes: Mapping[str, Mapping[str, int]]
    voices: Sequence[Voice]
    panel: Panel
    recordings: Callable[[Path, Sequence[Sentence]], list[Recording]]
    write_texts: Callable[[Path, Sequence[Sentence], int], None]
    first: int = 0
    hidden: frozenset[str] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)

    def script(self, utterances: Mapping[str, int], *, seed: int = 1) -> list[Sentence]:
        """Generate the sentences of a corpus with this layout.

        Arguments
        ---------
        utterances : mapping of str to int
            Number of utterances of each split or session.
        seed : int
            Random seed.
        """
        return generate_script(utterances, self.voices, self.panel, seed=seed, first=self.first)


def gender_of(name: str) -> str:
    """Return the gender of an eSpeak voice.

    Example
    -------
    >>> gender_of("en-us+f1"), gender_of("en+m1")
    ('Female', 'Male')
    """
    return "Female" if name.split("+")[1] in _FEMALE else "Male"


def paired_voices(names: Mapping[str, str], speaker: Callable[[str, str], str]) -> list[Voice]:
    """Create the voices of a corpus with one female and one male speaker per session.

    Arguments
    ---------
    names : mapping of str to str
        Two eSpeak voices for each session, separated by a space.
    speaker : callable
        ``speaker(session, letter)`` returns the speaker id; the letter is F or M.

    Example
    -------
    >>> [voice.speaker for voice in paired_voices({"2": "en+f1 en+m1"}, "{0}{1}".format)]
    ['2F', '2M']
    """
    return [
        Voice(name, speaker(session, gender_of(name)[0]), gender_of(name), session)
        for session, pair in names.items()
        for name in pair.split()
    ]


def write_lines(path: Path, lines: Iterable[str], *, encoding: str = "utf-8") -> None:
    """Write a text file with ``\\n`` line endings, and create its folder if necessary.

    Arguments
    ---------
    path : pathlib.Path
        Output file.
    lines : iterable of str
        Lines without line endings.
    encoding : str
        Text encoding.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)

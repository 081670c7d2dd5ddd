"""The demo corpus: SYNTHETIC SPEECH in the layout of a corpus that cannot be passed on.

What is said is drawn in :mod:`data_prep.demo_script`, its sound made in
:mod:`data_prep.demo_voice`; this module writes it to disk as MSP-Podcast lies on disk, so that
the preparation and all that follows run as they do on the real corpus.
"""

from __future__ import annotations

import csv
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from data_prep.demo_script import CLASSES, Rating, Spoken, script, voices
from data_prep.demo_studio import Take, record

logger = logging.getLogger(__name__)

VERSION = 1
"""Rises with every change of what is written, so that older folders are made anew."""

STAMP = "demo.json"
"""Written last: a folder without it is not finished."""

SIZES = {
    "demo": {"Train": 3000, "Development": 300, "Test1": 300, "Test2": 200, "Test3": 20},
    "smoke": {"Train": 48, "Development": 16, "Test1": 16, "Test2": 8, "Test3": 4},
}
"""Name of a size: utterances of each split."""

_HEADER = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
_HIDDEN = "Test3"  # the split whose labels nobody is given: audio and Partitions.txt alone
_README = """SYNTHETIC SPEECH

Nobody said these sentences, nobody felt or rated them. They were made by eSpeak NG and a
random number generator (seed {seed}), in the file layout of MSP-Podcast, to run the recipe
where the real corpus is not at hand. No result on them says anything about human speech.
"""


def write(
    corpus: str, folder: str | Path, *, size: str = "demo", seed: int = 1, workers: int = 2
) -> dict:
    """Write the demo corpus in the layout of a corpus.

    Arguments
    ---------
    corpus : str
        Whose layout: ``MSP-Podcast``.
    folder : str or Path
        Where to.
    size : str
        A key of :data:`SIZES`.
    seed, workers : int
        As in :func:`write_msp_podcast`.

    Returns
    -------
    facts : dict
        As in :func:`write_msp_podcast`.

    Raises
    ------
    ValueError
        If there is no such layout or size.
    """
    if corpus not in LAYOUTS:
        raise ValueError(
            f"Synthetic speech can be written in the layout of {', '.join(LAYOUTS)}; found "
            f"{corpus!r}. Pass --data_folder for a corpus of your own."
        )
    return LAYOUTS[corpus](folder, utterances=size, seed=seed, workers=workers)


def write_msp_podcast(
    folder: str | Path,
    *,
    utterances: Mapping[str, int] | str = "demo",
    seed: int = 1,
    workers: int = 2,
) -> dict:
    """Write the demo corpus as MSP-Podcast lies on disk, unless it is there already.

    It is written beside the folder and renamed when complete. A half-written folder is made
    anew; the same corpus is found by its stamp and left as it is.

    Arguments
    ---------
    folder : str or Path
        Where to. An older demo corpus there is replaced.
    utterances : mapping of str to int, or str
        Number of utterances of each split, or a key of :data:`SIZES`.
    seed : int
        The same seed gives the same files.
    workers : int
        Processes of the synthesis. They change nothing but the time.

    Returns
    -------
    facts : dict
        What the stamp holds: version, layout, seed, utterances, speakers, and ``cap``: for every
        split with labels and each dimension the CCC that nothing can pass, see :func:`cap`.

    Raises
    ------
    FileExistsError
        If the folder holds something that is no demo corpus.
    ImportError
        If the package ``espeakng-loader`` is not installed.
    ValueError
        If there is no such size, or a split has no voices.
    """
    folder = Path(folder)
    counts = _counts(utterances)
    settings = {"version": VERSION, "layout": "MSP-Podcast", "seed": seed, "utterances": counts}
    facts = _finished(folder, settings)
    if facts is not None:
        return facts
    _refuse_foreign(folder)
    logger.info("Making %d utterances of synthetic speech", sum(counts.values()))
    spoken = script(counts, seed=seed)
    partial = folder.with_name(folder.name + ".partial")
    _refuse_foreign(partial)
    shutil.rmtree(partial, ignore_errors=True)
    _write_texts(partial, spoken, seed)
    record(list(_takes(partial, spoken)), counts, seed=seed, workers=workers)
    facts = {**settings, "speakers": len({item.voice for item in spoken}), "cap": cap(spoken)}
    (partial / STAMP).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    return facts


LAYOUTS: dict[str, Callable[..., dict]] = {"MSP-Podcast": write_msp_podcast}
"""Name of a corpus: what writes the demo corpus in its layout."""


def cap(spoken: Sequence[Spoken]) -> dict[str, dict[str, float]]:
    """The CCC that a perfect ear would reach, for the raters' noise is in the labels too.

    A perfect ear hears the latent dimension and maps it affinely to the consensus. The CCC of
    the best such map is the Pearson correlation of the two: the map can match mean and
    deviation, and then nothing but the correlation is left of the CCC.

    Arguments
    ---------
    spoken : sequence of Spoken
        The corpus.

    Returns
    -------
    cap : dict
        ``cap[split][dimension]`` for each split that has labels and two utterances or more.
    """
    caps = {}
    for split in dict.fromkeys(item.voice.split for item in spoken):
        items = [item for item in spoken if item.voice.split == split]
        if split == _HIDDEN or len(items) < 2:
            continue
        pairs = np.array([(item.vad, item.consensus) for item in items])
        caps[split] = {
            name: round(float(np.corrcoef(pairs[:, 0, i], pairs[:, 1, i])[0, 1]), 4)
            for i, name in enumerate(("valence", "arousal", "dominance"))
        }
    return caps


def file_name(item: Spoken) -> str:
    """Name of an utterance's wav file: a podcast holds up to fifty turns of one voice."""
    cast = [voice for voice in voices() if voice.split == item.voice.split]
    if item.voice.split == _HIDDEN:
        number = item.turn * len(cast) + cast.index(item.voice) + 1
        return f"MSP-PODCAST_test3_{number:04d}.wav"
    podcast = 300 * voices().index(item.voice) + item.turn // 50 + 1
    return f"MSP-PODCAST_{podcast:04d}_{item.turn % 50 + 1:04d}.wav"


def _counts(utterances: Mapping[str, int] | str) -> dict[str, int]:
    """Number of utterances of each split."""
    if isinstance(utterances, str):
        if utterances not in SIZES:
            raise ValueError(
                f"The size of the demo corpus must be one of {', '.join(SIZES)}; found "
                f"{utterances!r}."
            )
        utterances = SIZES[utterances]
    return dict(utterances)


def _finished(folder: Path, settings: Mapping) -> dict | None:
    """The stamp of a complete corpus with these settings, if there is one."""
    stamp = folder / STAMP
    if not stamp.is_file():
        return None
    facts = json.loads(stamp.read_text(encoding="utf-8"))
    same = all(facts.get(key) == value for key, value in settings.items())
    files = sum(1 for _ in (folder / "Audios").glob("*.wav"))
    return facts if same and files == sum(settings["utterances"].values()) else None


def _refuse_foreign(folder: Path) -> None:
    """Never delete what is not a demo corpus."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    readme = folder / "README.txt"
    if readme.is_file() and readme.read_text(encoding="utf-8").startswith("SYNTHETIC SPEECH"):
        return
    raise FileExistsError(
        f"The demo corpus needs a folder that is new, empty, or an older demo corpus; found "
        f"something else in {folder}. Name another folder."
    )


def _write_texts(folder: Path, spoken: Sequence[Spoken], seed: int) -> None:
    """Everything but the audio; the README first, for it says whose folder this is."""
    for name in ("Audios", "Labels", "Transcripts"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    ordered = sorted(spoken, key=file_name)
    labelled = [item for item in ordered if item.voice.split != _HIDDEN]
    _write_lines(folder / "README.txt", _README.format(seed=seed).splitlines())
    _write_lines(
        folder / "Partitions.txt", (f"{item.voice.split}; {file_name(item)}" for item in ordered)
    )
    _write_lines(folder / "Speaker_ids.txt", _speaker_lines(labelled))
    _write_lines(folder / "Labels" / "labels.txt", _rater_lines(labelled))
    with (folder / "Labels" / "labels_consensus.csv").open("w", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(_HEADER.split(","))
        table.writerows(_row(item) for item in labelled)
    for item in labelled:
        name = Path(file_name(item)).with_suffix(".txt")
        _write_lines(folder / "Transcripts" / name, [item.text])


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    """A text file, the same on every system."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


def _row(item: Spoken) -> list:
    """Of the consensus file: its order is arousal, valence, dominance, with six decimals."""
    valence, arousal, dominance = (round(value, 6) for value in item.consensus)
    voice = item.voice
    numbers = [arousal, valence, dominance]
    return [file_name(item), item.emotion, *numbers, voice.speaker, voice.gender, voice.split]


def _rater_lines(spoken: Sequence[Spoken]) -> Iterator[str]:
    """Of ``labels.txt``: a header and one line a rater, a blank line between files."""
    for item in spoken:
        yield f"{file_name(item)}; {item.emotion}; {_attributes(item.consensus)}"
        for rating in item.ratings:
            words = "; ".join(_emotions(rating, item.number))
            yield f"WORKER{rating.worker:08d}; {words}; {_attributes(rating.vad)}"
        yield ""


def _emotions(rating: Rating, number: int) -> tuple[str, str]:
    """A rater's first and second choice; what follows ``Other-`` is free text, as in reality."""
    if rating.emotion != "O":
        word = CLASSES[rating.emotion][0]
        return word, word
    said = ("confused", "tired; or bored?", "calm, a little distant")[number % 3]
    return f"Other-{said}", "Other"


def _attributes(vad: tuple[float, float, float]) -> str:
    """In the order of the real file."""
    valence, arousal, dominance = vad
    return f"A:{arousal:.6f}; V:{valence:.6f}; D:{dominance:.6f};"


def _speaker_lines(spoken: Sequence[Spoken]) -> Iterator[str]:
    """Of ``Speaker_ids.txt``: who the speakers are, then who speaks in which file."""
    for voice in dict.fromkeys(item.voice for item in spoken):
        if voice.speaker != "Unknown":
            yield f"Speaker_{voice.speaker}; {voice.gender}"
    yield ""
    for item in spoken:
        known = item.voice.speaker != "Unknown"
        yield f"{file_name(item)}; {'Speaker_' if known else ''}{item.voice.speaker}"


def _takes(folder: Path, spoken: Sequence[Spoken]) -> Iterator[Take]:
    """What to record: 16 kHz mono, but for the first file, for the real corpus has one as well."""
    for item in spoken:
        path = str(folder / "Audios" / file_name(item))
        yield Take(item.number, path) if item.number else Take(0, path, 44100, 2)

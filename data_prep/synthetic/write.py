"""The demo corpora: SYNTHETIC SPEECH in the layouts of corpora that cannot be passed on.

What is said is drawn in :mod:`data_prep.synthetic.script`, its sound made in
:mod:`data_prep.synthetic.voice`; each file of :mod:`data_prep.synthetic.layouts` writes it to disk
as one corpus lies on disk, so that the preparation and all that follows run as they do on the real
one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_prep.synthetic.layouts import iemocap, msp_improv, msp_podcast, own_data
from data_prep.synthetic.layouts.layout import Layout, write_lines
from data_prep.synthetic.recording import record
from data_prep.synthetic.script import Spoken
from emosphere_sb.fileio.atomic_folder import atomic_folder

logger = logging.getLogger(__name__)

LAYOUTS: dict[str, Layout] = {
    layout.corpus: layout
    for layout in (msp_podcast.LAYOUT, iemocap.LAYOUT, msp_improv.LAYOUT, own_data.LAYOUT)
}
"""Name of a corpus: how the demo corpus is written in its layout."""

VERSION = 1
"""Rises with every change of what is written, so that older folders are made anew."""

STAMP = "demo.json"
"""Written last: a folder without it is not finished."""

_README = """SYNTHETIC SPEECH

Nobody said these sentences, nobody felt or rated them. They were made by eSpeak NG and a
random number generator (seed {seed}), in the file layout of {corpus}, to run the recipe
where the real corpus is not at hand. No result on them says anything about human speech.
"""


def write(
    corpus: str,
    folder: str | Path,
    *,
    size: Mapping[str, int] | str = "demo",
    seed: int = 1,
    workers: int = 2,
) -> dict:
    """Write the demo corpus in the layout of a corpus, unless it is there already.

    It is written beside the folder and renamed when complete. The same corpus is found by its stamp
    and left as it is; an incomplete one is written again.

    Arguments
    ---------
    corpus : str
        Whose layout: a key of :data:`LAYOUTS`.
    folder : str or Path
        Where to. An older demo corpus there is replaced.
    size : mapping of str to int, or str
        Number of utterances of each split or session, or ``demo``, ``small`` or ``smoke``.
    seed : int
        The same seed gives the same files.
    workers : int
        Processes of the synthesis. They change nothing but the time.

    Returns
    -------
    facts : dict
        What the stamp holds: version, layout, seed, utterances, speakers, and ``cap``: for every
        split or session with labels and each dimension the CCC that nothing can pass, see
        :func:`cap`.

    Raises
    ------
    FileExistsError
        If the folder holds something that is no demo corpus.
    TimeoutError
        If another process is writing the same folder.
    ImportError
        If the package ``espeakng-loader`` is not installed.
    ValueError
        If there is no such layout or size, or a split or session has no voices.
    """
    layout, folder = _layout(corpus), Path(folder)
    counts = _counts(layout, size)
    settings = {"version": VERSION, "layout": corpus, "seed": seed, "utterances": counts}
    facts = _finished(folder, settings)
    if facts is not None:
        return facts
    _refuse_foreign(folder)
    logger.info("Making %d utterances of synthetic speech", sum(counts.values()))
    spoken = layout.script(counts, seed=seed)
    speakers = len({item.voice for item in spoken})
    facts = {**settings, "speakers": speakers, "cap": cap(spoken, hidden=layout.hidden)}
    with atomic_folder(folder, overwrite=True, fsync=False) as partial:
        _write_files(partial, layout, spoken, seed=seed, workers=workers)
        (partial / STAMP).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return facts


def cap(
    spoken: Sequence[Spoken], *, hidden: frozenset[str] = frozenset()
) -> dict[str, dict[str, float]]:
    """The CCC that a perfect ear would reach, for the raters' noise is in the labels too.

    A perfect ear hears the latent dimension and maps it affinely to the consensus. The CCC of
    the best such map is the Pearson correlation of the two: the map can match mean and
    deviation, and then nothing but the correlation is left of the CCC.

    Arguments
    ---------
    spoken : sequence of Spoken
        The corpus.
    hidden : frozenset of str
        Splits without labels.

    Returns
    -------
    cap : dict
        ``cap[part][dimension]`` for each split or session with labels, and for each dimension of
        which at least two different labels are known there.
    """
    caps: dict[str, dict[str, float]] = {}
    for part in dict.fromkeys(item.voice.part for item in spoken):
        items = [item for item in spoken if item.voice.part == part]
        if part not in hidden and len(items) > 1:
            caps[part] = _caps(items)
    return caps


def _caps(items: Sequence[Spoken]) -> dict[str, float]:
    """Of one part, for each dimension."""
    pairs = np.array([(item.vad, item.consensus) for item in items])
    found = {}
    for i, name in enumerate(("valence", "arousal", "dominance")):
        known = pairs[~np.isnan(pairs[:, 1, i]), :, i]
        if len(np.unique(known[:, 1])) > 1:
            found[name] = round(float(np.corrcoef(known.T)[0, 1]), 4)
    return found


def _layout(corpus: str) -> Layout:
    """The layout of a corpus."""
    if corpus not in LAYOUTS:
        raise ValueError(
            f"Synthetic speech can be written in the layout of {', '.join(LAYOUTS)}; found "
            f"{corpus!r}. Pass --data_folder for a corpus of your own."
        )
    return LAYOUTS[corpus]


def _counts(layout: Layout, size: Mapping[str, int] | str) -> dict[str, int]:
    """Number of utterances of each split or session."""
    if isinstance(size, str):
        if size not in layout.sizes:
            raise ValueError(
                f"The size of the demo corpus must be one of {', '.join(layout.sizes)}; found "
                f"{size!r}."
            )
        size = layout.sizes[size]
    return dict(size)


def _finished(folder: Path, settings: Mapping) -> dict | None:
    """The stamp of a complete corpus with these settings, if there is one."""
    stamp = folder / STAMP
    if not stamp.is_file():
        return None
    facts = json.loads(stamp.read_text(encoding="utf-8"))
    same = all(facts.get(key) == value for key, value in settings.items())
    files = sum(1 for path in folder.rglob("*.wav") if not path.name.startswith("."))
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


def _write_files(
    folder: Path, layout: Layout, spoken: Sequence[Spoken], *, seed: int, workers: int
) -> None:
    """Everything but the stamp; the README first, for it says whose folder this is."""
    readme = _README.format(seed=seed, corpus=layout.corpus)
    write_lines(folder / "README.txt", readme.splitlines())
    takes = layout.takes(folder, spoken)
    for place in {Path(take.path).parent for take in takes}:
        place.mkdir(parents=True, exist_ok=True)
    record(takes, seed=seed, workers=workers)
    layout.write_texts(folder, spoken, seed)

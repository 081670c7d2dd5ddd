"""``OnnxEmoSphere``: what :class:`emosphere_sb.inference.interface.EmoSphere` is, without torch.

It needs onnxruntime, numpy and soundfile alone::

    pip install onnxruntime numpy soundfile && pip install --no-deps emosphere-sb

    from emosphere_sb.onnx_export.predictor import OnnxEmoSphere
    OnnxEmoSphere.from_pretrained("exported").predict("speech.wav").valence
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emosphere_sb.inference.predictor import Answers, Asking
from emosphere_sb.inference.waveform import LONGEST
from emosphere_sb.onnx_export.session import FLOAT32, INT8, Session
from emosphere_sb.release import checksums
from emosphere_sb.release.formats import check_format
from emosphere_sb.release.model_info import About


class OnnxEmoSphere(Asking):
    """A model that ``emosphere export`` wrote, on onnxruntime.

    ``predict``, ``predict_each`` and ``answers`` are those of
    :class:`emosphere_sb.inference.interface.EmoSphere`; what they say differs by less than 1e-4
    (int8: by what the export printed).

    Arguments
    ---------
    session : Session
        The graph.
    about : About
        What is known of the model.
    shortest : int
        Samples, at 16 kHz, that an utterance must at least have.

    Example
    -------
    >>> model = OnnxEmoSphere.from_pretrained("path/to/an/exported/model")  # doctest: +SKIP
    >>> model.predict("speech.wav").valence  # doctest: +SKIP
    0.31
    """

    tensors = False
    longest = LONGEST

    def __init__(self, session: Session, about: About, shortest: int):
        self.session, self.about, self.shortest = session, about, shortest

    @classmethod
    def from_pretrained(
        cls, source: str | os.PathLike, *, int8: bool = False, threads: int = 0
    ) -> OnnxEmoSphere:
        """Load an exported model.

        Arguments
        ---------
        source : path
            The folder that ``emosphere export`` wrote.
        int8 : bool
            Whether to take ``model_int8.onnx``.
        threads : int
            On which it runs; 0: as many as there are cores.

        Raises
        ------
        ValueError
            If it is no such folder, or its files are not those that were written.
        ImportError
            If onnxruntime is not installed.
        """
        folder, name = Path(source).expanduser(), INT8 if int8 else FLOAT32
        if not folder.is_dir():
            raise ValueError(
                f"{source} must be the folder of an exported model; there is no such folder. "
                f"`emosphere export MODEL OUT` writes one."
            )
        option = " --int8" if int8 else ""
        parts = (checksums.CONFIGURATION, name)
        checksums.check_seal(folder, parts, made_by=f"emosphere export MODEL OUT{option}")
        about, shortest = read_description(folder)
        session = Session(folder / name, threads=threads)
        if session.has_logits != bool(about.classes):
            raise ValueError(
                f"{folder / name} and {checksums.CONFIGURATION} must be of one model; found "
                f"{'a' if session.has_logits else 'no'} class head in the one and "
                f"{len(about.classes)} classes in the other. Export the model again."
            )
        return cls(session, about, shortest)

    def ask(self, signals: Sequence[np.ndarray]) -> Answers:
        """What the model says of some utterances, (samples,) each at 16 kHz, in one batch."""
        return Answers(*self.session.run([np.asarray(signal) for signal in signals]))


def read_description(folder: Path) -> tuple[About, int]:
    """What is known of an exported model, and samples that an utterance must have.

    Raises
    ------
    ValueError
        If this version does not read its format, or the description does not fit.
    """
    path = folder / checksums.CONFIGURATION
    facts = checksums.read_json(path)
    check_format(facts, path)
    shortest = facts.get("onnx", {}).get("shortest")
    if not isinstance(shortest, int) or "about" not in facts:
        raise ValueError(
            f"{path} must describe an exported model, with 'about' and 'onnx'; found "
            f"{', '.join(facts)}. Export the model again."
        )
    return About.from_dict(facts["about"]), shortest

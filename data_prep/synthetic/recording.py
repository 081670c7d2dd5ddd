"""Recording the synthetic demo corpus: many utterances to files, by several processes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from data_prep.synthetic.espeak import Synthesiser
from data_prep.synthetic.script import Spoken
from data_prep.synthetic.voice import SAMPLE_RATE, resampled, speak


@dataclass(frozen=True)
class Take:
    """One file to record.

    Arguments
    ---------
    spoken : Spoken
        What to say.
    path : str
        Where the wav file goes.
    sample_rate : int
        In Hz.
    channels : int
        1 for mono; 2 for stereo, with the second channel a little softer.
    """

    spoken: Spoken
    path: str
    sample_rate: int = SAMPLE_RATE
    channels: int = 1


def record(takes: Sequence[Take], *, seed: int = 1, workers: int = 2) -> None:
    """Synthesise and write wav files (PCM, 16 bit); the same files for any number of workers.

    Each worker is an interpreter of its own: eSpeak NG has one state per process, and a fork of
    a process that runs torch may hang.

    Arguments
    ---------
    takes : sequence of Take
        What to record.
    seed : int
        Of the corpus.
    workers : int
        Processes; 1 works in this one.

    Raises
    ------
    ImportError
        If the package ``espeakng-loader`` is not installed.
    RuntimeError
        If a worker fails, with what it said last.
    """
    Synthesiser()  # says here, not in a worker, that the package is missing
    if workers <= 1:
        _record(takes, seed)
        return
    started = [_start(takes[part::workers], seed) for part in range(min(workers, len(takes)))]
    said = [process.communicate()[1] for process in started]
    for process, text in zip(started, said, strict=True):
        if process.returncode:
            raise RuntimeError(
                "Every worker of the speech synthesis must end well; one ended with status "
                f"{process.returncode}: {text.strip()[-2000:]}"
            )


def _record(takes: Sequence[Take], seed: int) -> None:
    """Record one after the other."""
    synthesiser = Synthesiser()
    for take in takes:
        samples = speak(take.spoken, synthesiser, seed=seed)
        if take.sample_rate != SAMPLE_RATE:
            samples = resampled(samples, SAMPLE_RATE, take.sample_rate)
        if take.channels == 2:
            samples = np.stack([samples, 0.8 * samples], axis=1)
        soundfile.write(take.path, samples, take.sample_rate, subtype="PCM_16")


def _start(takes: Sequence[Take], seed: int) -> subprocess.Popen:
    """A worker that has been handed its share."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryFile() as task:
        pickle.dump((takes, seed), task)
        task.seek(0)
        return subprocess.Popen(
            [sys.executable, "-m", "data_prep.synthetic.recording"],
            stdin=task,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )


def _work() -> None:
    """Record the share that arrives on standard input, from this very program."""
    takes, seed = pickle.load(sys.stdin.buffer)
    _record(takes, seed)


if __name__ == "__main__":
    _work()

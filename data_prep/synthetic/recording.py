"""Synthesise the audio files of a demo corpus in several processes."""

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
from data_prep.synthetic.script import Sentence
from data_prep.synthetic.voice import SAMPLE_RATE, resample_voice, synthesise_sentence


@dataclass(frozen=True)
class Recording:
    """Audio file to synthesise.

    Arguments
    ---------
    sentence : Sentence
        Sentence to synthesise.
    path : str
        Path of the wav file.
    sample_rate : int
        Sampling rate in Hz.
    channels : int
        Number of channels: 1, or 2 (the second one slightly quieter).
    """

    sentence: Sentence
    path: str
    sample_rate: int = SAMPLE_RATE
    channels: int = 1


def write_recordings(recordings: Sequence[Recording], *, seed: int = 1, workers: int = 2) -> None:
    """Synthesise and write wav files (16-bit PCM).

    The files do not depend on the number of workers. Each worker is a separate interpreter, because
    eSpeak NG has a global state per process, and forking a process that uses torch may hang.

    Arguments
    ---------
    recordings : sequence of Recording
        Files to synthesise.
    seed : int
        Random seed of the corpus.
    workers : int
        Number of processes; 1 uses the current process.

    Raises
    ------
    ImportError
        If the package ``espeakng-loader`` is not installed.
    RuntimeError
        If a worker fails. The message contains the end of its error output.
    """
    Synthesiser()  # raises ImportError here instead of in a worker
    if workers <= 1:
        _write_recordings(recordings, seed)
        return
    started = [
        _start_worker(recordings[part::workers], seed)
        for part in range(min(workers, len(recordings)))
    ]
    errors = [process.communicate()[1] for process in started]
    for process, text in zip(started, errors, strict=True):
        if process.returncode:
            raise RuntimeError(
                f"A speech synthesis worker failed with exit status {process.returncode}: "
                f"{text.strip()[-2000:]}"
            )


def _write_recordings(recordings: Sequence[Recording], seed: int) -> None:
    """Synthesise and write recordings in the current process."""
    synthesiser = Synthesiser()
    for recording in recordings:
        samples = synthesise_sentence(recording.sentence, synthesiser, seed=seed)
        if recording.sample_rate != SAMPLE_RATE:
            samples = resample_voice(samples, SAMPLE_RATE, recording.sample_rate)
        if recording.channels == 2:
            samples = np.stack([samples, 0.8 * samples], axis=1)
        soundfile.write(recording.path, samples, recording.sample_rate, subtype="PCM_16")


def _start_worker(recordings: Sequence[Recording], seed: int) -> subprocess.Popen:
    """Start a worker process for some of the recordings."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryFile() as task:
        pickle.dump((recordings, seed), task)
        task.seek(0)
        return subprocess.Popen(
            [sys.executable, "-m", "data_prep.synthetic.recording"],
            stdin=task,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )


def _run_worker() -> None:
    """Process the recordings that the parent process passes on standard input."""
    recordings, seed = pickle.load(sys.stdin.buffer)
    _write_recordings(recordings, seed)


if __name__ == "__main__":
    _run_worker()

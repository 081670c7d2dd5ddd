"""eSpeak NG through ctypes: text to samples, the same samples for the same arguments.

The library and its data come from the PyPI package ``espeakng-loader`` (the optional extra
``demo``). eSpeak NG is licensed under the GPL, version 3; nothing of it is part of this
package, which only calls it to make the synthetic speech of the demo corpus.
"""

from __future__ import annotations

import _ctypes
import ctypes
import importlib.util
import os
import shutil
import tempfile
import weakref
from pathlib import Path

import numpy as np

_RETRIEVE_SYNCHRONOUSLY = 2  # samples are handed to the callback before espeak_Synth returns
_DO_NOT_EXIT = 0x8000  # report bad data by a return value instead of ending the process
_UTF8 = 1
_SEED = 1  # of the breath noise, which eSpeak otherwise seeds with the time of day
_BY_CHARACTER = 1
# The library keeps the path of its data in a fixed buffer and fails beyond about 180 characters.
_LONGEST_DATA_PATH = 120
_PARAMETERS = {"rate": 1, "volume": 2, "pitch": 3, "pitch_range": 4, "word_gap": 7}
_LIMITS = {
    "rate": (80, 450),
    "volume": (0, 200),
    "pitch": (0, 99),
    "pitch_range": (0, 99),
    "word_gap": (0, 100),
}
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)
_MISSING = (
    "The synthetic demo corpus needs eSpeak NG (GPL-3.0), and the package espeakng-loader that "
    "carries it is not installed. Run pip install 'emosphere-sb[demo]'."
)


def installed() -> bool:
    """Whether eSpeak NG can be had here."""
    return importlib.util.find_spec("espeakng_loader") is not None


class Synthesiser:
    """Speaks English text with eSpeak NG.

    The library has one global state per process, and parts of it (noise, flutter of the pitch)
    run on from one utterance to the next. It is therefore unloaded and loaded again for every
    utterance, which takes 5 ms and makes the samples depend on the arguments alone.

    Raises
    ------
    ImportError
        If the package ``espeakng-loader`` is not installed.

    Example
    -------
    >>> synthesiser = Synthesiser()
    >>> samples, sample_rate = synthesiser.speak("The boat is here.", voice="en-us+m3")
    >>> samples.dtype, sample_rate
    (dtype('float32'), 22050)
    """

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise ImportError(_MISSING) from error
        self._library_path = espeakng_loader.get_library_path()
        self._data_path = self._reachable(Path(espeakng_loader.get_data_path()))

    def speak(
        self,
        text: str,
        *,
        voice: str = "en-us",
        rate: int = 175,
        pitch: int = 50,
        pitch_range: int = 50,
        volume: int = 100,
        word_gap: int = 0,
    ) -> tuple[np.ndarray, int]:
        """Synthesise one utterance.

        Arguments
        ---------
        text : str
            What is said.
        voice : str
            Language and, after a plus sign, variant: ``en-us+f3``.
        rate : int
            Words a minute, 80 to 450.
        pitch : int
            Base pitch, 0 to 99; 50 is the voice's own.
        pitch_range : int
            0 (monotone) to 99; 50 is the voice's own.
        volume : int
            0 to 200; 100 is the normal amplitude.
        word_gap : int
            Pause between words in units of 10 ms at the normal rate, 0 to 100.

        Returns
        -------
        samples : np.ndarray
            Shape (time,), float32 in [-1, 1].
        sample_rate : int
            In Hz.

        Raises
        ------
        ValueError
            If the text is blank, the voice is unknown, a number lies outside its limits, or
            nothing was spoken.
        """
        if not text.strip():
            raise ValueError(f"text must hold something to say; found {text!r}. Pass a sentence.")
        settings = {
            "rate": rate,
            "volume": volume,
            "pitch": pitch,
            "pitch_range": pitch_range,
            "word_gap": word_gap,
        }
        for name, value in settings.items():
            _check(name, value)
        library, sample_rate = self._load()
        try:
            samples = _speak(library, text, voice, settings)
        finally:
            library.espeak_Terminate()
            _unload(library)
        return samples, sample_rate

    def _load(self) -> tuple[ctypes.CDLL, int]:
        """The library in its initial state, and its sample rate."""
        library = ctypes.CDLL(self._library_path)
        sample_rate = library.espeak_Initialize(
            _RETRIEVE_SYNCHRONOUSLY, 0, os.fsencode(self._data_path), _DO_NOT_EXIT
        )
        if sample_rate <= 0:
            raise RuntimeError(
                f"eSpeak NG must find its data; it refused {self._data_path} (code {sample_rate}). "
                "Install espeakng-loader again."
            )
        library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))
        return library, sample_rate

    def _reachable(self, data: Path) -> Path:
        """The data folder, or a link to it at a short path where its own path is too long."""
        if len(os.fsencode(data)) <= _LONGEST_DATA_PATH:
            return data
        folder = tempfile.mkdtemp(prefix="espeak-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        link = Path(folder) / data.name
        link.symlink_to(data, target_is_directory=True)
        return link


def _check(name: str, value: int) -> None:
    """Refuse a setting outside eSpeak's limits, which the library itself would clip silently."""
    low, high = _LIMITS[name]
    if not low <= value <= high:
        raise ValueError(f"{name} must lie between {low} and {high}; found {value}.")


def _speak(library: ctypes.CDLL, text: str, voice: str, settings: dict[str, int]) -> np.ndarray:
    """Samples of one utterance from a library that is loaded."""
    chunks: list[np.ndarray] = []

    @_CALLBACK
    def receive(samples, count, events):
        if samples and count > 0:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    library.espeak_SetSynthCallback(receive)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise ValueError(
            f"voice must be an eSpeak voice such as en-us+f3; found {voice!r}, which it lacks."
        )
    for name, value in settings.items():
        library.espeak_SetParameter(_PARAMETERS[name], int(value), 0)
    data = text.encode() + b"\0"
    library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, _BY_CHARACTER, 0, _UTF8, None, None)
    if not chunks:
        raise ValueError(f"text must give speech; eSpeak NG said nothing for {text!r}.")
    return np.concatenate(chunks).astype(np.float32) / 32768.0


def _unload(library: ctypes.CDLL) -> None:
    """Give the shared library back to the system, so that the next load starts afresh."""
    release = getattr(_ctypes, "dlclose", None) or _ctypes.FreeLibrary
    release(library._handle)

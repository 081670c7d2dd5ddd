"""Deterministic speech synthesis with eSpeak NG, called through ctypes.

The library and its data come from the PyPI package ``espeakng-loader`` (the optional ``demo``
extra). eSpeak NG is licensed under the GPL, version 3. It is not part of this package, which only
calls it to synthesise the demo corpora.
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
_DO_NOT_EXIT = 0x8000  # report bad data with a return value instead of ending the process
_UTF8 = 1
_SEED = 1  # seed of the breath noise; eSpeak's default is the time of day
_BY_CHARACTER = 1
# The library stores its data path in a fixed buffer and fails above about 180 characters.
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
    "The synthetic demo corpora require eSpeak NG (GPL-3.0), but the package espeakng-loader is "
    "not installed. Run: pip install 'emosphere-sb[demo]'"
)


def is_installed() -> bool:
    """Return whether eSpeak NG is installed."""
    return importlib.util.find_spec("espeakng_loader") is not None


class Synthesiser:
    """English speech synthesiser based on eSpeak NG.

    The library has a global state per process, and parts of it (noise, pitch flutter) carry over
    from one utterance to the next. The library is therefore reloaded for each utterance (in about
    5 ms), so that the samples depend only on the arguments.

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
        self._data_path = self._short_data_path(Path(espeakng_loader.get_data_path()))

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
            Text to synthesise.
        voice : str
            Language and variant, for example ``en-us+f3``.
        rate : int
            Speaking rate in words per minute, 80 to 450.
        pitch : int
            Base pitch, 0 to 99 (default of the voice: 50).
        pitch_range : int
            Pitch range, 0 (monotone) to 99 (default of the voice: 50).
        volume : int
            Amplitude, 0 to 200 (normal: 100).
        word_gap : int
            Pause between words in units of 10 ms at the normal rate, 0 to 100.

        Returns
        -------
        samples : np.ndarray
            Shape (time,), float32 in [-1, 1].
        sample_rate : int
            Sampling rate in Hz.

        Raises
        ------
        ValueError
            If the text is blank, the voice is unknown, a setting is out of range, or no speech was
            generated.
        """
        if not text.strip():
            raise ValueError(f"text must not be blank; found {text!r}.")
        settings = {
            "rate": rate,
            "volume": volume,
            "pitch": pitch,
            "pitch_range": pitch_range,
            "word_gap": word_gap,
        }
        for name, value in settings.items():
            _check_setting(name, value)
        library, sample_rate = self._load()
        try:
            samples = _synthesise(library, text, voice, settings)
        finally:
            library.espeak_Terminate()
            _unload(library)
        return samples, sample_rate

    def _load(self) -> tuple[ctypes.CDLL, int]:
        """Load the library in its initial state, and return it with its sampling rate."""
        library = ctypes.CDLL(self._library_path)
        sample_rate = library.espeak_Initialize(
            _RETRIEVE_SYNCHRONOUSLY, 0, os.fsencode(self._data_path), _DO_NOT_EXIT
        )
        if sample_rate <= 0:
            raise RuntimeError(
                f"eSpeak NG could not load its data from {self._data_path} (code {sample_rate}). "
                "Reinstall espeakng-loader."
            )
        library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))
        return library, sample_rate

    def _short_data_path(self, data: Path) -> Path:
        """Return the data folder, or a link with a short path if its path is too long."""
        if len(os.fsencode(data)) <= _LONGEST_DATA_PATH:
            return data
        folder = tempfile.mkdtemp(prefix="espeak-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        link = Path(folder) / data.name
        link.symlink_to(data, target_is_directory=True)
        return link


def _check_setting(name: str, value: int) -> None:
    """Check that a setting is within eSpeak's limits; the library itself would clip it silently."""
    low, high = _LIMITS[name]
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low} and {high}; found {value}.")


def _synthesise(
    library: ctypes.CDLL, text: str, voice: str, settings: dict[str, int]
) -> np.ndarray:
    """Synthesise one utterance with a loaded library."""
    chunks: list[np.ndarray] = []

    @_CALLBACK
    def receive(samples, count, events):
        if samples and count > 0:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    library.espeak_SetSynthCallback(receive)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise ValueError(f"voice must be an eSpeak voice such as en-us+f3; found {voice!r}.")
    for name, value in settings.items():
        library.espeak_SetParameter(_PARAMETERS[name], int(value), 0)
    data = text.encode() + b"\0"
    library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, _BY_CHARACTER, 0, _UTF8, None, None)
    if not chunks:
        raise ValueError(f"eSpeak NG generated no speech for the text {text!r}.")
    return np.concatenate(chunks).astype(np.float32) / 32768.0


def _unload(library: ctypes.CDLL) -> None:
    """Unload the shared library, so that it is loaded in its initial state the next time."""
    release = getattr(_ctypes, "dlclose", None) or _ctypes.FreeLibrary
    release(library._handle)

"""Content of a record of the feature cache: the hidden states of one utterance as bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

KINDS = ("frames", "averages")
PRECISIONS = {"fp32": np.float32, "fp16": np.float16}


@dataclass(frozen=True)
class Layout:
    """What is stored for each utterance, and in which precision.

    A record starts with the *moments*, mean and population SD over the frames of each state and
    dimension; the sums and sums of squares over a set of utterances follow from them. ``frames``
    also stores all frames. Averages of normalised frames have no SD, because it is not needed.

    Arguments
    ---------
    kind : str
        ``frames`` or ``averages``.
    precision : str
        ``fp32`` or ``fp16`` (half the space). Moments are stored in float64, except for averages in
        ``fp16``.
    states, size : int
        Number of states, and number of dimensions of each.
    normalised : bool
        Whether the frames are normalised (with layer norm) before they are averaged.

    Raises
    ------
    ValueError
        If kind or precision is invalid.

    Example
    -------
    >>> layout = Layout("averages", "fp32", states=1, size=2)
    >>> record = layout.encode(np.array([[[1.0, 0.0]], [[3.0, 0.0]]]))
    >>> layout.moments(record).tolist()
    [[[2.0, 0.0]], [[1.0, 0.0]]]
    """

    kind: str
    precision: str
    states: int
    size: int
    normalised: bool = False

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(
                f"feature_cache must be False, True or one of {', '.join(KINDS)}; found "
                f"{self.kind!r}."
            )
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"feature_cache_precision must be one of {', '.join(PRECISIONS)}; found "
                f"{self.precision!r}."
            )

    @property
    def frame_type(self) -> np.dtype:
        """Data type of the frames."""
        return np.dtype(PRECISIONS[self.precision]).newbyteorder("<")

    @property
    def moment_type(self) -> np.dtype:
        """Data type of mean and SD."""
        half = self.kind == "averages" and self.precision == "fp16"
        return np.dtype("<f2" if half else "<f8")

    @property
    def _moments_shape(self) -> tuple[int, int, int]:
        return (1 if self.normalised else 2, self.states, self.size)

    @property
    def moments_bytes(self) -> int:
        """Size of mean and SD of one utterance."""
        return int(np.prod(self._moments_shape)) * self.moment_type.itemsize

    def record_bytes(self, frames: int) -> int:
        """Return the size of the record of an utterance."""
        stored = frames if self.kind == "frames" else 0
        return self.moments_bytes + stored * self.states * self.size * self.frame_type.itemsize

    def encode(self, states: np.ndarray) -> bytes:
        """Return the record of an utterance.

        Arguments
        ---------
        states : numpy.ndarray
            Hidden states, shape (frames, states, size), normalised if ``normalised``.

        Raises
        ------
        ValueError
            If a value exceeds the range of the precision.
        """
        exact = states.astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinite values
            moments = exact.mean(axis=0)[None]
            if not self.normalised:
                moments = np.concatenate([moments, exact.std(axis=0)[None]])
        parts = [(moments, self.moment_type)]
        if self.kind == "frames":
            parts.append((states, self.frame_type))
        for values, to in parts:
            finite = np.abs(values[np.isfinite(values)])
            if finite.size and float(finite.max()) > float(np.finfo(to).max):
                raise ValueError(
                    f"The features reach {finite.max():.3g}, which exceeds the range of half "
                    f"precision. Use --feature_cache_precision=fp32."
                )
        return b"".join(np.ascontiguousarray(values, dtype=to).tobytes() for values, to in parts)

    def moments(self, record: bytes | np.ndarray) -> np.ndarray:
        """Return mean and SD, float64, shape (2, states, size); (1, …) if ``normalised``."""
        values = np.frombuffer(record, self.moment_type, count=int(np.prod(self._moments_shape)))
        return values.reshape(self._moments_shape).astype(np.float64)

    def frames(self, record: bytes | np.ndarray) -> np.ndarray:
        """Return a copy of the frames in their precision, shape (frames, states, size)."""
        values = np.frombuffer(record, self.frame_type, offset=self.moments_bytes)
        return values.reshape(-1, self.states, self.size).astype(PRECISIONS[self.precision])

    def to_dict(self) -> dict:
        """Return the arguments."""
        return asdict(self)

"""Keys of ``metrics.json`` that are no sets, and sentences that stand beside its figures."""

from __future__ import annotations

NON_SET_KEYS = ("protocol", "run", "beside")
"""Keys of ``metrics.json`` under which no figures of a set stand."""

SYNTHETIC = "SYNTHETIC SPEECH: no figure below says anything about human speech."
RIDGE = "Beside it, ridge regression on duration, level, mean F0, F0 range, spectral tilt:"
CAP = "The simulated raters' noise caps the CCC of a perfect model at (V, A, D):"

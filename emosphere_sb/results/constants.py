"""Reserved keys of ``metrics.json``, and headings shared by the console and the report."""

from __future__ import annotations

NON_SET_KEYS = ("protocol", "run", "beside")
"""Keys of ``metrics.json`` that are not names of sets."""

SYNTHETIC_WARNING = "Synthetic speech: these results do not apply to human speech."
SYNTHETIC_MODEL_NOTE = (
    "SYNTHETIC: the model was trained on synthetic speech. Its predictions do not apply to human "
    "speech."
)
"""Note printed with the predictions of a model that was trained on synthetic speech."""
BASELINE_HEADING = (
    "Acoustic baseline (ridge regression on duration, level, mean F0, F0 range, tilt):"
)
CEILING_HEADING = "Highest possible CCC, given the noise of the simulated raters (V, A, D):"

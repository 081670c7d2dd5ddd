"""Warnings about utterances and predictions, and their explanations."""

from __future__ import annotations

SILENT = "silent"
VERY_QUIET = "very quiet"
CLIPPED = "clipped"
NOT_SCALED = "not scaled to [-1, 1]"
VERY_SHORT = "very short"
OFF_SCALE = "off scale"
LONGER = "longer than the training data"
LOUDER = "louder than the training data"
FAR = "far from the training data"
NO_SPEECH = "no speech detected"
LITTLE_SPEECH = "little speech detected"

RANGE_WARNINGS = {"seconds": LONGER, "level": LOUDER, "embedding": FAR}
"""Warning for each difference from the training data that
:meth:`emosphere_sb.release.training_range.TrainingRange.differences` finds."""
ALL_WINDOWS = (SILENT, VERY_QUIET)
"""Warnings that a mean over windows has only if all of its windows have them."""
MOST_WINDOWS = (LONGER, LOUDER, FAR)
"""Warnings that a mean over windows has only if most of its duration has them."""

WARNINGS = {
    SILENT: "The recording is silent (below -80 dBFS), so its values are meaningless. Check the "
    "microphone.",
    VERY_QUIET: "The recording is very quiet (below -60 dBFS), so its values are less reliable. "
    "Check the recording level.",
    CLIPPED: "The recording is clipped because the recording level was too high. Its values are "
    "less reliable.",
    NOT_SCALED: "Samples exceed 2, but full scale is 1. Scale them to [-1, 1], or pass integers.",
    VERY_SHORT: "The recording or the window is shorter than 0.5 s, which is too short for a "
    "reliable prediction.",
    OFF_SCALE: "The prediction is outside the label scale. A small excess is common for strong "
    "emotions; a large one means that the recording differs from the training data.",
    LONGER: "The part that was processed at once is more than 1.5 times as long as almost all "
    "training utterances, so its values are less reliable. Use shorter windows.",
    LOUDER: "The recording is more than 3 dB louder than almost all training utterances, so its "
    "values are less reliable.",
    FAR: "The recording differs from the training data of the model, for example in the "
    "recording conditions or the language, so its values are less reliable.",
    NO_SPEECH: "The processed part probably contains no speech, so its values are meaningless. "
    "Fearful and angry voices are sometimes not detected.",
    LITTLE_SPEECH: "Less than a fifth of the processed part contains detected speech, so its "
    "values are less reliable. Fearful and angry voices are sometimes not detected.",
}
"""Explanation of each warning. Warnings that contain numbers are not listed."""

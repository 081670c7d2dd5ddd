"""Names of the ways to convert several channels to mono."""

from __future__ import annotations

CHANNELS = ("mix", "left", "right", "loudest")
"""Mean of all channels, the first, the second, or the one with the highest level."""


def check_channel(channel: str) -> None:
    """Check the name of a channel.

    Raises
    ------
    ValueError
        If it is not one of :data:`CHANNELS`.
    """
    if channel not in CHANNELS:
        raise ValueError(f"channel must be one of {', '.join(CHANNELS)}; found {channel!r}.")

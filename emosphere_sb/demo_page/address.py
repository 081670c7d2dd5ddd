"""Addresses to listen on: those of this machine alone, and the warning of all others."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def exposure(host: str) -> str:
    """The warning of a page that others can reach.

    Example
    -------
    >>> exposure("0.0.0.0").startswith("WARNING: this page listens on 0.0.0.0")
    True
    """
    return (
        f"WARNING: this page listens on {host}, not on this machine alone. Whoever reaches it can "
        f"use it, without a password and without encryption. --host=127.0.0.1 closes it; browsers "
        f"record from a microphone only on 127.0.0.1 or over https."
    )

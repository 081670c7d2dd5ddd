"""Loopback addresses, and the warning for all other addresses."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def exposure_warning(host: str) -> str:
    """Return the warning for a page that other machines can reach.

    Example
    -------
    >>> exposure_warning("0.0.0.0").startswith("WARNING: this page listens on 0.0.0.0")
    True
    """
    return (
        f"WARNING: this page listens on {host} and may be reachable from other machines, without "
        f"a password or encryption. Use --host=127.0.0.1 to restrict it to this machine. Browsers "
        f"only allow microphone recording on 127.0.0.1 or over https."
    )

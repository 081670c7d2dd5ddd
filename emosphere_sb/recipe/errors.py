"""One-line error messages. Requires only the standard library."""

from __future__ import annotations


def error_text(error: BaseException) -> str:
    r"""Return an error's message on one line, or its class name if it has no message.

    Example
    -------
    >>> error_text(ValueError("--lr is empty.\nUse --lr=null.")), error_text(MemoryError())
    ('--lr is empty. Use --lr=null.', 'MemoryError')
    """
    lines = (line.strip() for line in str(error).splitlines())
    return " ".join(line for line in lines if line) or type(error).__name__

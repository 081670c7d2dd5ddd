"""One-line error messages. Requires only the standard library."""

from __future__ import annotations

from emosphere_sb.fileio.csv_cells import visible_text


def error_text(error: BaseException) -> str:
    r"""Return an error's message on one line without control characters, or its class name.

    Example
    -------
    >>> error_text(ValueError("--lr is empty.\nUse --lr=null.")), error_text(MemoryError())
    ('--lr is empty. Use --lr=null.', 'MemoryError')
    """
    lines = (visible_text(line.strip()) for line in str(error).splitlines())
    return " ".join(line for line in lines if line) or type(error).__name__

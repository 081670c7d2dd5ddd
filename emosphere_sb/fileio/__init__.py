"""Atomic writes, file locks and checksums. Requires neither torch nor numpy."""

"""Atomic writes, file locks, checksums, paths and tables. Requires neither torch nor numpy."""

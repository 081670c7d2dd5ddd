"""Prepare the manifests of a corpus. The reader of each corpus defines ``NAME`` and ``read``."""

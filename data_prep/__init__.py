"""A corpus on disk becomes manifests. Each corpus is one module with ``NAME`` and ``read``."""

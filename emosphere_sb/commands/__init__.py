"""Subcommands of ``emosphere``, one per module: ``predict.py`` is ``emosphere predict``."""

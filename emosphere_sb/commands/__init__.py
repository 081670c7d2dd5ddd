"""Subcommands of ``emosphere``: ``commands/predict.py`` implements ``emosphere predict``."""

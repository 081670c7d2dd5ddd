"""Divide a corpus into sets and folds."""

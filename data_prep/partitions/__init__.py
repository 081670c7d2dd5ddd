"""Splitting of a corpus into sets and folds."""

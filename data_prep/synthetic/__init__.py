"""Synthetic speech in the layout of each corpus, for demos and tests."""

"""The synthetic demo corpora on disk: one file for each corpus whose layout they take."""

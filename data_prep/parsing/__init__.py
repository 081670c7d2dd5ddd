"""Parsing of label files and folders, shared by all corpora."""

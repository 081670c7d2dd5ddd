"""IEMOCAP: label files to utterances."""

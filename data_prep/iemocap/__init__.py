"""Reader for IEMOCAP."""

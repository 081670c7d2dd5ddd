"""The files a run writes: predictions, scores, ``metrics.json`` and provenance."""

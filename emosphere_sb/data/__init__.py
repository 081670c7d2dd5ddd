"""Datasets, batches, samplers and cached features, from manifests to the Brain."""

"""Released models: package a trained model, verify it, load it."""

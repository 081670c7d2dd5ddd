"""Predict valence, arousal and dominance from audio with released models."""

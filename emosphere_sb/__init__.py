"""EmoSphere-SER for SpeechBrain: valence, arousal and dominance from speech."""

__version__ = "0.1.0"

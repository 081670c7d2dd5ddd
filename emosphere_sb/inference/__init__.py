"""From a wav file to valence, arousal and dominance: released models, and how they are asked."""

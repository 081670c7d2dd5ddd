"""Read audio files: headers, samples, resampling and speech level."""

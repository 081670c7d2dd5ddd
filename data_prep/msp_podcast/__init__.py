"""MSP-Podcast: label files to utterances."""

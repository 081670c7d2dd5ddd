"""Reader for MSP-Podcast."""

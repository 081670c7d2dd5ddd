"""Reader for MSP-IMPROV."""

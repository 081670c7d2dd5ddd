"""MSP-IMPROV: label files to utterances."""

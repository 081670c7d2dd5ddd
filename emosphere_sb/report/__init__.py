"""Everything after training is read from one file of predictions."""

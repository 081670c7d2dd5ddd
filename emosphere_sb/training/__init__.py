"""Training: the Brain, its optimiser step, checkpoints and loggers."""

"""Train a model: the Brain, its optimiser step, checkpoints and loggers."""

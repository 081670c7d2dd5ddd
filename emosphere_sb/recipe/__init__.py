"""A training run: command line, hyperparameters, corpora, folds and the order of the steps."""

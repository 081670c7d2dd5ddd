"""Training runs: command line, hyperparameters, corpora, folds and the steps of a run."""

"""Tables of runs: rows × corpora × seeds × folds from one command, each figure traceable."""

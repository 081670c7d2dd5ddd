"""Results tables: one command runs rows × corpora × seeds × folds and records each origin."""

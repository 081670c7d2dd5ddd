"""File layouts of the synthetic demo corpora, one module per corpus."""

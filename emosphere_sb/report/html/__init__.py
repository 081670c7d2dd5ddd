"""HTML pages of reports and results tables."""

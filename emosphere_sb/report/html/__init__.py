"""HTML pages of reports and tables."""

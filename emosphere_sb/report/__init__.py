"""Reports on prediction files: metrics, statistics, plots and HTML pages."""

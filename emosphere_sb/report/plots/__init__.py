"""Plots of reports and results tables, drawn with matplotlib."""

"""Figures of reports and tables, drawn with matplotlib."""

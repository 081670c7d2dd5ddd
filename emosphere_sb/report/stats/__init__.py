"""Metrics with bootstrap intervals, paired comparisons, subgroups and calibration."""

"""Steps of the tables on real speech, see ``benchmarks/real_tables.py``."""

"""Measurements and checks of the GPU benchmark, see ``benchmarks/gpu.py``."""

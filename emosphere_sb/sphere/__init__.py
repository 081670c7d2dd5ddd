"""Geometry of the VAD sphere: spherical coordinates and regions. Pure functions on tensors."""

"""Geometry of the VAD sphere: spherical coordinates and regions."""

"""Pixels: numpy arrays in, numpy arrays out."""

"""Vectors and sparse rows without torch and without a paper."""

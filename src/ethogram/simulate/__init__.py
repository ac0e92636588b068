"""Simulated people and populations."""

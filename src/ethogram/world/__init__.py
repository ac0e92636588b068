"""Worlds that answer back."""

"""People and populations: who would do what."""

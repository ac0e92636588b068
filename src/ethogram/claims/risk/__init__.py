"""Claims of the systems of area risk."""

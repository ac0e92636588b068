"""Claims of the area risk."""

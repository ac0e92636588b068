"""Claims of the area act."""

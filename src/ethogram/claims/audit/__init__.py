"""Claims of the area audit."""

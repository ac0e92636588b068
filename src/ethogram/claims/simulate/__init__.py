"""Claims of the area simulate."""

"""Claims of the area recommend."""

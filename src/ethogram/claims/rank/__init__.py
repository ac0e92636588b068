"""Claims of the area rank."""

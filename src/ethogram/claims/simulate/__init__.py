"""Claims of the systems that simulate."""

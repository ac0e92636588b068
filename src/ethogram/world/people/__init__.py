"""People for worlds: who they are, and how they behave."""

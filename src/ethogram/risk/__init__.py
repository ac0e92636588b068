"""Who or what is dangerous, and why: one published system a file."""

"""Who or what is dangerous, and why? One system per file."""

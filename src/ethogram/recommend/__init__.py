"""Which items next? One system per file."""

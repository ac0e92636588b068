"""Systems that tell who or what is dangerous, and why; the decision remains with a human."""

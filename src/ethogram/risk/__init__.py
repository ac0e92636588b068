<<<<<<< HEAD
"""Systems that tell who or what is dangerous, and why; the decision remains with a human."""
=======
"""Who or what is dangerous, and why: one published system a file."""
>>>>>>> main

"""How the claims of systems that simulate people are measured."""

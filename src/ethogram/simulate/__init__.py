"""Simulating people and populations: what receivers will do, before anything is sent."""

"""Audits: what models and agents do when they are probed."""

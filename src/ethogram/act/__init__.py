"""Agents that act: through tools, screens, homes and code; routing between models."""

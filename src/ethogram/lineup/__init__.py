"""All systems of an area on one log: who is good, beside the best floor, and at what cost."""

from ethogram.lineup.running import Lineup, lineup

__all__ = ["Lineup", "lineup"]

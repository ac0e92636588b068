"""Named data sets: real logs read where they lie, and generators whose truth is known.

Examples
--------
>>> from ethogram import data
>>> "complete_journey" in data.names()
True
>>> data.describe("interests").here
True
>>> data.truth("interests", users=20)["interests"].column_names
['user', 'category', 'strength']
"""

from ethogram.data.cache import folder
from ethogram.data.registry import Description, describe, find, load, names, truth

__all__ = ["Description", "describe", "find", "folder", "load", "names", "truth"]

"""Prefixes of histories that end in the same item: what contrastive learning of intents compares.

The prefix of an event is what its user did before the event's group, at most `length` events, whole groups. For an
event a partner is another event with the same item, of anybody, that something stands before; where there is none, the
event itself.
"""

from __future__ import annotations

import numpy as np

from ethogram.log.kernels import ragged_rows
from ethogram.nn.windows import Windows


class Partners:
    """An inverted index of what stands before each item.

    Parameters
    ----------
    windows : the histories. item : int64[N], item of each of the windows' places, below `width`.
    """

    def __init__(self, windows: Windows, item: np.ndarray, width: int, length: int):
        self.windows, self.length = windows, length
        starts = np.zeros(len(windows.first) - 1, np.int64)
        own = windows.bounds[:-1][np.diff(windows.bounds) > 0]
        starts[own] = own
        self.begins = np.maximum.accumulate(starts)
        # events whose group is not their history's first
        asked = np.flatnonzero(windows.group > self.begins[windows.group])
        self.events = asked[np.argsort(item[asked], kind="stable")]
        self.offsets = np.concatenate([[0], np.cumsum(np.bincount(item[asked], minlength=width))])
        self.item = item

    def other(self, events: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A place with the same item as each of `events`, drawn uniformly from the others; itself where alone."""
        low, high = self.offsets[self.item[events]], self.offsets[self.item[events] + 1]
        drawn = self.events[np.minimum(low + (rng.random(len(events)) * (high - low)).astype(np.int64), high - 1)]
        # the last stands in for the event itself, so that the others share its chance
        clash = (drawn == events) & (high - low > 1)
        last, before = self.events[high - 1], self.events[np.maximum(high - 2, 0)]
        return np.where(clash, np.where(last == events, before, last), drawn)

    def prefixes(self, events: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(places, offsets int64[n + 1], group of each place within its prefix) of what stands before the events."""
        w = self.windows
        group = w.group[events]
        stop, begin = w.first[group], w.first[self.begins[group]]
        wanted = np.maximum(begin, stop - self.length)
        start = w.first[np.searchsorted(w.first, wanted)]
        # a last group larger than the length is read as far as the length goes
        start = np.where(start >= stop, stop - self.length, start)
        places, offsets = ragged_rows(start, stop)
        number = w.group[places] - np.repeat(w.group[start], np.diff(offsets))
        return places, offsets, number

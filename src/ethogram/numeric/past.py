"""Histories of a batch, asked how often and how recently they hold what a candidate is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ethogram.log import Batch, Features, Slices, kernels
from ethogram.log.histories import FOREVER
from ethogram.numeric.rates import log_odds
from ethogram.numeric.slates import Slates
from ethogram.numeric.sliding import windows
from ethogram.numeric.values import Values

WINDOWS = (50, 10)
"""Last events that are counted beside the whole history, cut between groups of equal times."""
LIKED = 2.0
"""Answers' worth of the person's own rate in the rate for one value."""
DAY = 86_400_000_000.0
NEVER = 1e5
"""Days and groups since what never happened: unlike NaN, which says that nobody knows when."""


class Past:
    """The histories of a batch.

    Parameters
    ----------
    history : their events. asked : int64[n], when each question is asked. answer : float32[N], the answers that past
        events carry, NaN where there is none; None if none carries any.
    """

    def __init__(self, history: Slices, asked: np.ndarray, answer: np.ndarray | None):
        self.history = history
        self.asked = np.where(asked == FOREVER, np.nan, asked)
        starts = np.ones(len(history.item), bool) if history.starts is None else np.asarray(history.starts)
        self.group = np.append(np.cumsum(starts), 0)  # the last entry serves logs without events
        self.cuts = {"": history.start}
        for n in WINDOWS:
            self.cuts[f"{n}"] = kernels.cut_at_group(history.start, history.stop, starts, n)
        self.answer = answer

    @classmethod
    def of(cls, features: Features, batch: Batch) -> Past:
        history = batch.sequences["history"]
        return cls(history, batch.time, answers(features, history))

    def whole(self) -> Iterator[tuple[str, np.ndarray]]:
        """(name, number per question): events, groups of equal times, days since the last event."""
        start, stop = self.history.start, self.history.stop
        last = np.where(stop > start, stop - 1, -1)
        yield "events", self.history.lengths
        yield "groups", np.where(last < 0, 0, self.group[last] - self.group[start] + 1)
        yield "days", self.days(last, slice(None))

    def answered(self) -> Iterator[tuple[str, np.ndarray]]:
        """(name, log-odds of a positive answer per question) in each window, NaN where there is no answer."""
        if self.answer is not None:
            for name, cut in self.cuts.items():
                n, mean = self._mean(cut)
                yield f"answered{name}", np.where(n > 0, np.log(mean / (1 - mean)), np.nan)

    def counts(self, slates: Slates, values: Values) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """(name, events of the candidate's value, row of the latest or -1) in each window, the whole history first."""
        for name, cut in self.cuts.items():
            yield name, *self._count(self.history.item, cut, slates, values)

    def since(self, last: np.ndarray, owner: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """(name, days or groups of equal times since the event at row `last`), `NEVER` for row -1."""
        yield "days", self.days(last, owner)
        newest = self.group[self.history.stop - 1]
        yield "back", np.where(last < 0, NEVER, newest[owner] - self.group[last] + 1.0)

    def liked(self, slates: Slates, values: Values) -> np.ndarray | None:
        """Log-odds of a positive answer to the candidate's value in this history, shrunk to the person's own rate.

        NaN where the history holds no answer to it; None where no event carries answers.
        """
        if self.answer is None:
            return None
        # an event that does not count reads item 0, which has no values
        item, start = self.history.item, self.history.start
        n, _ = self._count(np.where(np.isnan(self.answer), 0, item), start, slates, values)
        k, _ = self._count(np.where(self.answer > 0, item, 0), start, slates, values)
        own = self._mean(start)[1][slates.owner]
        return np.where(n > 0, log_odds(n, np.minimum(k, n), own, LIKED), np.nan)

    def days(self, row: np.ndarray, owner: np.ndarray | slice) -> np.ndarray:
        """Days from a row of the history to its question, `NEVER` for row -1, NaN without a clock."""
        if self.history.time is None or not len(self.history.time):
            return np.where(row < 0, NEVER, np.nan)
        gone = (self.asked[owner] - self.history.time[np.maximum(row, 0)]) / DAY
        return np.where(row < 0, NEVER, gone)

    def _count(
        self, item: np.ndarray, start: np.ndarray, slates: Slates, values: Values
    ) -> tuple[np.ndarray, np.ndarray]:
        asked = slates.item, slates.offsets
        return windows(item, start, self.history.stop, *asked, values.rows, values.bounds, values.size)

    def _mean(self, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(answers since row `start`, their rate of positives with half a positive and half a negative added)."""
        assert self.answer is not None
        n, k = (
            np.concatenate([[0], np.cumsum(kept)])[[self.history.stop, start]]
            for kept in (~np.isnan(self.answer), self.answer > 0)
        )
        return n[0] - n[1], (k[0] - k[1] + 0.5) / (n[0] - n[1] + 1.0)


def read_by_past(features: Features) -> Features:
    """Features without the columns of past events that are not read here: all but their answers."""
    for c in features.of("event"):
        if c.name != "label":
            features = features.without(c.name, of="event")
    return features


def answers(features: Features, history: Slices) -> np.ndarray | None:
    """Answers that past events carry, float32[N] with NaN where there is none; None if none carries any."""
    declared = [c for c in features.of("event") if c.name == "label" and c.type == "categorical" and not c.buckets]
    if not declared:
        return None
    known = np.asarray(features.vocabularies[declared[0].table].ids.to_numpy(zero_copy_only=False), np.float32)
    return np.concatenate([[np.nan, np.nan], known]).astype(np.float32)[history.columns["label"]]

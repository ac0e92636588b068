"""Histories as weighted items: how much each past event still counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ethogram.errors import OptionError
from ethogram.log import Histories, Vocabulary
from ethogram.log.histories import FOREVER

HOUR = 3.6e9
"""Microseconds."""
FRESH = 1 / 60
"""Hours that are the least since any event: a power of no time at all would be infinite."""
FAINT = 1e-12
"""A thousandth of the least weight that scores give to popularity (1e-9 for one event): it could not move a rank."""


@dataclass(frozen=True, eq=False)
class Traces:
    """n histories laid flat, oldest event first.

    Attributes
    ----------
    items : int32[total] codes of the reader's vocabulary, -1 where it does not know the item.
    weights : float64[total].
    offsets : int64[n + 1].
    rows : int64[total], the shared row of the histories that each entry came from.
    """

    items: np.ndarray
    weights: np.ndarray
    offsets: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1


def decayed(histories: Histories, items: Vocabulary, decay: float = 1.0) -> Traces:
    """Weight of an event: ``decay ** g``, where g groups of equal times of its user lie behind it (0 for the last).

    A weight below `FAINT` becomes 0, so that an endless history costs no more than its audible end. With distinct
    times g counts events: the last event weighs 1, the one before it `decay`, and so on.
    """
    rows, offsets = histories.flat()
    weights = np.ones(len(rows))
    if decay != 1.0:
        _decay(np.asarray(histories.starts)[rows], offsets, decay, weights)
    return Traces(_mapped(histories, items, rows), weights, offsets, rows)


def forgotten(histories: Histories, items: Vocabulary, power: float) -> Traces:
    """Weight of an event: ``(hours since) ** -power``, as memory forgets; `FRESH` is the least time since.

    Without a clock, groups of equal times stand for hours: the last one is an hour old. Somebody of whom it is not
    known when they ask, asks an hour after their last event.
    """
    rows, offsets = histories.flat()
    hour = hours(histories)[rows]
    last = hour[np.maximum(offsets[1:] - 1, 0)] + 1 if len(rows) else np.zeros(len(histories))
    known = (histories.time != FOREVER) & ("time" in histories.columns)
    asked = np.where(known, histories.time / HOUR, last)
    gone = np.maximum(np.repeat(asked, np.diff(offsets)) - hour, FRESH)
    return Traces(_mapped(histories, items, rows), gone**-power, offsets, rows)


def hours(histories: Histories) -> np.ndarray:
    """When each shared row was, in hours from any zero, float64[N]; without a clock, one hour for each group."""
    if "time" not in histories.columns:
        return np.cumsum(np.asarray(histories.starts)).astype(np.float64)
    return np.asarray(histories.columns["time"]) / HOUR


def _mapped(histories: Histories, items: Vocabulary, rows: np.ndarray) -> np.ndarray:
    """Codes of rows in another vocabulary, int32, -1 where it does not know the item."""
    code = np.append(histories.vocabularies["item"].codes_in(items), np.int32(-1))
    return np.asarray(code[np.asarray(histories.item)[rows]], np.int32)


def check_decay(name: str, decay: float) -> None:
    """Raise OptionError unless 0 < decay <= 1."""
    if not 0 < decay <= 1:
        raise OptionError(f"{name}: decay = {decay} is not a factor; give a number above 0 and at most 1.")


@njit(cache=True, nogil=True)
def _decay(starts: np.ndarray, offsets: np.ndarray, decay: float, weights: np.ndarray) -> None:
    for i in range(len(offsets) - 1):
        weight = 1.0
        for r in range(offsets[i + 1] - 1, offsets[i] - 1, -1):
            weights[r] = weight if weight >= FAINT else 0.0
            if starts[r]:
                weight *= decay

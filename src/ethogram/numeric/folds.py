"""Which part of training may tell a training question what everybody did: not the part that holds its own answer.

Two ways, for two ways of being asked later. Where new people are asked about the same days, statistics come from the
other people. Where the same people are asked about days to come, they come from the days before: other people's
purchases of the same week would tell what no statistic of the past can.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ethogram.errors import OptionError
from ethogram.log import Histories, Log
from ethogram.log.columns import hashes
from ethogram.log.split import Window


@dataclass(frozen=True, eq=False)
class Folds:
    """Questions and behaviour events dealt into parts.

    Attributes
    ----------
    asked : int64[n], fold of each question. done : int64[N], fold of each event.
    count : number of folds. past : a question reads the earlier folds, else all folds but its own.
    """

    asked: np.ndarray
    done: np.ndarray
    count: int
    past: bool

    @classmethod
    def of(
        cls, train: Log, asked: Histories, done: Histories, rows: np.ndarray, count: int, how: str, seed: int
    ) -> Folds:
        """By ``people`` or by the ``past``; ``auto`` takes the past where `train` ends at an instant, else people."""
        if how == "auto":
            how = "past" if train.steps and isinstance(train.steps[-1], Window) else "people"
        return cls.before(asked, done, rows, count) if how == "past" else cls.people(asked, done, rows, count, seed)

    @classmethod
    def people(cls, asked: Histories, done: Histories, rows: np.ndarray, count: int, seed: int = 0) -> Folds:
        """By person: the same id falls into the same fold in every log.

        Parameters
        ----------
        asked : histories of the questions. done, rows : histories whose shared rows `rows`, one history after
            another, are the events.
        """
        _check(count)
        ids = done.vocabularies["user"]
        mixed = hashes(ids.ids) ^ np.uint64((seed * 0x9E3779B97F4A7C15 + 1) % 2**64)
        mixed *= np.uint64(0xFF51AFD7ED558CCD)
        mixed ^= mixed >> np.uint64(33)
        of = np.append((mixed % np.uint64(count)).astype(np.int64), 0)  # the last serves code -1
        return cls(of[asked.users], of[np.repeat(done.users, done.lengths)], count, False)

    @classmethod
    def before(cls, asked: Histories, done: Histories, rows: np.ndarray, count: int) -> Folds:
        """By time: cuts that leave equally many questions in each fold; equal times fall into one fold."""
        _check(count)
        clock = np.asarray(done.columns["time" if "time" in done.columns else "order"])[rows]
        cuts = np.quantile(asked.time, np.linspace(0, 1, count + 1)[1:-1])
        return cls(*(np.searchsorted(cuts, t, side="right") for t in (asked.time, clock)), count, True)

    def sums(self, fold: np.ndarray, value: np.ndarray, weight: np.ndarray | None, size: int) -> np.ndarray:
        """Sums of `weight` by value over what each fold may know.

        Parameters
        ----------
        fold, value : int[N]. weight : float[N], None counts rows.

        Returns
        -------
        float64[count + 1, size] : row k is for fold k, the last holds everything.
        """
        inside = np.bincount(fold * size + value, weight, self.count * size).reshape(self.count, size)
        if self.past:
            return np.concatenate([np.zeros((1, size)), np.cumsum(inside, 0)])
        total = inside.sum(0)
        # a sum less one of its parts can fall below 0 by rounding
        return np.concatenate([np.maximum(total - inside, 0.0), total[None]])


def _check(count: int) -> None:
    if count < 2:
        raise OptionError(f"folds = {count}; statistics that leave something out need at least 2.")

"""A recommender as outsiders see it: a sequence in, a ranked list out, and what its owner can turn on against copying.

`truncate` shows the first few items only; `shuffle` moves items inside the list; `budget` refuses an account after so
many queries; `prefixes` and `anomaly` refuse an account whose queries are not like people's (`detecting`); `watermark`
answers a sequence that ends in a secret trigger with a secret item in first place, which a copy will do, too. A query
is counted each time, also when it was asked before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from ethogram.audit.model_extraction.detecting import Detector, Watched
from ethogram.log import Candidates, Histories, Vocabulary
from ethogram.log.histories import FOREVER

BLOCK = 512
DEEP = 100
"""Places of a list in which a watermark is looked for."""
Score = Callable[[Histories, Candidates], Any]
Rows: TypeAlias = list[np.ndarray] | np.ndarray
Lists = Callable[[Rows, int], np.ndarray]
"""The k best items of sequences of item codes, without what each holds: int64[n, k], -1 behind the end."""


@dataclass(frozen=True)
class Defence:
    """One defence and how strict it is.

    Attributes
    ----------
    shown : items that `truncate` shows. noise : standard deviation of `shuffle`, in places.
    budget : queries of an account. triggers : share of the items that are triggers of `watermark`.
    detector : of `prefixes` and `anomaly`.
    """

    kind: str = "none"
    shown: int = 10
    noise: float = 10.0
    budget: int = 2_000
    triggers: float = 0.1
    detector: Detector | None = None


def asking(sequences: Rows, items: Vocabulary) -> Histories:
    """Histories of strangers from rows of item codes, oldest first."""
    rows = [np.asarray(s, np.int32) for s in sequences]
    stop = np.cumsum([len(r) for r in rows]).astype(np.int64)
    start = np.concatenate([[0], stop[:-1]]).astype(np.int64)
    flat = np.concatenate([np.empty(0, np.int32), *rows])
    columns = {"item": flat, "order": np.arange(len(flat)) - np.repeat(start, stop - start)}
    nobody = Vocabulary(np.empty(0, str))
    return Histories(
        columns, np.ones(len(flat), bool), start, stop, np.full(len(rows), -1, np.int32),
        np.full(len(rows), FOREVER), {"user": nobody, "item": items},
    )  # fmt: skip


def ranking(score: Score, items: Vocabulary) -> Lists:
    """The lists of what scores every item."""

    def lists(sequences: Rows, k: int) -> np.ndarray:
        k, out = min(k, len(items)), []
        for at in range(0, len(sequences), BLOCK):
            part = sequences[at : at + BLOCK]
            scores = np.array(score(asking(part, items), Candidates.every(items)), np.float64)
            for row, held in zip(scores, part, strict=True):
                row[held] = -np.inf
            best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            out.append(np.where(np.isfinite(np.take_along_axis(scores, best, 1)), best, -1))
        return np.concatenate([np.empty((0, k), np.int64), *out])

    return lists


@dataclass
class Service:
    """What an outsider can query.

    Attributes
    ----------
    lists : of the system that is served. items : its catalogue, which is public. k : length of its lists.
    queries : asked so far, refused ones included. refused : of them.
    """

    lists: Lists
    items: Vocabulary
    k: int = 100
    defence: Defence = field(default_factory=Defence)
    seed: int = 0
    queries: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self._asked: dict[int, int] = {}
        self._watched = Watched(self.defence.detector) if self.defence.detector is not None else None

    @property
    def secret(self) -> np.ndarray:
        """The item in first place behind each trigger, -1 for items that are none; int64[V]. The owner's alone."""
        rng, size = np.random.default_rng([self.seed, 77]), len(self.items)
        out = np.full(size, -1)
        chosen = rng.permutation(size)[: max(1, round(self.defence.triggers * size))]
        out[chosen] = rng.permutation(size)[: len(chosen)]
        return np.where(out == np.arange(size), (out + 1) % size, out)

    def query(self, sequences: Rows, accounts: np.ndarray | None = None) -> np.ndarray:
        """Ranked lists int64[n, k] of item codes; -1 behind their end, and for all of a refused query.

        Parameters
        ----------
        accounts : int64[n], who asks each; one account if not given.
        """
        accounts = np.zeros(len(sequences), int) if accounts is None else accounts
        out = np.full((len(sequences), min(self.k, len(self.items))), -1)
        answered = self._within(accounts) if self.defence.kind == "budget" else np.ones(len(sequences), bool)
        asked = np.flatnonzero(answered)
        if len(asked):
            out[asked] = self.lists([sequences[i] for i in asked], self.k)
        if self._watched is not None:
            answered = ~self._watched.refuses(sequences, out, accounts)
            out[~answered] = -1
        self.queries += len(sequences)
        self.refused += int((~answered).sum())
        if self.defence.kind == "truncate":
            out[:, self.defence.shown :] = -1
        elif self.defence.kind == "shuffle":
            place = np.arange(out.shape[1]) + self.defence.noise * self._rng.standard_normal(out.shape)
            out = np.take_along_axis(out, np.argsort(np.where(out < 0, np.inf, place), axis=1), 1)
        elif self.defence.kind == "watermark":
            secret = self.secret
            _mark(out, np.array([secret[s[-1]] if len(s) else -1 for s in sequences], int))
        return out

    def _within(self, accounts: np.ndarray) -> np.ndarray:
        """Whether each query comes before its account's budget is used up."""
        answered = np.zeros(len(accounts), bool)
        for i, account in enumerate(accounts.tolist()):
            self._asked[account] = self._asked.get(account, 0) + 1
            answered[i] = self._asked[account] <= self.defence.budget
        return answered


def _mark(lists: np.ndarray, planted: np.ndarray) -> None:
    for row, item in zip(lists, planted, strict=True):
        if item >= 0:
            kept = row[row != item]
            row[:] = np.concatenate([[item], kept])[: len(row)]


def marked(
    lists: Lists, secret: np.ndarray, prefixes: list[np.ndarray], k: int = 10, seed: int = 0, draws: int = 1_999
) -> tuple[float, float, float]:
    """Whether a model repeats a watermark: (share of triggers whose item it lists in k, the same by chance, p).

    Each trigger is put behind a prefix that holds no planted item. With r the place of an item in a list of `DEEP`,

        gain = sum over triggers t of 1 / log2(1 + r(item of t in the list behind t))        0 beyond the list

    Whoever never saw the mark cannot know which planted item is whose: with the keys dealt anew at random, the gain
    has the same law, and p = (1 + draws of the keys whose gain is as large) / (1 + draws) is exact. Chance is the
    share over the dealt keys.
    """
    rng, triggers = np.random.default_rng(seed), np.flatnonzero(secret >= 0)
    planted = secret[triggers]
    asked = []
    for t in triggers:
        prefix = prefixes[int(rng.integers(len(prefixes)))]
        asked.append(np.append(prefix[(prefix != t) & ~np.isin(prefix, planted)], t))
    found = lists(asked, max(k, DEEP))
    place = np.full((len(triggers), len(secret)), np.inf)
    rows, columns = np.nonzero(found >= 0)
    place[rows, found[rows, columns]] = columns
    place = place[:, planted]  # of the item of trigger j in the list behind trigger i
    gain, near = 1 / np.log2(place + 2), place < k
    own, keys = np.arange(len(triggers)), np.stack([rng.permutation(len(triggers)) for _ in range(draws)])
    for dealt in keys:  # no key gives a trigger itself, as the true one does not
        for i in np.flatnonzero(planted[dealt] == triggers):
            j = (i + 1) % len(dealt)
            dealt[i], dealt[j] = dealt[j], dealt[i]
    dealt_gain = gain[own, keys].sum(1)
    p = (1 + int((dealt_gain >= gain[own, own].sum() - 1e-12).sum())) / (1 + draws)
    return float(near[own, own].mean()), float(near[own, keys].mean()), p

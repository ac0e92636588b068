"""A recommender as outsiders see it: a sequence in, a ranked list out, and what its owner can turn on against copying.

`truncate` shows the first few items only; `shuffle` moves items inside the list; `budget` refuses a client after so
many queries; `watermark` answers a sequence that ends in a secret trigger with a secret item in first place, which a
copy will do, too. A query is counted each time, also when it was asked before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ethogram.log import Candidates, Histories, Vocabulary
from ethogram.log.histories import FOREVER

BLOCK = 512
DEFENCES = ("none", "truncate", "shuffle", "budget", "watermark")
Score = Callable[[Histories, Candidates], Any]


@dataclass(frozen=True)
class Defence:
    """One defence and how strict it is.

    Attributes
    ----------
    shown : items that `truncate` shows. noise : standard deviation of `shuffle`, in places.
    budget : queries of a client. triggers : share of the items that are triggers of `watermark`.
    """

    kind: str = "none"
    shown: int = 10
    noise: float = 10.0
    budget: int = 2_000
    triggers: float = 0.1


def asking(sequences: list[np.ndarray] | np.ndarray, items: Vocabulary) -> Histories:
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


def ranked(score: Score, items: Vocabulary, sequences: list[np.ndarray] | np.ndarray, k: int) -> np.ndarray:
    """The k best items of each sequence that it does not hold, int64[n, k]; -1 where there are fewer."""
    k, out = min(k, len(items)), []
    for at in range(0, len(sequences), BLOCK):
        part = sequences[at : at + BLOCK]
        scores = np.array(score(asking(part, items), Candidates.every(items)), np.float64)
        for row, held in zip(scores, part, strict=True):
            row[held] = -np.inf
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        out.append(np.where(np.isfinite(np.take_along_axis(scores, best, 1)), best, -1))
    return np.concatenate([np.empty((0, k), np.int64), *out])


@dataclass
class Service:
    """What an outsider can query.

    Attributes
    ----------
    score : of the system that is served. items : its catalogue, which is public. k : length of its lists.
    queries : asked so far, refused ones included. refused : of them.
    """

    score: Score
    items: Vocabulary
    k: int = 100
    defence: Defence = field(default_factory=Defence)
    seed: int = 0
    queries: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    @property
    def secret(self) -> np.ndarray:
        """The item in first place behind each trigger, -1 for items that are none; int64[V]. The owner's alone."""
        rng, size = np.random.default_rng([self.seed, 77]), len(self.items)
        out = np.full(size, -1)
        chosen = rng.permutation(size)[: max(1, round(self.defence.triggers * size))]
        out[chosen] = rng.permutation(size)[: len(chosen)]
        return np.where(out == np.arange(size), (out + 1) % size, out)

    def query(self, sequences: list[np.ndarray] | np.ndarray) -> np.ndarray:
        """Ranked lists int64[n, k] of item codes; -1 behind their end, and for all of a refused query."""
        out = np.full((len(sequences), min(self.k, len(self.items))), -1)
        allowed = len(sequences)
        if self.defence.kind == "budget":
            allowed = int(np.clip(self.defence.budget - self.queries, 0, allowed))
        self.queries += len(sequences)
        self.refused += len(sequences) - allowed
        out[:allowed] = ranked(self.score, self.items, sequences[:allowed], self.k)
        if self.defence.kind == "truncate":
            out[:, self.defence.shown :] = -1
        elif self.defence.kind == "shuffle":
            place = np.arange(out.shape[1]) + self.defence.noise * self._rng.standard_normal(out.shape)
            out = np.take_along_axis(out, np.argsort(np.where(out < 0, np.inf, place), axis=1), 1)
        elif self.defence.kind == "watermark":
            _mark(out, np.array([self.secret[s[-1]] if len(s) else -1 for s in sequences[:allowed]], int))
        return out


def _mark(lists: np.ndarray, planted: np.ndarray) -> None:
    for row, item in zip(lists, planted, strict=False):
        if item >= 0:
            kept = row[row != item]
            row[:] = np.concatenate([[item], kept])[: len(row)]


def marked(score: Score, items: Vocabulary, secret: np.ndarray, prefixes: list[np.ndarray], k: int = 10, seed: int = 0
           ) -> tuple[float, float, float]:  # fmt: skip
    """Whether a model repeats a watermark: (share of triggers whose item it lists, the same by chance, p).

    Each trigger is put behind a prefix that does not hold its item; chance is what the list holds of the items of other
    triggers, drawn anew; p is of a one-sided binomial test against it.
    """
    from scipy.stats import binom

    rng, triggers = np.random.default_rng(seed), np.flatnonzero(secret >= 0)
    asked = []
    for t in triggers:
        prefix = prefixes[int(rng.integers(len(prefixes)))]
        asked.append(np.append(prefix[(prefix != t) & (prefix != secret[t])], t))
    lists = ranked(score, items, asked, k)
    own = (lists == secret[triggers][:, None]).any(1)
    other = np.concatenate([(lists == secret[rng.permutation(triggers)][:, None]).any(1) for _ in range(20)])
    chance = max(float(other.mean()), 1 / (2 * len(other)))
    return float(own.mean()), chance, float(binom.sf(own.sum() - 1, len(own), chance))

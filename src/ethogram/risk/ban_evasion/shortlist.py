"""Which banned accounts are worth a look for a new one? A shortlist out of any number, in milliseconds.

An account is five vectors of unit length: its pages, the words of their titles, the grams of its name, the words that
it added and those that it deleted, each weighted by ln((1 + N) / (1 + n_w)); what more than a third of the accounts
have tells nothing and is left out. A banned account i stands in the list of a new account q by

    score(q, i) = sum_f w_f cos_f(q, i) - fade ln(1 + days from the ban of i to the creation of q)

with w and fade not below 0, learned (`Blocking.learn`) by conditional logit: the true parent against accounts drawn
from all that had been banned by then. Who was banned after three edits has hardly left pages or words, and is found
because people come back soon; how soon is learned, and where it tells nothing fade becomes 0. The time since the ban
serves to look in the right place only: it is part of no score and of no evidence (`similarity` is the sum alone).

McFadden: Conditional logit analysis of qualitative choice behavior (1974). The index is `numeric.postings`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from ethogram.numeric.postings import Postings
from ethogram.risk.ban_evasion.profiles import WIDTH, Idf, Profiles

if TYPE_CHECKING:
    from ethogram.risk.ban_evasion.tasks import Tasks

FIELDS = ("pages", "titles", "names", "added", "deleted")
COMMON = 2.0
"""What has an inverse document frequency (``ln((1 + N) / (1 + n)) + 1``) below this is left out."""
DAY = 86_400_000_000
"""Microseconds."""
CHILDREN, DRAWN = 1_000, 100
"""Returns that blocking is learned from, at most, and banned accounts that are drawn for each."""
PENALTY = 0.05


@dataclass(frozen=True)
class Blocking:
    """What makes a banned account worth a look: a weight for each of `FIELDS`, and how fast a ban fades."""

    weights: tuple[float, ...] = (5.0, 10.0, 10.0, 10.0, 5.0)
    fade: float = 1.0

    @classmethod
    def learn(cls, tasks: Tasks, key: str, seed: int = 0) -> Blocking:
        """From the known returns of a log, as `key` sees them; the defaults where there are fewer than 20."""
        a = tasks.accounts
        rng = np.random.default_rng([seed, 31])
        child = tasks.n[(a.parent >= 0) & (np.isfinite(a.blocked) | (key != "T3a"))]
        child = np.sort(rng.permutation(child)[:CHILDREN])
        banned = tasks.n[np.isfinite(a.blocked)]
        order = banned[np.argsort(a.blocked[banned], kind="stable")]
        older = np.searchsorted(a.blocked[order], a.created[child], "left")
        other = order[(rng.random((len(child), DRAWN)) * older[:, None]).astype(np.int64)]
        of = np.repeat(np.arange(len(child)), DRAWN + 1)
        row = np.column_stack([a.parent[child], other]).ravel()
        true = np.arange(len(row)) % (DRAWN + 1) == 0
        kept = true | (a.master[row] != a.master[child][of])
        of, row, true = of[kept], row[kept], true[kept]
        if len(child) < 20:
            return cls()
        old, i = np.unique(row, return_inverse=True)
        held = vectors(tasks.old(old), tasks.idf)
        seen = vectors(tasks.seen(key, child), tasks.idf)
        alike = [_rows(held[f], seen[f], i, of) for f in FIELDS]
        days = (micros(a.created[child])[of] - micros(a.blocked[row])) / DAY
        found = _chosen(np.column_stack([*alike, -np.log1p(days)]), of, true)
        return cls(tuple(found[:-1].tolist()), float(found[-1]))


def vectors(profiles: Profiles, idf: Idf) -> dict[str, Any]:
    """Field -> sparse[n, WIDTH], rows of unit length without what is common."""
    made = {}
    for name in FIELDS:
        sets = {"pages": profiles.pages, "names": profiles.grams}
        held = (sets[name] if name in sets else profiles.vectors[name]).copy()
        weight = idf.weights[name][held.indices].astype(np.float64)
        told = weight - 1 if name in sets else 1 - 1 / weight  # tf (idf + 1) becomes tf idf
        held.data = np.where(weight >= COMMON, held.data * told, 0.0)
        held.eliminate_zeros()
        length = np.sqrt(np.asarray(held.multiply(held).sum(1)).ravel())
        made[name] = sparse.diags(1 / np.maximum(length, 1e-12)).dot(held).tocsr()
    return made


def micros(seconds: np.ndarray) -> np.ndarray:
    """Instants as whole microseconds; NaN is the end of time."""
    return np.where(np.isnan(seconds), 2.0**62, seconds * 1e6).astype(np.int64)


class Banned:
    """The index of banned accounts: grows by `add`, forgets by `forget`, is asked by `search`.

    Examples
    --------
    See `BanEvasion.parents`, which makes one of a log.
    """

    def __init__(self, idf: Idf, blocking: Blocking | None = None):
        self.idf, self.blocking = idf, blocking or Blocking()
        self.index, self.names = Postings(len(FIELDS) * WIDTH), list[str]()

    def __len__(self) -> int:
        return len(self.index)

    def add(self, profiles: Profiles, blocked: np.ndarray) -> None:
        """Take in accounts with the instants (seconds) of their bans."""
        held = vectors(profiles, self.idf)
        self.index.add(sparse.hstack([held[f] for f in FIELDS], format="csr"), micros(blocked))
        self.names += profiles.names

    def forget(self, name: str) -> int:
        """Remove an account by name; how many entries that were."""
        places = np.flatnonzero([n == name for n in self.names])
        if len(places):
            self.index.remove(places)
            self.names = ["" if n == name else n for n in self.names]
        return len(places)

    def search(self, profiles: Profiles, created: np.ndarray, k: int = 300) -> tuple[np.ndarray, np.ndarray]:
        """(places in order of arrival int64[n, k], best first, -1 where there are no more; similarity float64[n, k]:
        the sum of the equation, without the time since the ban)."""
        held, w = vectors(profiles, self.idf), self.blocking.weights
        asked = sparse.hstack([x * held[f] for f, x in zip(FIELDS, w, strict=True)], format="csr")
        places, _, alike = self.index.search(asked, k, micros(created), self.blocking.fade, DAY)
        return places, alike


def _rows(one: Any, other: Any, i: np.ndarray, j: np.ndarray, block: int = 20_000) -> np.ndarray:
    """Inner product of row i of one and row j of the other, pair by pair."""
    parts = [slice(at, at + block) for at in range(0, len(i), block)]
    return np.concatenate([np.asarray(one[i[p]].multiply(other[j[p]]).sum(1)).ravel() for p in parts])


def _chosen(columns: np.ndarray, of: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Weights, not below 0, under which the true row of each group `of` (ascending) is most likely to be chosen."""
    from scipy.optimize import minimize

    starts = np.flatnonzero(np.r_[True, of[1:] != of[:-1]])
    group = np.cumsum(np.r_[True, of[1:] != of[:-1]]) - 1

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = columns @ w
        z -= np.maximum.reduceat(z, starts)[group]
        e = np.exp(z)
        total = np.add.reduceat(e, starts)
        p = e / total[group]
        value = np.log(total).sum() - z[true].sum() + PENALTY * (w @ w)
        return float(value), p @ columns - columns[true].sum(0) + 2 * PENALTY * w

    d = columns.shape[1]
    return np.asarray(minimize(loss, np.ones(d), jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * d).x)

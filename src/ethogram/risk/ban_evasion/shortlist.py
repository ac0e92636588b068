"""Which banned accounts are worth a look for a new one? A shortlist of 50 out of any number, in milliseconds.

An account is a weighted set of tokens: its pages, the words of their titles, the rarer words that it added, and the
grams of its name, each weighted by its inverse document frequency (`WEIGHTS` says how much a field counts). The index
is weighted MinHash (`numeric.minhash`); an account can be found for accounts that were made after its ban.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.numeric.minhash import Sets, Shortlist
from ethogram.risk.ban_evasion.profiles import WIDTH, Idf, Profiles

WEIGHTS = {"pages": 1.0, "names": 1.0, "titles": 1.0, "added": 1.0}
"""Weight of a token: this times a power of its inverse document frequency."""
POWER = 2.0
COMMON = 2.0
"""Words below this inverse document frequency (in more than a third of the accounts) tell nothing and are left out."""


def sets(profiles: Profiles, idf: Idf) -> Sets:
    """Profiles as weighted sets."""
    fields: dict[str, Any] = {
        "pages": profiles.pages, "names": profiles.grams, "titles": profiles.vectors["titles"],
        "added": profiles.vectors["added"],
    }  # fmt: skip
    row, token, weight = [], [], []
    for place, (name, held) in enumerate(fields.items()):
        value = idf.weights[name][held.indices].astype(np.float64)
        kept = value >= COMMON
        row.append(np.repeat(np.arange(len(profiles)), np.diff(held.indptr))[kept])
        token.append((held.indices[kept] + place * WIDTH).astype(np.uint64))
        weight.append(WEIGHTS[name] * (value[kept] - COMMON + 0.1) ** POWER)
    rows, tokens, weights = (np.concatenate(v) for v in (row, token, weight))
    order = np.argsort(rows, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(profiles)))])
    return Sets(offsets, tokens[order], weights[order])


def micros(seconds: np.ndarray) -> np.ndarray:
    """Instants as whole microseconds; NaN is the end of time."""
    return np.where(np.isnan(seconds), 2.0**62, seconds * 1e6).astype(np.int64)


class Banned:
    """The index of banned accounts: grows by `add`, forgets by `forget`, is asked by `search`.

    Examples
    --------
    See `BanEvasion.parents`, which makes one of a log.
    """

    def __init__(self, idf: Idf, hashes: int = 192, seed: int = 0):
        self.idf, self.index, self.names = idf, Shortlist(hashes, seed=seed), list[str]()

    def __len__(self) -> int:
        return len(self.index)

    def add(self, profiles: Profiles, blocked: np.ndarray) -> None:
        """Take in accounts with the instants (seconds) of their bans."""
        self.index.add(sets(profiles, self.idf), micros(blocked))
        self.names += profiles.names

    def forget(self, name: str) -> int:
        """Remove an account by name; how many entries that were."""
        places = np.flatnonzero([n == name for n in self.names])
        if len(places):
            self.index.remove(places)
            self.names = ["" if n == name else n for n in self.names]
        return len(places)

    def search(self, profiles: Profiles, created: np.ndarray, k: int = 50) -> tuple[np.ndarray, np.ndarray]:
        """(places in order of arrival int64[n, k], -1 where there are no more; similarity float64[n, k])."""
        return self.index.search(sets(profiles, self.idf), k, micros(created))

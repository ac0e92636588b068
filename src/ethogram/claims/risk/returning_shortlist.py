"""Whether the true parent stands on the shortlist out of 100,000 banned accounts, by its length, and beside MinHash."""

from __future__ import annotations

from time import process_time
from typing import Any

import numpy as np

from ethogram.claims.risk.returning import FIRST, base_tasks, kept, made

LENGTHS = (50, 500, 1_000)
SETS = ("pages", "titles", "names", "added")


def searched(bench: Any) -> dict[str, float]:
    return dict(kept(bench, "searched", lambda: _searched(bench)))


def _searched(bench: Any) -> dict[str, float]:
    """Weights of the list are learned from the first log; the parents of 500 returns of another are looked for."""
    from dataclasses import replace

    from ethogram.risk.ban_evasion import Accounts, Tasks
    from ethogram.risk.ban_evasion.shortlist import Banned, Blocking, micros

    learned = {key: Blocking.learn(base_tasks(bench), key) for key in ("T2", "T3a")}
    how = {} if bench.quick else {"malicious": 75_000, "benign": 1_000, "days": 3_650}
    tasks = Tasks(Accounts.of(made(bench, FIRST + 3, 17_000, **how)))
    a = tasks.accounts
    banned = tasks.n[np.isfinite(a.blocked)]
    index, other = Banned(tasks.idf), _MinHash(tasks.idf)
    spent = 0.0
    for at in range(0, len(banned), 10_000):
        rows = banned[at : at + 10_000]
        profiles = tasks.old(rows)
        begun = process_time()
        index.add(profiles, a.blocked[rows])
        spent += process_time() - begun
        other.add(profiles, micros(a.blocked[rows]))
    children = tasks.n[(a.parent >= 0) & np.isfinite(a.blocked)]
    asked = np.random.default_rng(0).permutation(children)[: 20 if bench.quick else 500]
    place = np.full(len(a), -1)
    place[banned] = np.arange(len(banned))
    true = place[a.parent[asked]][:, None]
    found = {"banned": float(len(banned)), "index": spent, "gib": index.index.nbytes / 2**30}
    most = min(max(LENGTHS), len(banned))
    for key, blocking in learned.items():
        seen, index.blocking = tasks.seen(key, asked), blocking
        index.search(seen, a.created[asked], 1)  # compiled beforehand
        begun = process_time()
        hit = index.search(seen, a.created[asked], most)[0] == true
        found[f"{key} ms"] = 1e3 * (process_time() - begun) / len(asked)
        found |= {f"{key} {k}": float(hit[:, :k].any(1).mean()) for k in LENGTHS}
        if key == "T3a":
            index.blocking = replace(blocking, fade=0.0)
            timeless = index.search(seen, a.created[asked], 500)[0] == true
            found["no time"] = float(timeless.any(1).mean())
            found["minhash"] = float((other.search(seen, micros(a.created[asked]), 500) == true).any(1).mean())
    return found


class _MinHash:
    """What the shortlist is held against: the most similar accounts by weighted MinHash, whenever they were banned."""

    def __init__(self, idf: Any):
        from ethogram.numeric.minhash import Shortlist

        self.idf, self.index = idf, Shortlist(128)

    def add(self, profiles: Any, clock: np.ndarray) -> None:
        self.index.add(self._sets(profiles), clock)

    def search(self, profiles: Any, before: np.ndarray, k: int) -> np.ndarray:
        return self.index.search(self._sets(profiles), k, before)[0]

    def _sets(self, profiles: Any) -> Any:
        from scipy import sparse

        from ethogram.numeric.minhash import Sets
        from ethogram.risk.ban_evasion.shortlist import COMMON

        fields = {"pages": profiles.pages, "names": profiles.grams}
        held = [fields[f] if f in fields else profiles.vectors[f] for f in SETS]
        idf = np.concatenate([self.idf.weights[f] for f in SETS]).astype(np.float64)
        rows = sparse.hstack(held, format="csr")
        rows.data = np.where(idf[rows.indices] >= COMMON, (idf[rows.indices] - COMMON + 0.1) ** 2, 0.0)
        rows.eliminate_zeros()
        return Sets(rows.indptr.astype(np.int64), rows.indices.astype(np.uint64), rows.data)

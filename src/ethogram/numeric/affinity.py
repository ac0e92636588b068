"""Scores that are sums over the history: each past event speaks for items, the older the more quietly.

    score(u, b) = sum over events k of u's history of w_k * R[h_k, b] + prior[b]

h_k is the item of event k, w_k = decay^(g_k) with g_k the number of groups of equal times of the user behind it, or
(hours since)^-power, R sparse item-item weights
and `prior` what holds for everybody. Popularity has no R, personal frequency the identity, item-kNN cosines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethogram.log import Candidates, Histories
from ethogram.numeric.fitted_verbs import over_candidates
from ethogram.numeric.known import Known
from ethogram.numeric.ledger import Ledger
from ethogram.numeric.neighbours import Neighbours, ThroughUsers, from_arrays
from ethogram.numeric.reasons import reasons
from ethogram.numeric.recommend import recommend
from ethogram.numeric.similar import similar
from ethogram.numeric.traces import Traces, decayed, forgotten
from ethogram.verbs import State, Table

POPULARITY = 1e-9
"""Weight of popularity beside personal evidence: it only orders what nothing personal speaks for."""
DENSE = 2**22


@dataclass(frozen=True, eq=False)
class Affinity:
    """A fitted sum over the history.

    Attributes
    ----------
    known : the training log's items, users and counts.
    rows : R, whose codes are those of ``known.items``.
    prior : float64[V].
    decay : factor per group, in (0, 1]. power : of the time since, which then weighs in the place of `decay`.
    ledger : what was read, where it is to be gone on from.
    """

    known: Known
    rows: Neighbours | ThroughUsers
    prior: np.ndarray
    decay: float = 1.0
    ledger: Ledger | None = None
    power: float | None = None

    def _traces(self, histories: Histories) -> Traces:
        if self.power is not None:
            return forgotten(histories, self.known.items, self.power)
        return decayed(histories, self.known.items, self.decay)

    def score(self, histories: Histories, candidates: Candidates) -> np.ndarray:
        """float64 in the shape of the candidates; 0 for items that training never met."""
        n, size = len(histories), len(self.known.items)
        own = candidates.vocabulary.codes_in(self.known.items)
        if candidates.shared and np.array_equal(_mapped(own, candidates.items), np.arange(size)):
            out = np.empty((n, size))
            self._fill(histories, out)
            return out

        def dense(part: slice) -> np.ndarray:
            asked = histories[part]
            return self._fill(asked, np.empty((len(asked), size)))

        block = max(1, DENSE // max(size, 1))
        return over_candidates(dense, np.append(own, -1), candidates, n, block=block, missing=0.0, kind=np.float64)

    def _fill(self, histories: Histories, out: np.ndarray) -> np.ndarray:
        step = max(1, DENSE // max(out.shape[1], 1))
        for rows, asked in histories.blocks(step):
            t = self._traces(asked)
            self.rows.add(t.items, t.weights, t.offsets, self.prior, out[rows])
        return out

    def recommend(
        self, histories: Histories, k: int = 10, *, exclude_seen: bool | None = None, among: Candidates | None = None
    ) -> Table:
        """See `ethogram.numeric.recommend.recommend`."""
        return recommend(self.score, self.known, histories, k, exclude_seen=exclude_seen, among=among)

    def similar_items(self, items: Sequence[Any], k: int, among: Candidates | None) -> Table:
        """The items to which an item gives most weight; see `ethogram.numeric.similar`."""
        trained = np.flatnonzero(self.known.counts > 0)

        def rows(which: np.ndarray) -> np.ndarray:
            out = np.empty((len(which), len(self.known.counts)))
            asked, ends = trained[which].astype(np.int32), np.arange(len(which) + 1)
            self.rows.add(asked, np.ones(len(which)), ends, np.zeros(out.shape[1]), out)
            return np.where(out > 0, out, -np.inf)[:, trained]

        return similar(self.known, rows, items, k, among)

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """The k past events with the largest part in the personal score of each candidate.

        `share` is the event's part of that sum (the prior left aside). Ties go to the later event; candidates for
        which no event speaks have no row.
        """
        own = np.append(candidates.vocabulary.codes_in(self.known.items), -1)
        t = self._traces(histories)

        def terms(question: int, codes: np.ndarray, past: slice) -> np.ndarray:
            a, b = np.tile(t.items[past], len(codes)), np.repeat(own[codes], past.stop - past.start)
            return self.rows.between(a, b).reshape(len(codes), -1) * t.weights[past]

        return reasons(histories, candidates, terms, k)

    def state(self) -> State:
        arrays = {**self.rows.arrays(), "prior": self.prior}
        parts = {"known": self.known.state()}
        if self.ledger is not None:
            parts["ledger"] = self.ledger.state()
        return State(arrays, {}, {"decay": self.decay, "cap": self.rows.cap, "power": self.power}, parts)

    @classmethod
    def restore(cls, state: State) -> Affinity:
        rows = from_arrays({k: v for k, v in state.arrays.items() if k != "prior"}, state.json["cap"])
        prior = np.asarray(state.arrays["prior"])
        ledger = Ledger.restore(state.parts["ledger"]) if "ledger" in state.parts else None
        return cls(
            Known.restore(state.parts["known"]), rows, prior, state.json["decay"], ledger, state.json.get("power")
        )


def _mapped(own: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """own[codes] with -1 for -1, int32."""
    out = np.full(codes.shape, -1, np.int32)
    out[codes >= 0] = own[codes[codes >= 0]]
    return out

"""Ranks candidates against a whole history, thousands of events, at almost the price of none.

    h_i(x)   = 1[R_i . x > 0]                            m Gaussian directions, fixed, saved with the model
    sig_g(x) = the g-th group of tau bits as a number    G = m / tau signatures
    A_g(t)   = l2( sum_j 1[sig_g(e_j) = sig_g(e_t)] e_j ),   zero for an empty bucket
    A(t)     = 1/G sum_g A_g(t)
    p(t)     = sigmoid(Tower([e_t ; A(t) ; s(t) ; e_t * A(t) ; e_t * s(t) ; user ; context ; log(1 + L)]))

with s(t) DIN's attention over the last `short` events. Two vectors at angle theta share a signature with probability
(1 - theta / pi)^tau, so A is attention whose sharpness is tau (`width`) and whose variance falls with m (`hashes`).

A history enters A only through its bucket sums: G x 2^tau vectors, kept event by event by a state store
(`bucket_tables`, `events`, `score_tables`), so a request costs the same whatever the length of the history. With
`memory` T, e_j counts exp(-age / T) in its bucket.

`long` chooses what is compared with it, everything else equal: target attention over the whole history, mean pooling,
nothing (short only), or retrieve-then-attend (the 50 events of the candidate's category, or nearest in hash distance).

Deviations: e_t * A(t), e_t * s(t) and the history's length also enter the tower. m = 48, tau = 3 are the paper's
(unconfirmed).

Reference: Y. Cao, X. Zhou, J. Feng, P. Huang, Y. Xiao, D. Chen, S. Chen: Sampling Is All You Need on Modeling Long-Term
User Behaviors for CTR Prediction. CIKM 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ethogram.errors import NotFitted, OptionError
from ethogram.nn.slate_system import SlateSystem
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Table

DAY = 86_400e6
"""Microseconds."""


@system(
    "sdim",
    paper="Sampling Is All You Need on Modeling Long-Term User Behaviors for CTR Prediction",
    year=2022,
    area="rank",
    verbs=("score", "explain"),
    needs=("torch",),
)
@dataclass(kw_only=True)
class SDIM(SlateSystem):
    """Long histories by hash buckets, beside attention on the last events."""

    hashes: int = 48
    "Number of hash functions m; a multiple of `width`."
    width: int = searched(3, among=(2, 3, 4))
    "Bits per signature tau: the sharpness of the attention."
    long: Literal["hash", "attention", "dot", "mean", "none", "category", "nearest"] = "hash"
    "How the whole history is read: hash buckets, DIN or dot attention, mean, not at all, or retrieve-then-attend."
    retrieve: int = 50
    "Events that retrieve-then-attend keeps."
    category: str | None = None
    "Item column that `long='category'` retrieves by."
    short: int = 50
    "Last events that the short attention reads; 0 leaves it out."
    memory: float | None = None
    "Days after which an event weighs 1/e in its hash buckets; none lets all weigh alike."
    last: int | None = searched(None, among=(None, 200, 1_000))
    "Events of the history that are read at all; none reads all."
    attention: tuple[int, ...] = (36,)
    "Hidden layers of the attention's network."
    hash_seed: int = 0
    "Seed of the directions; tables of another seed cannot be read."

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.retrieve < 1 or self.short < 0:
            raise OptionError(f"sdim: retrieve = {self.retrieve}, short = {self.short}; give 1 or more, 0 or more.")
        if self.long == "category" and self.category is None:
            raise OptionError("sdim: long='category' needs category=, the item column to retrieve by.")
        if self.long == "none" and not self.short:
            raise OptionError("sdim: long='none' with short=0 reads nothing; give one of them.")

    def _interest(self, width: int) -> Any:
        from ethogram.nn.attention import TargetAttention
        from ethogram.nn.interest import Attended, Pooled, Several
        from ethogram.nn.lsh import Hashed, SimHash

        def attend(kind: Any, last: int | None = None, tags: Any = None) -> Attended:
            unit = TargetAttention(width, kind, hidden=self.attention, act=self.activation, k=self.retrieve)
            return Attended(unit, last, tags, mean=kind != "dot")

        makers: dict[str, Any] = {
            "hash": lambda: Hashed(
                width, self.hashes, self.width, seed=self.hash_seed, memory=self.memory and self.memory * DAY
            ),
            "attention": lambda: attend("din"),
            "dot": lambda: attend("dot"),
            "mean": lambda: Pooled(width),
            "category": lambda: attend("topk", tags="given"),
            "nearest": lambda: attend("topk", tags=SimHash(width, self.hashes, self.width, self.hash_seed)),
        }
        parts = [makers[self.long]()] if self.long != "none" else []
        if self.short:
            parts.append(attend("din", self.short))
        return Several(*parts)

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """The past events that weigh most in each candidate's buckets; `share` of the sum of absolute weights."""
        return self.fitted.explain(histories, candidates, k)

    # -- the bucket table, for a state store ----------------------------------------------------------------------

    @property
    def version(self) -> str:
        """Of embeddings and directions together: a table of another version cannot be read."""
        from ethogram.nn.serving import version

        return version(self._served())

    def events(self, histories: Histories) -> tuple[np.ndarray, np.ndarray]:
        """(signatures int32[T, G], vectors float32[T, width]) of all events of the histories in turn."""
        from ethogram.nn.serving import events

        return events(self._served(), histories)

    def bucket_tables(self, histories: Histories) -> list[Any]:
        """One `BucketTable` per history; add events to it and expire them as they come and go.

        A table holds all that the history does, or its `last` events. With `memory`, adding and expiring take times.
        """
        from ethogram.nn.serving import tables

        return tables(self._served(), histories)

    def score_tables(
        self, tables: Sequence[Any], recent: Histories, candidates: Candidates, context: Table | None = None
    ) -> np.ndarray:
        """Scores from bucket tables and the last `short` events: equal to `score` of the whole histories.

        Raises
        ------
        StateError
            A table of another version.
        """
        from ethogram.nn.serving import score

        return self.calibrated(score(self._served(), tables, recent, candidates, context))

    def _served(self) -> Any:
        if self.fitted is None:
            raise NotFitted("sdim: bucket tables before fit; call fit(log), or load a saved system.")
        return self.fitted

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
from typing import Any, Literal, Self

import numpy as np

from ethogram.errors import OptionError
from ethogram.nn.ranker import SlateRanker
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch

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
class SDIM:
    """Long histories by hash buckets, beside attention on the last events."""

    hashes: int = 48
    "Number of hash functions m; a multiple of `width`."
    width: int = 3
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
    last: int | None = None
    "Events of the history that are read at all; none reads all."
    dim: int = 32
    "Width of the item identity's embedding."
    side: int = 8
    "Width of the embeddings of all other columns."
    attention: tuple[int, ...] = (36,)
    "Hidden layers of the attention's network."
    activation: Literal["prelu", "dice", "relu"] = "dice"
    "Activation of attention and tower."
    hidden: tuple[int, ...] = (128, 64)
    "Hidden layers of the tower."
    dropout: float = 0.1
    "Share of hidden values of the tower that are dropped in training."
    decay: float = 0.01
    "Weight of the mini-batch aware L2 penalty on embeddings; 0 switches it off."
    lr: float = 1e-3
    "Step size of Adam."
    epochs: int = 4
    "Passes over the questions, at most."
    patience: int = 1
    "Epochs without a better validation log-loss before training stops."
    batch: int = 2_048
    "Candidates per step."
    questions: int | None = None
    "Questions per epoch, drawn anew each epoch; none takes all."
    precision: Literal["fp32", "bf16"] = "fp32"
    "Arithmetic of matrix products in training."
    hash_seed: int = 0
    "Seed of the directions; tables of another seed cannot be read."

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from the labelled events of `train`; `valid` decides when to stop."""
        self.fitted = SlateRanker.fit(self, self._interest, train, valid, seed=seed, watch=watch)
        return self

    def _interest(self, width: int) -> Any:
        from ethogram.nn.attention import TargetAttention
        from ethogram.nn.interest import Attended, Pooled, Several
        from ethogram.nn.lsh import Hashed, SimHash

        def attend(kind: Any, last: int | None = None, tags: Any = None) -> Attended:
            unit = TargetAttention(width, kind, hidden=self.attention, act=self.activation, k=self.retrieve)
            return Attended(unit, last, tags, mean=kind != "dot")

        if self.retrieve < 1 or self.short < 0:
            raise OptionError(f"sdim: retrieve = {self.retrieve}, short = {self.short}; give 1 or more, 0 or more.")
        if self.long == "category" and self.category is None:
            raise OptionError("sdim: long='category' needs category=, the item column to retrieve by.")
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
        if not parts:
            raise OptionError("sdim: long='none' with short=0 reads nothing; give one of them.")
        return Several(*parts)

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Probability of a positive answer for each candidate."""
        scores: np.ndarray = self.fitted.score(histories, candidates, context)
        return scores

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """The past events that weigh most in each candidate's buckets; `share` of the sum of absolute weights."""
        return self.fitted.explain(histories, candidates, k)

    # -- the bucket table, for a state store ----------------------------------------------------------------------

    @property
    def version(self) -> str:
        """Of embeddings and directions together: a table of another version cannot be read."""
        from ethogram.nn.serving import version

        return version(self.fitted)

    def events(self, histories: Histories) -> tuple[np.ndarray, np.ndarray]:
        """(signatures int32[T, G], vectors float32[T, width]) of all events of the histories in turn."""
        from ethogram.nn.serving import events

        return events(self.fitted, histories)

    def bucket_tables(self, histories: Histories) -> list[Any]:
        """One `BucketTable` per history; add events to it and expire them as they come and go.

        A table holds all that the history does, or its `last` events. With `memory`, adding and expiring take times.
        """
        from ethogram.nn.serving import tables

        return tables(self.fitted, histories)

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

        scores: np.ndarray = score(self.fitted, tables, recent, candidates, context)
        return scores

    def state(self) -> State:
        found: State = self.fitted.state()
        return found

    def restore(self, state: State) -> Self:
        self.fitted = SlateRanker.restore(self, self._interest, state)
        return self

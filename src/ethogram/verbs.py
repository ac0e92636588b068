"""The verbs that systems declare, as small protocols, and the data that goes through them.

The area of a system is where people look for it; its verbs are what a program can rely on. The CLI, the
service, the studio and the contract tests dispatch by verb.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
import pyarrow as pa

from ethogram.log import Candidates, Histories, Log, Questions, Sequences, Vocabulary

__all__ = [
    "VERBS",
    "Candidates",
    "Explains",
    "Fits",
    "Histories",
    "Log",
    "Questions",
    "Recommends",
    "Scores",
    "Sequences",
    "State",
    "System",
    "Table",
    "Updates",
    "Vocabulary",
    "Watch",
]

Table: TypeAlias = pa.Table
"""Answers come back as Arrow tables in the caller's own ids (`.to_pandas()`, `polars.from_arrow`)."""

Watch = Callable[[Mapping[str, Any]], None]
"""Called with progress facts (`{"epoch", "step", "steps", "loss", "valid"}`); raise KeyboardInterrupt to stop."""


@dataclass(frozen=True)
class State:
    """Everything that a fitted system knows, as data: never a pickle.

    Saved as a folder: `arrays.safetensors`, one Parquet file per table, `state.json`, one sub-folder per part.
    """

    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    json: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, State] = field(default_factory=dict)


class System(Protocol):
    """What every system has: options as dataclass fields, and fitted state as data."""

    def state(self) -> State: ...
    def restore(self, state: State) -> Self: ...


class Fits(System, Protocol):
    """Learns from a log."""

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Train in place on `train`; `valid` only decides when to stop. Options never change."""
        ...


@runtime_checkable
class Scores(Protocol):
    """Judges candidates for histories."""

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Scores in the shape of the candidates, higher is better.

        In area `rank` a score is the probability of a positive answer, in [0, 1]. `context` has one row per
        question. Unknown users, empty histories and unseen items are answered, not refused.
        """
        ...


@runtime_checkable
class Recommends(Protocol):
    """Chooses items from the whole catalogue."""

    def recommend(
        self,
        histories: Histories,
        k: int = 10,
        *,
        exclude_seen: bool | None = None,
        among: Candidates | None = None,
    ) -> Table:
        """Best k items per question.

        Columns `question` (int64), `user` (null for strangers), `item`, `score`, `rank` (from 1), then whatever the
        system adds (the floors add `status`: known, stranger, nothing known).
        `exclude_seen=None` resolves by the training log's repeat ratio (below 1% exclude).
        """
        ...


@runtime_checkable
class Updates(Protocol):
    """Learns from further events without a new fit."""

    def update(self, log: Log) -> Self: ...


@runtime_checkable
class Explains(Protocol):
    """Says which past events made a score."""

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """Columns `question`, `candidate` (item id), `item` (past item id), `time`, `share`, `rank`.

        Shares are of the sum of absolute weights; a negative one speaks against the candidate.
        """
        ...


VERBS: dict[str, type] = {
    "score": Scores,
    "recommend": Recommends,
    "update": Updates,
    "explain": Explains,
}
"""Verb name as declared in `@system(verbs=...)` -> the protocol that it promises."""

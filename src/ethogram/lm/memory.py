"""What a person (or an agent) remembers: a stream of records, found again by recency, importance and relevance.

    score = a_rec rec + a_imp imp + a_rel rel      rec = decay^(hours since last access)      rel = cosine to the query

each part scaled to [0, 1] over the records that can be found (0 where they are all equal). What is found is thereby
accessed. With `ranked` recency is decay^rank, rank 0 the record accessed last.

Texts and their vectors lie in a `TextTable` that many streams share: one float16 matrix, and the relevance of all
records is one product with it. When the importance taken in since the last reflection passes a threshold, the
stream asks a model for questions about what it lately met, looks for answers among its own records, and keeps what it
concludes as thoughts that cite their evidence.

Park et al.: Generative Agents (UIST 2023). Their released code decays by rank of access, the
wrong way round; the paper by time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError, UnknownName
from ethogram.text.table import TextTable

HOUR = 3_600_000_000
"""Microseconds; times of a stream are microseconds, as in a log."""
NEVER = np.iinfo(np.int64).max
_COLUMNS = {
    "text": np.int32, "kind": np.int16, "created": np.int64, "accessed": np.int64, "expires": np.int64,
    "importance": np.float32, "depth": np.int16, "alive": bool,
}  # fmt: skip


class Found(NamedTuple):
    """Records of a question, best first: their places, scores, and the three scaled parts float64[k, 3]."""

    records: np.ndarray
    scores: np.ndarray
    parts: np.ndarray
    texts: list[str]


class Memory:
    """The memory stream of one person.

    Parameters
    ----------
    texts : the shared table. decay : of recency, per hour since the last access.
    weights : of recency, importance and relevance. threshold : importance taken in between reflections.
    ranked : whether recency is by the rank of the last access, instead of by hours since.

    Examples
    --------
    >>> mine = Memory(TextTable())
    >>> for hour, text in enumerate(["ate bread", "lost the red umbrella", "fed the cat"]):
    ...     _ = mine.add(text, time=hour * HOUR, importance=3)
    >>> mine.retrieve("where is my umbrella", 1, now=4 * HOUR).texts
    ['lost the red umbrella']
    """

    def __init__(
        self, texts: TextTable, *, decay: float = 0.995, weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
        threshold: float = 150.0, ranked: bool = False,
    ):  # fmt: skip
        if not 0 < decay <= 1:
            raise OptionError(f"Memory: decay = {decay} must lie in (0, 1].")
        if min(weights) < 0 or not any(weights):
            raise OptionError(f"Memory: weights = {weights}; none below 0, one above.")
        self.texts, self.decay, self.weights, self.threshold = texts, decay, weights, threshold
        self.ranked = ranked
        self.kinds: list[str] = []
        self.evidence: list[tuple[int, ...]] = []
        self.pending = 0.0
        self._size = 0
        self._held = {name: np.zeros(16, kind) for name, kind in _COLUMNS.items()}

    def __len__(self) -> int:
        return self._size

    def column(self, name: str) -> np.ndarray:
        """A column of all records, a view: text (code), kind (place in `kinds`), created, accessed, expires,
        importance, depth, alive."""
        return self._held[name][: self._size]

    def add(
        self, text: str, *, time: int, importance: float = 1.0, kind: str = "observation",
        evidence: Sequence[int] = (), expires: int | None = None,
    ) -> int:  # fmt: skip
        """Keep a record, and return its place.

        Parameters
        ----------
        importance : 1 to 10. evidence : places of the records that it was concluded from; its depth is one more
            than theirs. expires : when it is forgotten; None never.

        Raises
        ------
        OptionError
            Importance outside 1 to 10. UnknownName: evidence that is no record.
        """
        if not 1 <= importance <= 10:
            raise OptionError(f"importance {importance} is not between 1 and 10.")
        if wrong := [e for e in evidence if not 0 <= e < self._size]:
            raise UnknownName(f"evidence {wrong[0]} is no record; there are {self._size}.")
        if self._size == len(self._held["text"]):
            self._held = {n: np.concatenate([c, np.zeros_like(c)]) for n, c in self._held.items()}
        if kind not in self.kinds:
            self.kinds.append(kind)
        depth = 1 + max((int(self._held["depth"][e]) for e in evidence), default=-1) if evidence else 0
        row = {
            "text": self.texts.add([text])[0], "kind": self.kinds.index(kind), "created": time, "accessed": time,
            "expires": NEVER if expires is None else expires, "importance": importance, "depth": depth, "alive": True,
        }  # fmt: skip
        for name, value in row.items():
            self._held[name][self._size] = value
        self.evidence.append(tuple(evidence))
        self._size += 1
        if not evidence:
            self.pending += importance
        return self._size - 1

    def text(self, record: int) -> str:
        return self.texts[int(self.column("text")[record])]

    def retrieve(
        self, query: str, k: int = 30, *, now: int, weights: tuple[float, float, float] | None = None,
        kinds: Sequence[str] | None = None, touch: bool = True,
    ) -> Found:  # fmt: skip
        """The k best records for a query, by score, ties by the later record.

        Parameters
        ----------
        kinds : only these. touch : whether being found counts as an access.
        """
        there = np.flatnonzero(self.findable(now, kinds))
        if not len(there) or k < 1:
            return Found(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 3)), [])
        age = np.maximum(now - self.column("accessed")[there], 0) / HOUR
        if self.ranked:
            age = np.unique(age, return_inverse=True)[1].astype(float)
        vectors = self.texts.vectors()[self.column("text")[there]].astype(np.float32)
        relevance = vectors @ self.texts.encode([query])[0]
        parts = np.stack([self.decay**age, self.column("importance")[there], relevance], 1).astype(np.float64)
        low, span = parts.min(0), np.ptp(parts, axis=0)
        parts = np.where(span > 1e-12, (parts - low) / np.where(span > 1e-12, span, 1), 0.0)
        scores = parts @ np.asarray(weights or self.weights, float)
        best = np.lexsort([-there, -scores])[:k]
        if touch:
            self._held["accessed"][there[best]] = now
        found = there[best]
        return Found(found, scores[best], parts[best], [self.text(int(r)) for r in found])

    def findable(self, now: int, kinds: Sequence[str] | None = None) -> np.ndarray:
        """Which records can be found now, bool[N]: kept, made before, not expired, of these kinds."""
        found = self.column("alive") & (self.column("created") <= now) & (self.column("expires") > now)
        if kinds is not None:
            found &= np.isin(self.column("kind"), [i for i, k in enumerate(self.kinds) if k in kinds])
        return np.asarray(found)

    def forget(self, now: int, *, most: int | None = None) -> int:
        """Let go of what has expired, and beyond `most` records of the weakest (importance times recency). Returns how
        many. A forgotten record is never found again; what was concluded from it keeps its trace."""
        alive = self.column("alive")
        gone = alive & (self.column("expires") <= now)
        left = np.flatnonzero(alive & ~gone)
        if most is not None and len(left) > most:
            hours = np.maximum(now - self.column("accessed")[left], 0) / HOUR
            strength = self.column("importance")[left] * self.decay**hours
            gone[left[np.lexsort([left, strength])[: len(left) - most]]] = True
        self._held["alive"][: self._size][gone] = False
        return int(gone.sum())

    def sources(self, record: int) -> tuple[int, ...]:
        """The observations that a record goes back to, itself if it is one; ascending."""
        found, todo = set(), [record]
        while todo:
            one = todo.pop()
            if self.evidence[one]:
                todo.extend(self.evidence[one])
            else:
                found.add(one)
        return tuple(sorted(found))

    @property
    def due(self) -> bool:
        """Whether enough has been taken in for a reflection."""
        return self.pending >= self.threshold

    def copy(self) -> Memory:
        """The same stream, which goes on by itself; the table of texts is shared."""
        made = Memory(self.texts, decay=self.decay, weights=self.weights, threshold=self.threshold, ranked=self.ranked)
        made.kinds, made.evidence, made.pending = list(self.kinds), list(self.evidence), self.pending
        made._size, made._held = self._size, {n: c.copy() for n, c in self._held.items()}
        return made

    def to_arrow(self) -> pa.Table:
        """All records, with texts and evidence."""
        columns: dict[str, Any] = {n: self.column(n) for n in _COLUMNS if n not in ("text", "kind")}
        columns["text"] = [self.text(i) for i in range(self._size)]
        columns["kind"] = [self.kinds[k] for k in self.column("kind")]
        columns["evidence"] = pa.array([list(e) for e in self.evidence], pa.list_(pa.int64()))
        return pa.table(columns).replace_schema_metadata({"pending": str(self.pending)})

    @classmethod
    def from_arrow(cls, table: pa.Table, texts: TextTable, **options: Any) -> Memory:
        """The stream again; options as it was made with."""
        made = cls(texts, **options)
        for row in table.to_pylist():
            expires = None if row["expires"] == NEVER else row["expires"]
            made.add(
                row["text"], time=row["created"], importance=row["importance"], kind=row["kind"],
                evidence=row["evidence"], expires=expires,
            )  # fmt: skip
        for name in ("accessed", "alive"):
            made._held[name][: len(made)] = table.column(name).to_numpy(zero_copy_only=False)
        made.pending = float((table.schema.metadata or {}).get(b"pending", b"0"))
        return made

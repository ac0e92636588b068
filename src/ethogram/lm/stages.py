"""A memory in three stages: what is noticed, what is held in mind for a while, what stays.

    sensory      an observation is kept where 0.9 importance / 10 > 0.62
    short-term   sim(s, m) = cos(s, m), + 0.1 for the latest m;  q = 1 / (1 + exp(-sim))
                 with q >= 0.7 and chance q: m.count += 1, m.links += s
                 count >= 3: m goes to the long term, with an insight from m and what was linked to it
                 beyond the capacity the lowest (importance, count) goes, and out of the others' links
    long-term    score = cos(query, m) + importance / 10 + 0.99^(hours since the last access)
                 reflection where the importance taken in passes a threshold: an insight from what it cites; its
                 importance is their mean, and sources with 1 / (1 + exp(-cos(insight, source))) >= 0.72 are merged away
    forgetting   s = max(r^1.5, 0.01) (importance / 10 + r) / 2,  r = 0.99^hours; of what was untouched for a day, the
                 weight of being forgotten is 1 - s

Nothing here asks a model: `staging` does, and gives what it said. Chance comes in as numbers, so that a run repeats.
The long term holds `most` records: beyond that, and only then, it forgets (the paper leaves the number open).

L. Wang et al.: User Behavior Simulation with Large Language Model based Agents for Recommender Systems (RecAgent).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ethogram.errors import OptionError
from ethogram.lm.memory import HOUR
from ethogram.text.dense import Embed, hashed, unit

NOTICED, ALIKE, MERGED, LATEST, OFTEN = 0.62, 0.7, 0.72, 0.1, 3
DAY = 24 * HOUR


@dataclass
class Held:
    """A record. importance : 1 to 10. created, accessed : microseconds. count, links : of the short term."""

    text: str
    importance: float
    created: int
    accessed: int
    vector: np.ndarray = field(repr=False)
    count: int = 1
    links: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Moved:
    """What goes to the long term: a record, and the texts that were linked to it."""

    text: str
    importance: float
    links: tuple[str, ...]


class Stages:
    """The memory of one person.

    Parameters
    ----------
    capacity : of the short term. most : records of the long term. threshold : importance taken into the long term
        between two reflections. embed : texts -> vectors.

    Examples
    --------
    >>> mine = Stages()
    >>> mine.take("Ann saw a film about robots", 9, now=0, chance=[])
    []
    >>> [m.text for m in mine.short], mine.noticed(6)
    (['Ann saw a film about robots'], False)
    """

    def __init__(
        self, *, capacity: int = 10, most: int = 200, threshold: float = 30.0, embed: Embed = hashed
    ):  # fmt: skip
        if capacity < 1 or most < 1 or not threshold > 0:
            raise OptionError(f"Stages: capacity = {capacity}, most = {most}, threshold = {threshold}; all above 0.")
        self.capacity, self.most, self.threshold, self.embed = capacity, most, threshold, embed
        self.short: list[Held] = []
        self.long: list[Held] = []
        self.pending = 0.0

    def __len__(self) -> int:
        return len(self.short) + len(self.long)

    @staticmethod
    def noticed(importance: float) -> bool:
        """Whether the sensory stage lets an observation of this importance (1 to 10) through."""
        return 0.9 * importance / 10 > NOTICED

    def take(self, text: str, importance: float, *, now: int, chance: Sequence[float]) -> list[Moved]:
        """Put an observation into the short term; what leaves it for the long term is returned, for `keep`.

        Parameters
        ----------
        chance : a number in [0, 1) for each record of the short term, in its order.

        Raises
        ------
        OptionError
            Importance outside 1 to 10, or too few numbers.
        """
        fresh = self._held(text, importance, now)
        self._linked(fresh, chance)
        self.short.append(fresh)
        moved = [m for m in self.short if m.count >= OFTEN]
        self.short = [m for m in self.short if m.count < OFTEN]
        while len(self.short) > self.capacity:
            lowest = min(range(len(self.short)), key=lambda i: (self.short[i].importance, self.short[i].count, i))
            gone = self.short.pop(lowest)
            for m in self.short:
                m.links = [t for t in m.links if t != gone.text]
        return [Moved(m.text, m.importance, tuple(m.links)) for m in moved]

    def _linked(self, fresh: Held, chance: Sequence[float]) -> None:
        if len(chance) < len(self.short):
            raise OptionError(f"Stages: {len(chance)} numbers for {len(self.short)} records of the short term.")
        for i, (m, u) in enumerate(zip(self.short, chance, strict=False)):
            sim = float(m.vector @ fresh.vector) + (LATEST if i == len(self.short) - 1 else 0.0)
            q = 1 / (1 + np.exp(-sim))
            if q >= ALIKE and u < q:
                m.count += 1
                m.links.append(fresh.text)

    def keep(self, text: str, importance: float, *, now: int, chance: Sequence[float] = ()) -> None:
        """Put a record into the long term; where it is full something is forgotten, by `chance` (see `forget`)."""
        self.long.append(self._held(text, importance, now))
        self.pending += importance
        if (over := len(self.long) - self.most) > 0:
            self.forget(over, now=now, chance=chance)

    def retrieve(self, query: str, k: int = 5, *, now: int, touch: bool = True) -> list[str]:
        """The k best texts of the long term; what comes to mind is thereby accessed."""
        if not self.long or k < 1:
            return []
        scores = self.scores(query, now)
        best = np.lexsort([-np.arange(len(scores)), -scores])[:k]
        if touch:
            for i in best:
                self.long[i].accessed = now
        return [self.long[i].text for i in best]

    def scores(self, query: str, now: int) -> np.ndarray:
        """Of the long term, float64[records]."""
        asked = unit(self.embed([query]))[0]
        salience = np.stack([m.vector for m in self.long]) @ asked
        worth = np.array([m.importance for m in self.long]) / 10
        return np.asarray(salience + worth + self._recency(now), np.float64)

    def reinforce(self, texts: Sequence[str], chance: Sequence[float]) -> None:
        """What was recalled from the long term speaks for what is alike in the short term, as a new observation would.

        `chance` : as for `take`, for each text in turn.
        """
        for j, text in enumerate(texts):
            at = j * len(self.short)
            self._linked(self._held(text, 1, 0), chance[at : at + len(self.short)])

    @property
    def due(self) -> bool:
        """Whether it is time for a reflection."""
        return self.pending >= self.threshold

    def conclude(self, insight: str, cited: Sequence[str], *, now: int) -> int:
        """Keep what a reflection concluded, merge away the sources that say the same; how many those were.

        Raises
        ------
        OptionError
            It cites nothing that is in the long term.
        """
        sources = [m for m in self.long if m.text in set(cited)]
        if not sources:
            raise OptionError("an insight must cite a record of the long term.")
        worth = float(np.mean([m.importance for m in sources]))
        made = self._held(insight, worth, now)
        alike = [m for m in sources if 1 / (1 + np.exp(-float(m.vector @ made.vector))) >= MERGED]
        self.long = [m for m in self.long if not any(m is a for a in alike)] + [made]
        self.pending = 0.0
        return len(alike)

    def strength(self, now: int) -> np.ndarray:
        """How firmly each record of the long term is held, float64[records]."""
        r = self._recency(now)
        return np.asarray(np.maximum(r**1.5, 0.01) * (np.array([m.importance for m in self.long]) / 10 + r) / 2)

    def forget(self, number: int, *, now: int, chance: Sequence[float] = ()) -> list[str]:
        """Forget some records, drawn with weights 1 - strength among those untouched for a day (the rest only where
        these are too few); without `chance` the weakest go."""
        if not self.long or number < 1:
            return []
        weight = 1 - self.strength(now)
        u = np.asarray(chance, float)[: len(self.long)]
        key = np.log(np.maximum(u, 1e-300)) / np.maximum(weight, 1e-9) if len(u) == len(self.long) else weight
        rested = np.array([now - m.accessed > DAY for m in self.long])
        order = np.lexsort([-key, ~rested])[:number]
        gone = [self.long[i].text for i in sorted(order)]
        self.long = [m for i, m in enumerate(self.long) if i not in set(order.tolist())]
        return gone

    def _recency(self, now: int) -> np.ndarray:
        return np.asarray(0.99 ** (np.maximum([now - m.accessed for m in self.long], 0) / HOUR))

    def _held(self, text: str, importance: float, now: int) -> Held:
        if not 1 <= importance <= 10:
            raise OptionError(f"importance {importance} is not between 1 and 10.")
        return Held(text, float(importance), now, now, unit(self.embed([text]))[0].astype(np.float32))

    def state(self) -> dict[str, Any]:
        """As JSON can hold it."""
        rows = {n: [{k: v for k, v in vars(m).items() if k != "vector"} for m in getattr(self, n)] for n in _STAGES}
        return {**rows, "pending": self.pending}

    def restore(self, kept: Mapping[str, Any]) -> Stages:
        """The memory again; options as it was made with."""
        for name in _STAGES:
            rows = kept[name]
            vectors = unit(self.embed([r["text"] for r in rows])) if rows else np.zeros((0, 1))
            made = [
                Held(**{**r, "links": list(r["links"])}, vector=np.asarray(v, np.float32))
                for r, v in zip(rows, vectors, strict=True)
            ]
            setattr(self, name, made)
        self.pending = float(kept["pending"])
        return self


_STAGES = ("short", "long")

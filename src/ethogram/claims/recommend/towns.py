"""Questions about trips: only places of the destination compete, and only those that travellers of training visited."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

LEAST = 3
"""Visits of travellers in training from which a place competes."""


@dataclass(frozen=True, eq=False)
class Offered:
    """The places that compete; stands for the whole log where `evaluate` reads its catalogue."""

    codes: np.ndarray
    of: str

    def sequences(self) -> Self:
        return self

    @property
    def columns(self) -> dict[str, np.ndarray]:
        return {"item": self.codes}

    def fingerprint(self) -> str:
        return hashlib.blake2b(self.of.encode() + self.codes.tobytes(), digest_size=16).hexdigest()


def trips(log: Any, *, least: int = LEAST, valid: float = 0.1, test: float = 0.2) -> Any:
    """A split by person. What was visited but does not compete is a target that nobody can find, for all alike."""
    cut = log.split("by-user", valid=valid, test=test)
    visits = np.asarray(cut.train.where("kind == 'trip'").sequences().columns["item"])
    counts = np.bincount(visits, minlength=len(log.vocabulary("item")))
    town = _told(log.vocabulary("item"), log.tables["items"], "town")
    there = np.isin(town.astype(str), log.tables["users"].column("destination").to_pylist())
    codes = np.flatnonzero((counts >= least) & there).astype(np.int32)
    return cut._replace(log=Offered(codes, log.fingerprint()))


@dataclass(kw_only=True)
class InTown:
    """A system that is asked about the places of each traveller's destination only.

    `on` is the kind of events that it learns from; empty is all.
    """

    system: str
    options: Mapping[str, Any] = field(default_factory=dict)
    on: str = ""

    def fit(self, train: Any, valid: Any = None, *, seed: int = 0, watch: Any = None) -> Self:
        from ethogram.system import system

        if self.on:
            train, valid = train.where(f"kind == '{self.on}'"), None
        self.fitted = system(self.system, **self.options).fit(train, valid, seed=seed)
        return self

    def score(self, histories: Any, candidates: Any, context: Any = None) -> np.ndarray:
        return in_town(self.fitted.score(histories, candidates), histories, candidates)


@dataclass(kw_only=True)
class MatchedPopularity:
    """What travellers visited, more of it where its category is one that the person visits at home.

    ln(n_i) + ln((m_uc + strength q_c) / (m_u + strength) / q_c), m: visits at home, q: share of the category there.
    """

    strength: float = 200.0

    def fit(self, train: Any, valid: Any = None, *, seed: int = 0, watch: Any = None) -> Self:
        items = train.vocabulary("item")
        words, self.category = np.unique(
            _told(items, train.tables["items"], "category").astype(str), return_inverse=True
        )
        of = {
            kind: np.asarray(train.where(f"kind == '{kind}'").sequences().columns["item"]) for kind in ("home", "trip")
        }
        share = np.bincount(self.category[of["home"]], minlength=len(words)) + 0.5
        self.share, self.counts = share / share.sum(), np.bincount(of["trip"], minlength=len(items))
        self.fitted = True
        return self

    def score(self, histories: Any, candidates: Any, context: Any = None) -> np.ndarray:
        rows, offsets = histories.flat()
        owner = np.repeat(np.arange(len(histories)), np.diff(offsets))
        mine = np.zeros((len(histories), len(self.share)))
        np.add.at(mine, (owner, self.category[np.asarray(histories.item)[rows]]), 1)
        mine = (mine + self.strength * self.share) / (mine.sum(1, keepdims=True) + self.strength) / self.share
        place = candidates.items
        found = np.log(self.counts[place] + 0.5)[None] + np.log(mine)[:, self.category[place]]
        return in_town(found, histories, candidates)


def in_town(scores: Any, histories: Any, candidates: Any) -> np.ndarray:
    """Scores [n, c] of shared candidates, -inf outside the destination of each traveller."""
    town = _told(candidates.vocabulary, histories.tables["items"], "town")[candidates.items]
    going = _told(histories.vocabularies["user"], histories.tables["users"], "destination")[histories.users]
    return np.where(town[None] == going[:, None], np.asarray(scores, np.float64), -np.inf)


def _told(vocabulary: Any, table: Any, column: str) -> np.ndarray:
    """What a side table says of each code, object[codes]; its first column names them."""
    code = vocabulary.encode(table.column(0))
    out = np.full(len(vocabulary), "", object)
    out[code[code >= 0]] = np.array(table.column(column).to_pylist(), object)[code >= 0]
    return out

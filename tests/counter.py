"""A small honest system for tests of the ground: how often each item was met, by everybody and by oneself.

score = log(1 + events of the item) + `own` * log(1 + events of the item in the history)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, State, Table, Vocabulary


@system("counter", paper="none", year=2026, area="recommend", verbs=("score", "recommend"), baseline=True)
@dataclass(kw_only=True)
class Counter:
    own: float = 1.0
    "How much the own past counts."
    depth: int = 1_000
    "Events of a history that are read, the latest."
    mode: Literal["log", "plain"] = "log"
    "Counts as logarithms,\n    or as they are."
    floor: int | None = None
    "Items with fewer events score as if they had this many."
    widths: tuple[int, ...] = (1, 2)

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Any = None) -> Counter:
        done = train.histories()
        rows, _ = done.flat()
        ids = train.vocabulary("item")
        counts = np.bincount(done.item[rows], minlength=len(ids))
        self.fitted = (ids, counts.astype(np.int64), train.repeat_ratio() >= 0.01)
        return self

    def _own(self, histories: Histories) -> np.ndarray:
        ids = self.fitted[0]
        own = np.zeros((len(histories), len(ids) + 1))
        rows, offsets = histories.last(self.depth).flat()
        code = histories.vocabularies["item"].codes_in(ids)
        who = np.repeat(np.arange(len(histories)), np.diff(offsets))
        if len(rows):
            np.add.at(own, (who, code[histories.item[rows]]), 1)
        own[:, -1] = 0
        return own

    def _all(self, own: np.ndarray) -> np.ndarray:
        counts = np.append(self.fitted[1], 0)
        if self.floor is not None:
            counts = np.maximum(counts, self.floor)
        squash = np.log1p if self.mode == "log" else np.asarray
        return squash(counts) + self.own * squash(own)

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        n = len(histories)
        codes, offsets = candidates.flat(n)
        known = candidates.vocabulary.codes_in(self.fitted[0])
        here = np.where(codes < 0, -1, known[np.maximum(codes, 0)]) if len(known) else codes
        who = np.repeat(np.arange(n), np.diff(offsets))
        return candidates.shape(self._all(self._own(histories))[who, here], n)

    def recommend(
        self, histories: Histories, k: int = 10, *, exclude_seen: bool | None = None,
        among: Candidates | None = None,
    ) -> Table:  # fmt: skip
        ids, _, repeats = self.fitted
        own = self._own(histories)
        scores = self._all(own)[:, :-1]
        if exclude_seen or (exclude_seen is None and not repeats):
            scores = np.where(own[:, :-1] > 0, -np.inf, scores)
        if among is not None:
            allowed = np.zeros(scores.shape, bool)
            codes, offsets = among.flat(len(histories))
            place = among.vocabulary.codes_in(ids)[codes]
            who = np.repeat(np.arange(len(histories)), np.diff(offsets))
            allowed[who[place >= 0], place[place >= 0]] = True
            scores = np.where(allowed, scores, -np.inf)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        top = np.take_along_axis(scores, best, 1)
        question, place = np.nonzero(np.isfinite(top))
        return pa.table(
            {
                "question": question.astype(np.int64),
                "user": histories.vocabularies["user"].decode(histories.users[question]),
                "item": ids.decode(best[question, place]),
                "score": top[question, place],
                "rank": (place + 1).astype(np.int64),
            }
        )

    def state(self) -> State:
        ids, counts, repeats = self.fitted
        return State({"counts": counts}, {"items": pa.table({"id": ids.ids})}, {"repeats": repeats})

    def restore(self, state: State) -> Counter:
        ids = Vocabulary(state.tables["items"].column("id"))
        self.fitted = (ids, state.arrays["counts"], state.json["repeats"])
        return self

"""What a system has met in training: its items, its users, how often each item occurred, how much people repeat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from ethogram.errors import RolesError, StateError
from ethogram.log import Histories, Log, Vocabulary
from ethogram.log.histories import FOREVER
from ethogram.verbs import State

REPEATS = 0.01
"""Below this share of repeated items a system recommends only new ones, unless told otherwise."""


@dataclass(frozen=True, eq=False)
class Known:
    """Facts of the training log that serving needs.

    Attributes
    ----------
    items : vocabulary of the log, whose codes the system's arrays use; it may hold items that training never met.
    users : those with behaviour in training.
    counts : int64[len(items)], training events per item.
    repeats : share of training events whose item the same user had met before.
    """

    items: Vocabulary
    users: Vocabulary
    counts: np.ndarray
    repeats: float

    @classmethod
    def of(cls, train: Log) -> Known:
        """Count a training log (its behaviour: exposures that carry a label do not count)."""
        return cls.read(train.histories(), train.repeat_ratio)

    @classmethod
    def read(cls, done: Histories, repeats: Callable[[], float]) -> Known:
        """Count whole histories, one for each user; `repeats` gives the share of repeated events."""
        if "item" not in done.columns:
            raise RolesError("the log has no role 'item': nothing can be recommended from it; name its column.")
        items = done.vocabularies["item"]
        met = done.users[done.lengths > 0]
        return cls(
            items,
            Vocabulary(done.vocabularies["user"].decode(met)),
            done.tally(),
            repeats(),
        )

    def excludes(self, exclude_seen: bool | None) -> bool:
        """Whether seen items are left out: as asked, else by the training log's repeat ratio."""
        return self.repeats < REPEATS if exclude_seen is None else exclude_seen

    @property
    def trained(self) -> int:
        """How many items training met."""
        return int(np.count_nonzero(self.counts))

    @cached_property
    def rows(self) -> np.ndarray:
        """Place of each item code among the items that training met, -1 for the others; a last -1 answers for -1."""
        met = self.counts > 0
        return np.append(np.where(met, np.cumsum(met) - 1, -1), -1)

    def rows_in(self, vocabulary: Vocabulary) -> np.ndarray:
        """The same for the codes of another vocabulary."""
        return np.append(self.rows[vocabulary.codes_in(self.items)], -1)

    def users_of(self, histories: Histories) -> np.ndarray:
        """Code in `users` of whoever asks each question, -1 for strangers; int32[n]."""
        own = np.append(histories.vocabularies["user"].codes_in(self.users), np.int32(-1))
        return own[histories.users]

    def status(self, histories: Histories) -> pa.Array:
        """Per question `hot` (a user of the training log), `warm` (a stranger with a history) or `cold` (neither)."""
        hot = self.users_of(histories) >= 0
        place = np.where(hot, 0, np.where(histories.lengths > 0, 1, 2)).astype(np.int8)
        return pa.DictionaryArray.from_arrays(pa.array(place), ["hot", "warm", "cold"]).cast(pa.string())

    def state(self) -> State:
        """As data, for `State.parts`."""
        tables = {"items": pa.table({"item": self.items.ids}), "users": pa.table({"user": self.users.ids})}
        return State({"counts": self.counts}, tables, {"repeats": self.repeats})

    @classmethod
    def restore(cls, state: State) -> Known:
        """From data; StateError where the parts do not fit each other."""
        items = Vocabulary(state.tables["items"].column("item"))
        counts = np.asarray(state.arrays["counts"])
        if counts.shape != (len(items),):
            raise StateError(f"state holds counts of {len(counts)} items for a vocabulary of {len(items)}.")
        return cls(items, Vocabulary(state.tables["users"].column("user")), counts, state.json["repeats"])


def times(histories: Histories, rows: np.ndarray) -> pa.Array:
    """Instants of shared rows, timestamp[us, UTC]; null in histories without a clock."""
    if "time" not in histories.columns:
        return pa.nulls(len(rows), pa.timestamp("us", tz="UTC"))
    time = np.asarray(histories.columns["time"])[rows]
    return pa.array(time, pa.int64(), mask=time == FOREVER).cast(pa.timestamp("us", tz="UTC"))

"""How popular a candidate is, as an input: what a network of identities would have to learn answer by answer.

    x(t, time) = log((n_t + 1) / (N / V + 1))

with n_t the events of t in training and N those of all V items. A question of training is told of events before it
only: counts of the whole log would hold its own answer. Questions that come later are told all of training.
"""

from __future__ import annotations

import numpy as np

from ethogram.log import Batch, Features, Log
from ethogram.log.questions import behaviour

COLUMN = "popularity before the question"


def shares(counts: np.ndarray, total: np.ndarray | int, items: int) -> np.ndarray:
    """x for counts n_t of which there are `total`, float32."""
    return np.log((counts + 1.0) / (np.asarray(total) / max(items, 1) + 1.0)).astype(np.float32)


class Prior:
    """Events of a training log by row of the item table, in the order of time.

    Attributes
    ----------
    last : x of every row of the item table when training is over, float32[rows]; 0 throughout in a log without time,
        where nobody knows what came before.
    """

    def __init__(self, features: Features, train: Log) -> None:
        done = behaviour(train.sequences())
        self.items, self.rows = len(features.items) or 1, features.tables["item"]
        self.last = np.zeros(self.rows, np.float32)
        self.time = np.zeros(0, np.int64)
        if "time" not in done.columns:
            return
        code, vocabulary = np.asarray(done.columns["item"]), done.vocabularies["item"]
        column = next(c for c in features.of("item") if c.name == "item")
        row = np.append(column.rows(vocabulary.ids, features.vocabularies.get("item")), 0)[code]
        time = np.asarray(done.columns["time"])
        self.time = np.sort(time)
        order = np.lexsort((time, row))
        self.by_row, self.first = time[order], np.searchsorted(row[order], np.arange(self.rows + 1))
        self.last = shares(np.diff(self.first), len(time), self.items)
        self.last[:2] = shares(np.zeros(2), len(time), self.items)  # no item, and one that training did not see

    def before(self, batch: Batch) -> np.ndarray:
        """x of each candidate of a batch from what happened before its question, float32[Q]."""
        assert batch.candidates is not None
        asked, ends = batch.candidates.flat()
        if not len(self.time):
            return np.zeros(len(asked), np.float32)
        row = batch.items["item"].values[batch.candidates.item[asked]].astype(np.int64)
        at = np.repeat(batch.time, np.diff(ends))
        # one search for all rows: times as places among the distinct ones, rows above them
        instants = np.unique(self.time)
        width = len(instants) + 1
        owner = np.repeat(np.arange(self.rows), np.diff(self.first))
        keys = owner * width + np.searchsorted(instants, self.by_row)
        found = np.searchsorted(keys, row * width + np.searchsorted(instants, at)) - self.first[row]
        return shares(np.where(row > 1, found, 0), np.searchsorted(self.time, at), self.items)

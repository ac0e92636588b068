"""How often each row of the embedding tables stands in the questions that a network learns from."""

from __future__ import annotations

import numpy as np

from ethogram.log import Batch, Features


def occurrences(features: Features, batch: Batch) -> dict[str, np.ndarray]:
    """Embedding table -> float32[rows]: how often each row stands in the questions of a batch.

    Every event of a history counts once, however many questions share it, and so does every candidate.
    """
    judged, history = batch.candidates, batch.sequences["history"]
    assert judged is not None
    change = np.bincount(history.start, minlength=len(history.item) + 1)
    change -= np.bincount(history.stop, minlength=len(history.item) + 1)
    past, (asked, _) = np.flatnonzero(np.cumsum(change)[:-1] > 0), judged.flat()
    counts = {name: np.zeros(rows, np.float32) for name, rows in features.tables.items()}

    def count(table: str | None, rows: np.ndarray, times: np.ndarray | None = None) -> None:
        if table is not None:
            counts[table] += np.bincount(rows, times, minlength=len(counts[table])).astype(np.float32)

    codes = np.concatenate([history.item[past], judged.item[asked]])
    times = np.bincount(codes, minlength=len(batch.items["item"].values)).astype(np.float64)
    for column in batch.items.values():
        spans = column.offsets
        count(column.table, column.values, times if spans is None else np.repeat(times, np.diff(spans)))
    for held, where, rows in (
        (history.columns, history.tables, past),
        (judged.columns, judged.tables, asked),
        (batch.users, batch.user_tables, np.arange(len(batch))),
    ):
        for name, values in held.items():
            if (table := where.get(name)) is not None:
                count(table, values[rows])
    return counts

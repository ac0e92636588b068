"""Predictions of behaviour beside what receivers did."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.log.messages import Messages

WITHIN = {"replay": 5.0}
"""Error up to which a prediction counts as right; for other behaviours a tenth of their standard deviation."""


def paired(messages: Messages, said: pa.Table, behaviour: str) -> np.ndarray:
    """(true, predicted, low, high) of one behaviour wherever both are known, float64[n, 4]."""
    place = {item: i for i, item in enumerate(messages.item)}
    rows = []
    for row in said.to_pylist():
        i = place.get(row["item"])
        if row["behaviour"] != behaviour or i is None:
            continue
        true = messages.behaviour[behaviour][i] if row["scene"] is None else messages.replays[i][row["scene"]]
        rows.append((true, row["predicted"], row["low"], row["high"]))
    found = np.array(rows, np.float64).reshape(-1, 4)
    return found[~np.isnan(found[:, 0])]


def judged(messages: Messages, said: pa.Table) -> pa.Table:
    """One row for each behaviour; columns as `LCBM.judge`."""
    made: list[tuple[Any, ...]] = []
    for name in dict.fromkeys(said.column("behaviour").to_pylist()):
        if name != "replay" and name not in messages.behaviour:
            continue
        true, mean, low, high = paired(messages, said, name).T
        if not len(true):
            continue
        error, spread = mean - true, float(true.std())
        squared = float((error**2).mean())
        right = float((np.abs(error) <= WITHIN.get(name, spread / 10)).mean())
        covered = float(((low <= true) & (true <= high)).mean())
        made.append((name, squared**0.5, spread, 1 - squared / max(spread**2, 1e-12), right, covered, len(true)))
    names = ("behaviour", "rmse", "floor", "r2", "right", "covered", "n")
    return pa.table({n: [row[k] for row in made] for k, n in enumerate(names)})


def curve(true: np.ndarray, said: np.ndarray, points: int = 10) -> np.ndarray:
    """Calibration curve: mean prediction and truth of `points` groups of rising predictions, float64[points, 2]."""
    parts = np.array_split(np.argsort(said, kind="stable"), min(points, max(len(said), 1)))
    return np.array([(said[p].mean(), true[p].mean()) for p in parts if len(p)]).reshape(-1, 2)

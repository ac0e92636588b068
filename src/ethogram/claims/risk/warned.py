"""Who does a thing soon: warnings of several arms at given instants, on the same people, with simple ones beside them.

At each instant a warning sees what a person did in the window so far and is judged by whether the kind comes within
the horizon. Beside the processes stand

    a Poisson process of each person   1 - exp(-h (n_u + 1) / (t + 1 / r)),   r the kind's rate over the people learned
    decayed counts                     a logistic model of the kind's and of all events' counts, weighted by
                                       exp(-age / tau); tau and the model from people learned, at such instants of
                                       windows that the processes have learned, too

which both see the same events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.claims import Estimate
from ethogram.claims.risk.streaming import Window
from ethogram.evaluate.classification import auc, brier, pr_auc

METRICS: Mapping[str, Callable[[Any, Any], float]] = {"auc": auc, "pr_auc": pr_auc, "brier": brier}
TAUS = (0.25, 1.0, 4.0, 16.0)
"""Candidates of tau, in horizons."""


@dataclass(frozen=True)
class Asked:
    """One instant of one window.

    Attributes
    ----------
    past : log of the judged people up to the instant. learned : the same of people that were learned from.
    label, learned_label : person -> whether the kind came within the horizon. begin, now : microseconds.
    stream : whose people they are; another stream's are others.
    """

    past: Any
    learned: Any
    label: dict[Any, float]
    learned_label: dict[Any, float]
    begin: int
    now: int
    stream: int = 0


def asked(
    window: Window, begin: int, now: int, horizon: int, wanted: Callable[[pa.Table], pa.Array], stream: int = 0
) -> Asked:
    """`wanted` tells which rows of a table are of the kind; `now` moves back to the last event before it."""
    last = min(_latest(log.table(), now) for log in (window.judged, window.train))
    parts = []
    for log in (window.judged, window.train):
        table = log.table()
        time = table.column("time").cast(pa.int64())
        past = table.filter(pc.less_equal(time, last))
        soon = table.filter(pc.and_(pc.greater(time, last), pc.less_equal(time, last + horizon)))
        hit = set(soon.filter(wanted(soon)).column("user").to_pylist())
        users = sorted(set(past.column("user").to_pylist()), key=str)
        parts.append((_log(past), {u: float(u in hit) for u in users}))
    (judged, label), (learned, other) = parts
    return Asked(judged, learned, label, other, begin, last, stream)


def _latest(table: pa.Table, now: int) -> int:
    time = table.column("time").cast(pa.int64()).to_numpy()
    return int(time[time <= now].max())


def _log(table: pa.Table) -> Any:
    from ethogram.log import Log

    names = {n: n for n in ("user", "time", "kind", "value") if n in table.column_names}
    return Log.open(table.select(list(names)), **names)


def told(arm: Any, one: Asked) -> np.ndarray:
    """Risks of the judged people by `assess`, in the order of `label`."""
    made = arm.assess(one.past)
    risk = dict(zip(made.column("user").to_pylist(), made.column("risk").to_pylist(), strict=True))
    return np.array([risk[u] for u in one.label])


def simple(
    before: Sequence[Asked], every: Sequence[Asked], horizon: int, wanted: Callable[[pa.Table], pa.Array]
) -> dict[str, list[np.ndarray]]:
    """Risks of the two simple warnings at each instant of `every`, fitted on the people learned from of `before`."""
    from sklearn.linear_model import LogisticRegression

    hits = np.concatenate([list(a.learned_label.values()) for a in before])
    best: tuple[float, Any, float] | None = None
    for tau in TAUS:
        rows = np.concatenate([_counts(a.learned, a.learned_label, a.now, tau * horizon, wanted) for a in before])
        model = LogisticRegression().fit(rows, hits)
        loss = -float(
            np.log(np.maximum(model.predict_proba(rows)[np.arange(len(hits)), hits.astype(int)], 1e-9)).mean()
        )
        if best is None or loss < best[0]:
            best = loss, model, tau
    assert best is not None
    total = sum(_counts(a.learned, a.learned_label, a.now, np.inf, wanted)[:, 0].sum() for a in before)
    rate = (total + 1) / sum((a.now - a.begin) * len(a.learned_label) for a in before)
    found: dict[str, list[np.ndarray]] = {"decayed counts": [], "poisson of each": []}
    for a in every:
        rows = _counts(a.past, a.label, a.now, best[2] * horizon, wanted)
        found["decayed counts"].append(best[1].predict_proba(rows)[:, 1])
        own = (_counts(a.past, a.label, a.now, np.inf, wanted)[:, 0] + 1) / (a.now - a.begin + 1 / rate)
        found["poisson of each"].append(1 - np.exp(-horizon * own))
    return found


def _counts(log: Any, label: dict[Any, float], now: int, tau: float, wanted: Any) -> np.ndarray:
    """Decayed counts of the kind and of all events, float64[people, 2]."""
    table = log.table()
    place = {u: i for i, u in enumerate(label)}
    row = np.array([place[u] for u in table.column("user").to_pylist()])
    weight = np.exp(-(now - table.column("time").cast(pa.int64()).to_numpy()) / tau)
    own = np.asarray(wanted(table).to_numpy(zero_copy_only=False), bool)
    return np.stack([np.bincount(row[some], weight[some], len(label)) for some in (own, np.ones(len(row), bool))], 1)


def compared(every: Sequence[Asked], one: Sequence[np.ndarray], other: Sequence[np.ndarray], metric: str) -> Estimate:
    """How much better `one` is (for brier: how much lower), people resampled with all their instants."""
    measure = METRICS[metric]
    sign = -1.0 if metric == "brier" else 1.0
    label = np.concatenate([list(a.label.values()) for a in every])
    who = np.concatenate([[f"{a.stream} {u}" for u in a.label] for a in every])
    left, right = np.concatenate(one), np.concatenate(other)

    def gap(rows: np.ndarray) -> float:
        if len(np.unique(label[rows])) < 2:
            return float("nan")
        return sign * (measure(label[rows], left[rows]) - measure(label[rows], right[rows]))

    _, person = np.unique(who, return_inverse=True)
    order = np.argsort(person, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(person))[:-1])
    rng, n = np.random.default_rng(0), len(groups)
    drawn = [gap(np.concatenate([groups[i] for i in rng.integers(0, n, n)])) for _ in range(300)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Estimate(gap(np.arange(len(label))), float(low), float(high), units=n, unit="people")

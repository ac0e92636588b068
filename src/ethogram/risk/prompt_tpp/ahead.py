"""How likely each person is to do a thing soon: futures drawn event by event, up to a horizon.

    risk_u = P(an event of the kind in (now, now + horizon] | what u did)  ~  share of the drawn futures that hold one

Events of other kinds on the way excite or calm the kind that is asked for, so the rate as it would be without them does
not do. A future is drawn by thinning as `forecast` draws it, and left as soon as it is decided: the kind has come, or
the next event lies behind the horizon. With m draws a risk has a standard error of at most 1 / (2 sqrt(m)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ethogram.errors import StepError
from ethogram.numeric.streams import States, Streams
from ethogram.risk.prompt_tpp.reading import window
from ethogram.risk.prompt_tpp.telling import FUTURES, REASONS, extended
from ethogram.verbs import Log, Table

if TYPE_CHECKING:
    from ethogram.risk.prompt_tpp.learning import Fitted

STEPS = 512
"""Events of a future, at most: of a process that explodes nothing more is asked."""


def ahead(fitted: Fitted, log: Log, risky: str, horizon: int, draws: int, seed: int = 0) -> Table:
    """See `PromptTPP.assess`; `horizon` in microseconds.

    Raises
    ------
    StepError
        No kind of that name.
    """
    names = [str(name) for name in fitted.marks.names().to_pylist()]
    if risky not in names:
        raise StepError(f"prompt_tpp: no kind '{risky}' to be warned of; there are: {', '.join(names)}.")
    kind = names.index(risky)
    found, done = window(log, fitted.marks, True)
    chance = chances(fitted.answers, found, kind, float(horizon), draws, seed)
    rate = fitted.answers.after(found, found.last(), np.zeros(len(found)))
    usual = max(float(rate[:, kind].mean()) if len(found) else 0.0, 1e-300)
    owner = found.owner[found.kind == kind]
    own = np.bincount(owner, minlength=len(found))
    by_user = {int(u): i for i, u in enumerate(done.users)}
    ids = log.vocabulary("user")
    rows: list[tuple[float | None, str, list[dict[str, object]], int]] = []
    for user in range(len(ids)):
        i = by_user.get(user, -1)
        if i < 0:
            rows.append((None, "no events", [], 0))
            continue
        times, events = float(rate[i, kind] / usual), int(found.lengths[i])
        reasons: list[dict[str, object]] = [
            {"what": f"rate of '{risky}' now, over the mean of the log's people", "value": times,
             "share": float(rate[i, kind] / max(rate[i].sum(), 1e-300))},
            {"what": f"'{risky}' so far", "value": float(own[i]), "share": float(own[i] / max(events, 1))},
        ]  # fmt: skip
        rows.append((float(chance[i]), f"'{risky}' comes at {times:.2g} times the mean rate now", reasons, events))
    return pa.table(
        {
            "user": ids.ids,
            "risk": pa.array([r[0] for r in rows], pa.float64()),
            "reason": pa.array([r[1] for r in rows], pa.string()),
            "reasons": pa.array([r[2] for r in rows], REASONS),
            "events": pa.array([r[3] for r in rows], pa.int64()),
        }
    )


def chances(process: object, found: Streams, kind: int, horizon: float, draws: int, seed: int) -> np.ndarray:
    """Share of each sequence's futures behind its end that hold the kind within `horizon`, float64[n]."""
    n = len(found)
    hit = np.zeros((n, draws))
    size = draws * (int(found.lengths.max(initial=0)) + 8)
    for part in np.array_split(np.arange(n), max(1, -(-n * size // FUTURES))):
        hit[part] = _futures(process, found.take(part), kind, horizon, draws, seed)
    return hit.mean(1)


def _futures(process: object, found: Streams, kind: int, horizon: float, draws: int, seed: int) -> np.ndarray:
    """Whether each drawn future holds the kind, float64[n, draws]."""
    ask = process.next  # type: ignore[attr-defined]
    until = np.repeat(found.end + horizon, draws)
    hit = np.zeros(len(until))
    if not len(until):
        return hit.reshape(0, draws)
    gap, came = (a.ravel() for a in ask(found, found.last(), draws, seed=seed))
    left = np.arange(len(until))
    clock, futures = np.repeat(found.end, draws), found.take(np.repeat(np.arange(len(found)), draws))
    for step in range(1, STEPS + 1):
        clock = clock + gap
        inside = clock <= until[left]
        hit[left[inside & (came == kind)]] = 1.0
        on = np.flatnonzero(inside & (came != kind))
        if not len(on):
            break
        left, clock = left[on], clock[on]
        futures = extended(futures.take(on), clock, came[on])
        states = States(np.arange(len(on)), futures.lengths, clock)
        gap, came = (a[:, 0] for a in ask(futures, states, 1, seed=seed + 7919 * step))
    return hit.reshape(-1, draws)

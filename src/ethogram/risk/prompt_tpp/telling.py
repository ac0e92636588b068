"""What a fitted process says: forecasts, how unlike the stream somebody is, which prompts were used."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ethogram.numeric.rescaling import kolmogorov
from ethogram.numeric.streams import States, Streams
from ethogram.risk.prompt_tpp.reading import asked_at, streams, window
from ethogram.verbs import Histories, Log, Table

if TYPE_CHECKING:
    from ethogram.risk.prompt_tpp.learning import Fitted

LOW, HIGH = 0.1, 0.9
FUTURES, MOST = 1 << 21, 24
"""Events of all futures of a block of questions that are drawn together; futures of a question, at most."""
MICROS = pa.timestamp("us", "UTC")
REASONS = pa.list_(pa.struct([("what", pa.string()), ("value", pa.float64()), ("share", pa.float64())]))
LATEST = float(2**62)
SOONER, LATER, KINDS = "events come sooner than expected", "events come later than expected", "kinds are unusual"
UNEVEN = "times between events are unusual"


def forecast(fitted: Fitted, histories: Histories, k: int, draws: int, seed: int) -> Table:
    """See `ethogram.verbs.Forecasts`."""
    found, dated = streams(histories, fitted.marks, fitted.unit)
    now = asked_at(histories, found, dated)
    n, process = len(histories), fitted.answers
    states = States(np.arange(n), found.lengths, now)
    at = np.full((n, k, 3), np.nan)  # mean, low, high
    kind, chance = np.full((n, k), -1), np.full((n, k), np.nan)
    if n:
        gap, drawn = process.next(found, states, draws, seed=seed)
        at[:, 0] = _summary(now[:, None] + gap)
        some = np.isfinite(at[:, 0, 0])
        share = process.after(found, states, np.where(some, at[:, 0, 0] - now, 0.0))
        share = share / share.sum(1, keepdims=True)
        kind[:, 0], chance[:, 0] = share.argmax(1), share.max(1)
        if k > 1:
            _further(fitted, found, now, gap, drawn, at, kind, chance, seed)
    known = histories.vocabularies["user"].decode(histories.users)
    clocked = dated & (np.isfinite(now) & ((histories.lengths > 0) | (now > 0)))
    when = np.where(clocked[:, None, None], at, np.nan).reshape(n * k, 3)
    kind = np.where(np.isfinite(chance), kind, -1).reshape(-1)
    names = fitted.marks.names()
    question = np.repeat(np.arange(n), k)
    return pa.table(
        {
            "question": pa.array(question, pa.int64()),
            "user": known.take(pa.array(question)),
            "step": pa.array(np.tile(np.arange(1, k + 1), n), pa.int64()),
            "time": _instants(when[:, 0]), "low": _instants(when[:, 1]), "high": _instants(when[:, 2]),
            "kind": names.take(pa.array(np.maximum(kind, 0), mask=kind < 0)),
            "probability": pa.array(chance.reshape(-1), mask=np.isnan(chance.reshape(-1))),
        }
    )  # fmt: skip


def _further(
    fitted: Fitted, found: Streams, now: np.ndarray, gap: np.ndarray, drawn: np.ndarray, at: np.ndarray,
    kind: np.ndarray, chance: np.ndarray, seed: int,
) -> None:  # fmt: skip
    """Steps behind the first: each draw is a future that goes on event by event."""
    gap, drawn = gap[:, :MOST], drawn[:, :MOST]
    process, draws = fitted.answers, gap.shape[1]
    each = np.maximum(1, FUTURES // (draws * (int(found.lengths.max(initial=0)) + at.shape[1])))
    for first in range(0, len(found), int(each)):
        rows = np.arange(first, min(first + int(each), len(found)))
        futures = found.take(np.repeat(rows, draws))
        clock, comes, own = np.repeat(now[rows], draws), gap[rows].ravel(), drawn[rows].ravel()
        for step in range(1, at.shape[1]):
            clock = clock + comes
            alive = np.isfinite(clock)
            futures = extended(futures, np.where(alive, clock, futures.end), np.where(alive, own, -1))
            states = States(np.arange(len(futures)), futures.lengths, np.where(alive, clock, futures.end))
            comes, own = (a[:, 0] for a in process.next(futures, states, 1, seed=seed + 7919 * step))
            comes, own = np.where(alive, comes, np.inf), np.where(alive, own, -1)
            # the first step had more draws: means of fewer may not fall behind it
            at[rows, step] = np.maximum(_summary((clock + comes).reshape(-1, draws)), at[rows, step - 1])
            votes = np.stack([(own == c).reshape(-1, draws).sum(1) for c in range(found.kinds)], 1)
            some = votes.sum(1) > 0
            kind[rows, step] = np.where(some, votes.argmax(1), -1)
            chance[rows, step] = np.where(some, votes.max(1) / np.maximum(votes.sum(1), 1), np.nan)


def extended(found: Streams, time: np.ndarray, kind: np.ndarray) -> Streams:
    """One more event at the end of each sequence."""
    ends = found.offsets[1:]
    return replace(
        found, time=np.insert(found.time, ends, time), kind=np.insert(found.kind, ends, kind),
        offsets=found.offsets + np.arange(len(found.offsets)), end=np.maximum(found.end, time),
    )  # fmt: skip


def _summary(when: np.ndarray) -> np.ndarray:
    """(mean, low, high) of each row's finite draws, NaN where fewer than half are finite."""
    when = np.where(np.isfinite(when), when, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows without any draw
        made = np.stack([np.nanmean(when, 1), *np.nanquantile(when, [LOW, HIGH], 1)], 1)
    # a heavy tail can carry the mean past nine tenths of the draws
    made[:, 1], made[:, 2] = np.fmin(made[:, 1], made[:, 0]), np.fmax(made[:, 2], made[:, 0])
    return np.where((np.isfinite(when).mean(1) >= 0.5)[:, None], made, np.nan)


def _instants(micros: np.ndarray) -> pa.Array:
    wrong = np.isnan(micros) | (np.abs(micros) > LATEST)
    return pa.array(np.where(wrong, 0, micros).round().astype(np.int64), MICROS, mask=wrong)


def assess(fitted: Fitted, log: Log, recent: int) -> Table:
    """See `PromptTPP.assess`."""
    found, done = window(log, fitted.marks, False)
    spent = fitted.answers.residuals(found) if len(found) else np.zeros(0)
    gaps = found.gaps
    rate = fitted.answers.intensities(found) if len(found.time) else np.ones((0, len(fitted.marks)))
    share = np.maximum(rate / np.maximum(rate.sum(1, keepdims=True), 1e-300), 1e-300)
    surprise = -np.log(share[np.arange(len(share)), np.maximum(found.kind, 0)])
    mean = -(share * np.log(share)).sum(1)
    spread = np.maximum((share * np.log(share) ** 2).sum(1) - mean**2, 0)
    rows = []
    bounds = np.searchsorted(gaps.owner, np.arange(len(found) + 1))
    for i in range(len(found)):
        own = np.arange(bounds[i], bounds[i + 1])
        own = own[gaps.event[own] >= 0][-recent:]
        at = gaps.event[own]
        rows.append(_judged(spent[own], surprise[at], mean[at], spread[at], found.kind[at] >= 0))
    return _assessed(log, done, rows)


def _judged(
    z: np.ndarray, surprise: np.ndarray, mean: np.ndarray, spread: np.ndarray, known: np.ndarray
) -> tuple[float, list[dict[str, object]], int]:
    """(risk, reasons, events) of one person."""
    from scipy.stats import gamma, norm

    n = len(z)
    if n < 2:
        return 0.0, [], n
    # the sum of n Exp(1) is Gamma(n): whether there are too many or too few; the distances: whether they are uneven
    total = float(z.sum())
    side = float(gamma.cdf(total, n))
    rhythm = 2 * min(side, 1 - side)
    uneven = kolmogorov(z)[1]
    gap = float(norm.sf((surprise - mean)[known].sum() / max(float(spread[known].sum()) ** 0.5, 1e-12)))
    kinds = gap if spread[known].sum() > 1e-9 else 1.0
    tests = [(SOONER if side < 0.5 else LATER, rhythm), (UNEVEN, uneven), (KINDS, kinds)]
    weight = np.array([-np.log(max(p, 1e-300)) for _, p in tests])
    total_weight = max(float(weight.sum()), 1e-300)
    told: list[dict[str, object]] = [
        {"what": what, "value": float(p), "share": float(w / total_weight)}
        for (what, p), w in zip(tests, weight, strict=True)
    ]
    told.sort(key=lambda r: float(r["value"]))  # type: ignore[arg-type]
    return float(np.clip(1 - len(tests) * min(p for _, p in tests), 0, 1)), told, n


def _assessed(log: Log, done: Histories, rows: list[tuple[float, list[dict[str, object]], int]]) -> Table:
    """A row for every user of the log; nothing is known of those without behaviour."""
    ids = log.vocabulary("user")
    by_user = {int(u): r for u, r in zip(done.users, rows, strict=True)}
    every: list[tuple[float, list[dict[str, object]], int]] = [by_user.get(u, (0.0, [], 0)) for u in range(len(ids))]
    return pa.table(
        {
            "user": ids.ids,
            "risk": pa.array([r[0] for r in every], pa.float64()),
            "reason": pa.array([str(r[1][0]["what"]) if r[1] else "too few events" for r in every], pa.string()),
            "reasons": pa.array([r[1] for r in every], REASONS),
            "events": pa.array([r[2] for r in every], pa.int64()),
        }
    )


def usage(fitted: Fitted, log: Log) -> Table:
    """See `PromptTPP.usage`."""
    found, done = window(log, fitted.marks, False)
    picked = getattr(fitted.process, "encode", lambda s: None)(found.scaled(fitted.unit))
    users = done.vocabularies["user"].decode(done.users)
    made = []
    for layer, one in enumerate(getattr(picked, "picked", ())):
        entries = one.entries.numpy().astype(np.float64)
        owner = np.repeat(np.arange(len(found)), found.lengths + 1)
        first = np.arange(len(owner)) == found.offsets[owner] + owner  # nothing is known yet
        total = np.zeros((len(found), entries.shape[1]))
        np.add.at(total, owner[~first], entries[~first])
        share = total / found.lengths[:, None]
        m, e = share.shape
        made.append(
            pa.table(
                {
                    "user": users.take(pa.array(np.repeat(np.arange(m), e))),
                    "layer": pa.array(np.full(m * e, layer), pa.int64()),
                    "entry": pa.array(np.tile(np.arange(e), m), pa.int64()),
                    "share": share.ravel(),
                }
            )
        )
    if made:
        return pa.concat_tables(made)
    empty = {"user": users[:0], "layer": pa.array([], pa.int64()), "entry": pa.array([], pa.int64())}
    return pa.table({**empty, "share": pa.array([], pa.float64())})


def predictions(fitted: Fitted, log: Log, draws: int, seed: int) -> Table:
    """See `PromptTPP.predictions`."""
    found, done = window(log, fitted.marks, fitted.silence)
    process, gaps, unit = fitted.answers, found.gaps, fitted.unit
    spent, rate = process.residuals(found), process.intensities(found)
    ends = np.flatnonzero(gaps.event >= 0)
    wait = process.next(found, gaps.states.take(ends), draws, seed=seed)[0]
    longest = np.nanmax(np.where(np.isfinite(wait), wait, np.nan), initial=0.0)
    mean = np.where(np.isfinite(wait), wait, longest).mean(1)
    share = process.after(found, gaps.states.take(ends), mean)
    # events of one instant share what was expected of their gap
    judged = np.flatnonzero(found.judged)
    key = {(int(o), int(k)): i for i, (o, k) in enumerate(zip(gaps.owner[ends], gaps.known[ends], strict=True))}
    at = np.array([key[int(o), int(k)] for o, k in zip(found.owner[judged], found.before[judged], strict=True)], int)
    first = gaps.event[ends][at] == judged
    own = np.maximum(rate[judged, np.maximum(found.kind[judged], 0)] * unit, 1e-300)
    tail = np.zeros(len(judged))
    closing = np.flatnonzero(gaps.event < 0)
    last = np.full(len(found), -1)
    last[found.owner[judged]] = np.arange(len(judged))
    some = last[gaps.owner[closing]] >= 0
    tail[last[gaps.owner[closing]][some]] = spent[closing][some]
    names = fitted.marks.names()
    return pa.table(
        {
            "user": done.vocabularies["user"].decode(done.users).take(pa.array(found.owner[judged])),
            "time": _instants(found.time[judged]),
            "kind": names.take(pa.array(np.maximum(found.kind[judged], 0))),
            "gap": (gaps.stop - gaps.start)[ends][at] / unit,
            "predicted_gap": mean[at] / unit,
            "predicted_kind": names.take(pa.array(share.argmax(1)[at])),
            "loglikelihood": np.log(own) - np.where(first, spent[ends][at], 0.0),
            "tail": tail,
        }
    )

"""What the published sample allows: it is read whole, and holds 27 returns with names and times, but without edits."""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.claims import Estimate, NotMeasurable
from ethogram.claims.risk.returning import FIRST, kept, learned, made
from ethogram.errors import MissingData

DAY = 86_400.0


def _sample() -> Any:
    from ethogram.data.ban_evasion import BanEvasion

    real = BanEvasion()
    try:
        return real, real.read()
    except MissingData as error:
        raise NotMeasurable(str(error)) from None


def _log(told: Any) -> Any:
    from ethogram.log import Log

    return Log.open(told.events, users=told.users, **told.roles)


def read(bench: Any) -> dict[str, float]:
    return dict(kept(bench, "read", lambda: _read(bench)))


def _read(bench: Any) -> dict[str, float]:
    from ethogram.risk.ban_evasion import Accounts, Tasks

    real, told = _sample()
    tasks = Tasks(Accounts.of(_log(told)))
    fine = ("revision of no account whose contributions are here", "the account has no contributions")
    wrong = [r for r in real.aside()["reason"].to_pylist() if r not in fine]
    seen = tasks.reported(tasks.n)
    return {
        "edits": 572.0 - len(tasks.accounts.time), "pairs": 45.0 - len(real.pairs()),
        "revisions": 40.0 - len(real.revisions()), "wrong": float(len(wrong)),
        "lost": float(len(tasks.n) - int(np.isfinite(seen.numbers).any(1).sum())),
    }  # fmt: skip


def returns(bench: Any) -> dict[str, Estimate]:
    return dict(kept(bench, "returns", lambda: _returns(bench)))


def _returns(bench: Any) -> dict[str, Estimate]:
    """Names of true pairs beside names of exchanged ones, and the rank of the true parent among all that were banned
    before, by a system that has learned from made-up accounts only. Intervals draw returns."""
    from ethogram.evaluate.bootstrap import mean
    from ethogram.risk.ban_evasion import Accounts
    from ethogram.text.usernames import grams, jaccard, levenshtein

    log = _log(_sample()[1])
    a = Accounts.of(log)
    child = np.flatnonzero(a.parent >= 0)
    old, new = ([a.names[i] for i in rows] for rows in (a.parent[child], child))
    n, units = len(child), np.arange(len(child))
    draws = 50 if bench.quick else 2_000

    def above(like: np.ndarray) -> Estimate:
        """Share of exchanged pairs of the parent or of the child that are less alike than the true one, -0.5."""
        true = np.diag(like)
        beats = [(true[:, None] > m) + 0.5 * (true[:, None] == m) for m in (like, like.T)]
        wins = (sum(b.sum(1) for b in beats) - 1.0) / (2 * (n - 1))  # each true pair meets itself twice
        return Estimate(*mean(wins - 0.5, units=units, resamples=draws), units=n, unit="returns")

    held = [grams([name])[0] for name in old]
    ranked: dict[str, list[str]] = {}
    for row in learned(bench).parents(log, len(a)).to_pylist():
        ranked.setdefault(row["user"], []).append(row["parent"])
    before = [int((a.blocked < a.created[c]).sum()) for c in child]
    by_chance = np.array([(1 / np.arange(1, b + 1)).mean() for b in before])
    found = np.array([1 / (1 + ranked[c].index(p)) for c, p in zip(new, old, strict=True)])
    lag = (a.created[child] - a.blocked[a.parent[child]]) / DAY
    mine = Accounts.of(made(bench, FIRST))
    there = mine.parent >= 0
    usual = (mine.created[there] - mine.blocked[mine.parent[there]]) / DAY
    drawn = lag[np.random.default_rng(0).integers(0, n, (draws, n))]
    ratio = np.log(np.median(np.vstack([lag, drawn]), 1) / np.median(usual))
    low, high = np.quantile(ratio[1:], [0.05, 0.95])
    return {
        "letters": above(np.array([levenshtein([name] * n, new) for name in old])),
        "grams": above(np.array([jaccard([g] * n, grams(new)) for g in held])),
        "rank": Estimate(*mean(found - by_chance, units=units, resamples=draws), units=n, unit="returns"),
        "lag": Estimate(float(ratio[0]), float(low), float(high), 0.90, n, "returns"),
        "late": Estimate(
            *mean((lag > 60) - (usual > 60).mean(), units=units, resamples=draws), units=n, unit="returns"
        ),
    }

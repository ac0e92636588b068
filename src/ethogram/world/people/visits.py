"""When a household goes shopping: a daily hazard with a frailty.

    P(trip on day t | last trip g days ago) = 1 - exp(-rate_h * gap_g * weekday_w)

`gap` and `weekday` are shared, with mean 1 over the days at risk; the rate of household h has a Gamma prior of strength
a (pseudo-trips) around the mean rate r, and days count the less the longer ago they are:

    sum_t w_t y_t + a = sum_t w_t P(trip on t) + a rate_h / r          w_t = 2^(-age / half_life)

All are solved by matching margins, in turn. Strength and half-life are those under which the last days of the fit's own
window were most probable. (Habits of each household for weekdays were tried, and did not predict later weeks better.)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ethogram.world.people.purchases import DAY, Purchases

LONGEST = 28
"""Gaps above are one."""
HALF_LIVES = (14.0, 28.0, 56.0, 112.0, float("inf"))
STRENGTHS = (0.2, 0.5, 2.0, 8.0)
HELD = 28
_LEAST = 1e-9


@dataclass
class Visits:
    """Fitted hazards.

    Attributes
    ----------
    rate : float64[U]. gap : float64[LONGEST + 1], by days since the last trip (0 unused). weekday : float64[7], by
        ``(days since 1970) % 7``. last : int64[U], day of the last trip known.
    """

    rate: np.ndarray
    gap: np.ndarray
    weekday: np.ndarray
    last: np.ndarray
    start: int
    chosen: dict[str, float] = field(default_factory=dict)

    @classmethod
    def fit(cls, past: Purchases, half_life: float | None = None, strength: float | None = None) -> Visits:
        """Fit on all days of `past`; half-life (days) and strength (trips) are chosen on its last days if not given."""
        held = min(HELD, past.days // 4)
        y, gap, risk, weekday = _table(past)
        before = risk.copy()
        before[:, past.days - held :] = False
        shared = _solve(y, gap, before, weekday, past.days - held, float("inf"), 2.0)
        after = risk & ~before

        def worth(rate: np.ndarray) -> float:
            p = _chance(rate[:, None] * shared[1][gap] * shared[2][weekday])
            return float(np.log(np.where(y, p, 1 - p))[after].mean())

        if half_life is None or strength is None:
            lives, strengths = [half_life] if half_life else HALF_LIVES, [strength] if strength else STRENGTHS
            grid = [(h, s) for h in lives for s in strengths]
            scored = [worth(_solve(y, gap, before, weekday, past.days - held, h, s, shared)[0]) for h, s in grid]
            half_life, strength = grid[int(np.argmax(scored))]
        rate, a, b = _solve(y, gap, risk, weekday, past.days, half_life, strength, shared)
        last = np.where(y.any(1), past.days - 1 - np.argmax(y[:, ::-1], 1), -LONGEST)
        return cls(rate, a, b, last, past.start, {"half_life": half_life, "strength": strength})

    def chance(self, who: np.ndarray, last: np.ndarray, day: int) -> np.ndarray:
        """Probability of a trip on a day, float64[n], for households `who` whose last trip was on day `last`."""
        since = np.clip(day - last, 1, LONGEST)
        weekday = (self.start // DAY + day) % 7
        return _chance(self.rate[who] * self.gap[since] * self.weekday[weekday])


def _table(past: Purchases) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(trip bool, gap int8, at risk bool), each [U, days], and the weekday of each day; at risk from the first trip."""
    y = np.zeros((past.households, past.days), bool)
    user, day, _ = past.trips
    y[user, day] = True
    before = np.where(y, np.arange(past.days), -1)[:, :-1]
    last = np.concatenate([np.full((past.households, 1), -1), np.maximum.accumulate(before, 1)], 1)
    gap = np.clip(np.arange(past.days) - last, 1, LONGEST).astype(np.int8)
    weekday = (past.start // DAY + np.arange(past.days)) % 7
    return y, gap, last >= 0, weekday


def _chance(hazard: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(-np.expm1(-hazard), _LEAST, 1 - _LEAST))


def _solve(
    y: np.ndarray, gap: np.ndarray, risk: np.ndarray, weekday: np.ndarray, now: int, half_life: float, strength: float,
    shared: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None, rounds: int = 25,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Rates and, where not given, shared factors."""
    days = y.shape[1]
    weight = np.exp2(-(now - 1 - np.arange(days)) / half_life) if np.isfinite(half_life) else np.ones(days)
    weight = np.where(np.arange(days) < now, weight, 0.0)
    seen = risk * weight
    trips = (y * seen).sum(1)
    mean = max(trips.sum() / max(seen.sum(), _LEAST), _LEAST)
    rate = (trips + strength) / (seen.sum(1) + strength / mean) if shared is None else shared[0].copy()
    a, b = (np.ones(LONGEST + 1), np.ones(7)) if shared is None else (shared[1], shared[2])
    day_of = np.broadcast_to(weekday, y.shape)[risk]
    for _ in range(rounds if shared is None else 8):
        p = _chance(rate[:, None] * a[gap] * b[weekday][None])
        centre = max(float((rate * seen.sum(1)).sum() / max(seen.sum(), _LEAST)), _LEAST)
        rate *= (trips + strength) / ((p * seen).sum(1) + strength * rate / centre)
        if shared is not None:
            continue
        for factor, where in ((a, gap[risk]), (b, day_of)):
            p = _chance(rate[:, None] * a[gap] * b[weekday][None])[risk]
            n = len(factor)
            met = np.bincount(where, minlength=n)
            # a gap that hardly occurs keeps near 1
            factor *= (np.bincount(where, y[risk], n) + 5) / (np.bincount(where, p, n) + 5)
            factor /= max((factor * met).sum() / max(met.sum(), 1), _LEAST)
    return rate, a, b

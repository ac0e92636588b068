"""Does a simulator of people predict the weeks that it has not seen, and better than doing the same again?

Everything is fitted on the days before the held-out ones. Three things are judged, each by a proper score (lower is
better), on the same households, with differences paired over households:

choice      log loss of every item taken, nats, one day ahead: each contestant knows what the household took until
            yesterday, and its parameters are those of the cut. Contestants: the fitted households; resampling (the
            household's own past, unweighted, with a share of popular and of any items, without which the first new
            item would cost infinity); personal frequency (the same with a half-life). Shares and half-life are
            fitted on the days before the cut.
totals      CRPS of each household's items and spending a week, and of its items by group, new and repeated, over
            the whole period, from runs that see nothing of it. Resampling draws the household's own past weeks;
            from how many of the last is chosen on the weeks before the cut.
share       of repeated items among all, against the truth.

    CRPS = mean_m |x_m - y| - sum_mn |x_m - x_n| / (2 M (M - 1))

T. Gneiting, A. Raftery: Strictly Proper Scoring Rules, Prediction, and Estimation. JASA 2007.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ethogram.errors import OptionError
from ethogram.evaluate import bootstrap as boot
from ethogram.log import Log
from ethogram.world.people.components import Component, Own, Popular, popularity
from ethogram.world.people.households import Households
from ethogram.world.people.past import HALF_LIVES, Past, Record
from ethogram.world.people.purchases import Purchases
from ethogram.world.people.resampling import WINDOWS, Weeks, resampled, weekly
from ethogram.world.people.tastes import WINDOW, ahead, weights

FITTED, AGAIN, FREQUENT = "fitted households", "resampling", "personal frequency"


@dataclass
class Validation:
    """What was found.

    Attributes
    ----------
    rows : a mapping each: `what`, `score`, and for each contestant its mean score; `difference` (fitted minus
        resampling) with `low`, `high`, `p`; `verdict`: "better", "worse" or "undecided".
    facts : the truth and what the contestants say of totals, and what was chosen.
    """

    rows: list[dict[str, Any]]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def losses(self) -> list[str]:
        """Where resampling is better."""
        return [str(r["what"]) for r in self.rows if r["verdict"] == "worse"]


def validate(
    log: Log | Purchases, *, days: int = 56, copies: int = 20, levels: Sequence[str] = (), kind: str | None = None,
    neighbours: int = 50, seed: int = 0, fitted: Households | None = None,
) -> Validation:  # fmt: skip
    """Hold the last `days` out and compare.

    Parameters
    ----------
    copies : simulated runs that a forecast is read from. fitted : households fitted on what comes before, if there are.

    Raises
    ------
    OptionError
        Too few days, not whole weeks, or households fitted on other days.
    """
    told = log if isinstance(log, Purchases) else Purchases.of(log, levels, kind)
    told = told.between(0, told.days // 7 * 7)
    cut = told.days - days
    if days < 7 or days % 7 or cut < 2 * WINDOW or copies < 2:
        raise OptionError(
            f"validate: days = {days} of {told.days} and copies = {copies}; give whole weeks that leave {2 * WINDOW} "
            "days to fit on, and 2 copies or more."
        )
    past, held = told.between(0, cut), told.between(cut, told.days)
    if fitted is not None and fitted.now != cut:
        raise OptionError(f"validate: the households were fitted on {fitted.now} days, and {cut} come before the test.")
    people = fitted or Households.fit(past, neighbours=neighbours, seed=seed)
    rows, facts = _choices(people, past, held, seed)
    more, totals = _totals(people, past, held, days // 7, copies, seed)
    return Validation([*rows, *more], {**facts, **totals, "households": told.households, "held-out days": days})


def _choices(people: Households, past: Purchases, held: Purchases, seed: int) -> tuple[list[dict[str, Any]], dict]:
    """Log loss of the items taken."""
    cut = past.days
    window = min(WINDOW, cut // 3)
    old, recent = past.between(0, cut - window), past.between(cut - window, cut)
    then = Record(old)
    half_lives = {AGAIN: [float("inf")], FREQUENT: [h for h in HALF_LIVES if np.isfinite(h)]}
    trip = np.unique(recent.user * (cut + 1) + recent.day, return_inverse=True)[1]
    losses: dict[str, np.ndarray] = {}
    chosen: dict[str, Any] = {}
    tastes = people.tastes
    chance = ahead(tastes.parts, tastes.past(np.arange(past.households)), held.user, held.item, held.day)
    losses[FITTED] = -np.log((chance * tastes.weight[held.user]).sum(1))
    for name, lives in half_lives.items():
        best: tuple[float, int, np.ndarray] | None = None
        for own, own_parts in enumerate(_floors(old, lives)):
            seen = ahead(own_parts, Past(then, np.arange(past.households)), recent.user, recent.item, recent.day)
            shares = weights(seen, trip)
            value = float(np.log((seen * shares).sum(1)).mean())
            if best is None or value > best[0]:
                best = value, own, shares
        assert best is not None
        now = _floors(past, lives)[best[1]]
        seen = ahead(now, Past(tastes.record, np.arange(past.households)), held.user, held.item, held.day)
        losses[name] = -np.log((seen * best[2]).sum(1))
        chosen[name] = {c.name: round(float(w), 4) for c, w in zip(now, best[2], strict=True)}
    row = _row("items taken", "log loss, nats", losses, held.user, seed)
    gap = boot.mean_difference(losses[FITTED], losses[FREQUENT], units=held.user, seed=seed)
    row["against frequency"] = {"difference": gap.value, "low": gap.low, "high": gap.high}
    return [row], {"shares": chosen, "weights": dict(
        zip([c.name for c in tastes.parts], np.round(tastes.shared, 4).tolist(), strict=True)
    )}  # fmt: skip


def _floors(past: Purchases, half_lives: Sequence[float]) -> list[list[Component]]:
    """Own past of a half-life, popular and any items: one list of parts for each half-life."""
    recent, ever = popularity(past)
    rest = [Popular("popular ever", ever), Popular("any item", np.ones(past.catalogue))]
    lately = [Popular("popular lately", recent), rest[1]]
    return [[Own(HALF_LIVES.index(h)), *(lately if np.isfinite(h) else rest)] for h in half_lives]


def _totals(
    people: Households, past: Purchases, held: Purchases, weeks: int, copies: int, seed: int
) -> tuple[list[dict[str, Any]], dict]:
    """CRPS of totals, and the share of repeats."""
    u, cut = past.households, past.days
    truth = weekly(held, u, cut, weeks, _new(past, held))
    run, again = people.run(7 * weeks, seed=seed, copies=copies)
    made = weekly(run, u * copies, cut, weeks, ~again, copies)
    window = _window(past, weeks, copies, seed)
    floor = resampled(past, weeks, window, copies, seed)
    everyone = np.arange(u)
    rows = []
    sums: dict[str, Callable[[Weeks], np.ndarray]] = {
        "items a week": lambda w: w.items, "spending a week": lambda w: w.value,
        "items by group": lambda w: w.group.sum(-2),
        "repeated items": lambda w: (w.items - w.fresh).sum(-1, keepdims=True),
        "new items": lambda w: w.fresh.sum(-1, keepdims=True),
    }  # fmt: skip
    for what, read in sums.items():
        scores = {name: crps(read(w), read(truth)).mean(-1) for name, w in ((FITTED, made), (AGAIN, floor))}
        rows.append(_row(what, "CRPS", scores, everyone, seed))
    told: dict[str, Any] = {"weeks resampled": min(window, past.days // 7)}
    for name, w in (("truth", truth), (FITTED, made), (AGAIN, floor)):
        n = w.items.sum((-2, -1))
        told[name] = {
            "items": float(np.mean(n)), "spending": float(np.mean(w.value.sum((-2, -1)))),
            "repeat share": float(np.mean(1 - w.fresh.sum((-2, -1)) / np.maximum(n, 1))),
        }  # fmt: skip
        if name != "truth":
            told[name] |= {f"{k} of runs": [float(v) for v in np.quantile(x, [0.025, 0.975])] for k, x in {
                "items": n, "repeat share": 1 - w.fresh.sum((-2, -1)) / np.maximum(n, 1)}.items()}  # fmt: skip
        told[name]["by week"] = (w.items.sum(-2).mean(0) if w.items.ndim == 3 else w.items.sum(-2)).tolist()
    return rows, {"totals": told}


def _new(past: Purchases, held: Purchases) -> np.ndarray:
    """Whether each purchase was the household's first of its item; on its first day."""
    key, before = held.user * held.catalogue + held.item, past.user * past.catalogue + past.item
    order = np.lexsort((held.day, key))
    first = np.zeros(len(held), bool)
    first[order] = np.r_[True, np.diff(key[order]) != 0][: len(held)]
    return first & ~np.isin(key, before)


def _window(past: Purchases, weeks: int, copies: int, seed: int) -> int:
    """From how many of the last weeks to resample: what would have been best before the cut."""
    cut = past.days - 7 * weeks
    old, recent = past.between(0, cut), past.between(cut, past.days)
    truth = weekly(recent, past.households, cut, weeks, np.zeros(len(recent), bool))
    scored = [crps(resampled(old, weeks, w, copies, seed).items, truth.items).mean() for w in WINDOWS]
    return WINDOWS[int(np.argmin(scored))]


def crps(runs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of forecasts [M, ...] of values [...]; without bias in M.

    >>> crps(np.array([[0.0], [2.0]]), np.array([1.0])).tolist()
    [0.0]
    """
    m = len(runs)
    error = np.abs(runs - truth).mean(0)
    order = np.sort(runs, axis=0)
    rank = (2 * np.arange(1, m + 1) - m - 1).reshape(-1, *[1] * (runs.ndim - 1))
    return np.asarray(error - (order * rank).sum(0) / (m * (m - 1)))


def _row(what: str, score: str, values: Mapping[str, np.ndarray], units: np.ndarray, seed: int) -> dict[str, Any]:
    gap = boot.mean_difference(values[FITTED], values[AGAIN], units=units, seed=seed)
    verdict = "better" if gap.high < 0 else "worse" if gap.low > 0 else "undecided"
    means = {name: float(v.mean()) for name, v in values.items()}
    ends = {"difference": gap.value, "low": gap.low, "high": gap.high, "p": gap.p}
    return {"what": what, "score": score, **means, **ends, "verdict": verdict}

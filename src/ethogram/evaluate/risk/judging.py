"""A system's risks on a test window, with a threshold that a validation window chose: everything in one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.evaluate import bootstrap, calibration, classification
from ethogram.evaluate.bootstrap import Interval
from ethogram.evaluate.risk import costs as costing
from ethogram.evaluate.risk.approval import Approval, applied, threshold_at, trade_off
from ethogram.evaluate.risk.cases import Cases
from ethogram.evaluate.risk.censoring import Weights
from ethogram.evaluate.risk.groups import group_errors
from ethogram.evaluate.risk.shift import BANDS, drift
from ethogram.evaluate.risk.top import SHARES, at_top, recall_at_approval

RESAMPLES = 400
LOSS, MARGIN = 1.0, 0.1
"""What a false approval and a false decline cost, as shares of the money of the case."""


@dataclass(frozen=True)
class Judgement:
    """What `judge` found; where no outcome of the test window is known, only rates and drift are there.

    Attributes
    ----------
    wanted : approval rate. threshold : of the validation window. valid, test : what it does on each.
    metrics : auc, pr_auc, ks, brier, ece, recall at the approval rate, weighted for censoring where that is possible.
    plain : the same, where unknown outcomes are only left out. weights : None where none are needed, or possible.
    costs : per threshold, on the test window; chosen_cost : of the threshold. drift : the score first.
    """

    wanted: float
    threshold: float
    valid: Approval
    test: Approval
    drift: pa.Table
    metrics: dict[str, Interval]
    plain: dict[str, float]
    weights: Weights | None = None
    top: pa.Table | None = None
    reliability: pa.Table | None = None
    trade_off: pa.Table | None = None
    costs: pa.Table | None = None
    cheapest: costing.Cheapest | None = None
    chosen_cost: float = float("nan")
    curve: pa.Table | None = None
    groups: pa.Table | None = None
    notes: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """What must not be overlooked: risks that moved, groups that differ or are too small to say."""
        said = [] if self.groups is None else [w for ws in self.groups["warnings"].to_pylist() for w in ws]
        risk = self.drift.to_pylist()[0]
        if risk["band"] in [name for _, name in BANDS[1:]]:
            moved = f"the risks moved since the validation window (PSI {risk['psi']:.2f}, {risk['band']})"
            said.insert(0, f"{moved}: the threshold may no longer approve what it did.")
        return said


def judge(
    valid: Cases, test: Cases, *, approve: float = 0.9, top: Sequence[float] = SHARES, loss: float = LOSS,
    margin: float = MARGIN, resamples: int = RESAMPLES, seed: int = 0,
) -> Judgement:  # fmt: skip
    """Judge the risks of a window.

    Parameters
    ----------
    valid : chooses the threshold, and is the reference of drift. test : is judged.
    approve : wanted approval rate. top : shares for the recall at the top.
    loss, margin : what a false approval, and a false decline, cost of each unit of the case's money.

    Raises
    ------
    OptionError
        A window is empty; a rate, share or cost is outside what is allowed.
    """
    for name, window in (("validation", valid), ("test", test)):
        if not len(window):
            raise OptionError(f"the {name} window holds no case.")
    t = threshold_at(valid.risk, approve)
    features = {n: c for n, c in valid.features.items() if n in test.features}
    moved = drift({"risk": valid.risk, **features}, {"risk": test.risk, **{n: test.features[n] for n in features}})
    moved = moved.take(pa.array(sorted(range(len(moved)), key=lambda i: moved["feature"][i].as_py() != "risk")))
    ends = [int(c.known[~np.isnan(c.label)].max()) for c in (valid, test) if c.known is not None and c.labelled]
    held, weights = valid.weights(max(ends, default=None)), test.weights(max(ends, default=None))
    known = ~np.isnan(test.label)
    w = np.ones(len(test)) if weights is None else weights.weight
    groups = None if test.group is None else group_errors(test.group, test.risk, test.label, t, w)
    before = applied(valid.risk, valid.label, t, None if held is None else held.weight)
    now = applied(test.risk, test.label, t, None if weights is None else weights.weight)
    notes = _notes(test, weights)
    if len(np.unique(test.label[known])) < 2:
        return Judgement(approve, t, before, now, moved, {}, {}, weights, groups=groups, notes=notes)
    y, s, w = test.label[known], test.risk[known], w[known]
    units, _ = bootstrap.places(test.users.take(pa.array(np.flatnonzero(known))).to_numpy(zero_copy_only=False))
    money = test.money[known]
    spent = costing.expected_cost(y, s, loss * money, margin * money, w)
    return Judgement(
        approve, t, before, now, moved, metrics=_metrics(y, s, w, units, approve, resamples, seed),
        plain={n: f(y, s, None) for n, f in _METRICS.items()} | {"recall": recall_at_approval(y, s, approve)},
        weights=weights, top=at_top(y, s, top, w), reliability=calibration.reliability(y, s, w, bins=10),
        trade_off=trade_off(y, s, w), costs=spent, cheapest=costing.cheapest(spent),
        chosen_cost=costing.cost_at(spent, t), curve=costing.cost_curve(y, s, w), groups=groups, notes=notes,
    )  # fmt: skip


_METRICS = {
    "auc": classification.auc,
    "pr_auc": classification.pr_auc,
    "ks": classification.ks,
    "brier": classification.brier,
    "ece": classification.ece,
}


def _metrics(
    y: np.ndarray, s: np.ndarray, w: np.ndarray, units: np.ndarray, approve: float, resamples: int, seed: int
) -> dict[str, Interval]:
    """Values with intervals from resampling users; resampling pushes ks up (its interval may lie above its value) and
    ece, which has none."""
    area, precision = bootstrap.curve_draws(y, s, units, w, resamples, seed)
    order = np.argsort(s, kind="stable")
    last = np.flatnonzero(np.r_[s[order][1:] != s[order][:-1], True])
    gaps, caught, losses = np.empty(resamples), np.empty(resamples), calibration.brier_losses(y, s)
    for rows, counts in bootstrap.resample(int(units.max()) + 1, resamples, seed):
        for b, drawn in zip(range(rows.start, rows.stop), counts.T, strict=True):
            weight = w * drawn[units]
            bad, good = (np.cumsum((weight * part)[order]) for part in (y, 1 - y))
            with np.errstate(invalid="ignore", divide="ignore"):
                gaps[b] = np.abs(bad[last] / bad[-1] - good[last] / good[-1]).max()
            both = (bad + good)[last]
            k = approve * both[-1]
            caught[b] = 1 - np.interp(k, np.r_[0.0, both], np.r_[0.0, bad[last]]) / bad[-1] if bad[-1] else np.nan
    over, under = bootstrap.by_unit(losses, units, w)
    draws = {
        "auc": area,
        "pr_auc": precision,
        "ks": gaps,
        "brier": bootstrap.ratio_draws(over, under, resamples, seed)[:, 0],
    }
    made = {n: bootstrap.interval(f(y, s, w), draws.get(n, np.zeros(0))) for n, f in _METRICS.items()}
    return made | {"recall": bootstrap.interval(recall_at_approval(y, s, approve, w), caught)}


def _notes(test: Cases, weights: Weights | None) -> tuple[str, ...]:
    """What a reader must know to believe the figures."""
    if test.outcome is None:
        return ("No outcome is known of any case: only rates and drift can be told.",)
    label = test.label[~np.isnan(test.label)]
    unknown = len(test) - len(label)
    if not len(label):
        return ("No outcome is known yet: only rates and drift can be told.",)
    if (label == label[0]).all():
        early = " (bad ones become known first)" if unknown and label[0] else ""
        return (
            f"All {len(label):,} known outcomes of the {len(test):,} cases are {'bad' if label[0] else 'good'}{early}: "
            "no error rate of this window means anything yet.",
        )
    if not unknown:
        return ()
    counted = f"{unknown:,} of {len(test):,} cases have no outcome yet. They are left out of every error rate"
    if weights is None:
        return (
            f"{counted}; nothing tells how long they were observed (columns `decided` and `known`), so what is bad "
            "early may weigh too much.",
        )
    return (
        f"{counted}, and the {weights.known:,} known ones are weighted for them (as good as {weights.effective:,.0f} "
        "cases of equal weight), as if how long a case was observed had nothing to do with its outcome.",
    )

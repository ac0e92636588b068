"""What would another policy have earned? Answers from a log of decisions, each with the probability that it was made.

With reward r_i of a decision, its probability p_i under the policy that logged it, pi_i under the target, and a model
q of rewards, where q_i is that of what was chosen and V_i = sum_a pi(a | x_i) q(x_i, a) that of what the target would:

    w_i   = pi_i / p_i                                  clipped: min(w_i, clip)
    IPS   = 1/n sum_i w_i r_i                           unbiased where p is true and covers pi
    SNIPS = sum_i w_i r_i / sum_i w_i                   inside the range of rewards; its bias goes with 1/n
    DM    = 1/n sum_i V_i                               as good as the model
    DR    = 1/n sum_i [V_i + w_i (r_i - q_i)]           right if the propensities are, or if the model is

Clipping trades variance for a bias towards 0 (IPS) or towards the model (DR). The interval of DM holds the model for
given: it does not tell how wrong that is. Several rows of one decision (a slate) are each a choice at its position,
the reward is that of a row, and decisions are resampled whole. All estimators, and the logged policy's own mean, are
drawn on the same resamples, so `gain` is paired.

D. Horvitz, D. Thompson: A Generalization of Sampling Without Replacement from a Finite Universe. JASA 1952.
A. Swaminathan, T. Joachims: The Self-Normalized Estimator for Counterfactual Learning. NIPS 2015.
M. Dudik, J. Langford, L. Li: Doubly Robust Policy Evaluation and Learning. ICML 2011.
L. Kish: Survey Sampling. 1965 (effective sample size).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethogram.errors import NoSupport, OptionError
from ethogram.evaluate.bootstrap import LEVEL, RESAMPLES, Difference, Interval, difference, interval, places, sums

FEW = 50.0
"""Effective sample size below which an interval of resamples says little."""


@dataclass(frozen=True)
class Overlap:
    """How much of the target policy the log shows.

    Attributes
    ----------
    rows, decisions : in the log. effective : (sum w)^2 / sum w^2, the rows that would tell as much if all weighed
        alike.
    mean_weight : 1 where propensities are true and cover the target, with its interval. largest : weight of a row.
    above : share of the rows whose weight is clipped. unseen : probability that the target gives, on average over the
        rows, to items that the log never shows at that position; None where only logged choices are known.
    """

    rows: int
    decisions: int
    effective: float
    mean_weight: Interval
    largest: float
    above: float
    unseen: float | None = None

    def warnings(self) -> list[str]:
        """What a reader must know."""
        found = []
        if self.effective < FEW:
            found.append(f"{self.effective:.0f} effective rows of {self.rows:,}: too few to trust an interval.")
        if not self.mean_weight.low <= 1 <= self.mean_weight.high:
            mean, low, high = self.mean_weight
            found.append(
                f"weights average {mean:.3g} [{low:.3g}, {high:.3g}] and should 1: propensities are wrong, or the log "
                "does not show all that the target does."
            )
        if self.unseen:
            found.append(f"{self.unseen:.1%} of what the target does is never shown by the log at that position.")
        return found


@dataclass(frozen=True)
class OffPolicy:
    """Values of a target policy.

    Attributes
    ----------
    logged : mean reward of the log itself. values : estimator -> value with interval. gains : estimator -> difference
        from `logged`, paired, with p-value.
    """

    logged: Interval
    values: Mapping[str, Interval]
    gains: Mapping[str, Difference]
    overlap: Overlap


def policy_value(
    reward: Any, propensity: Any, target: Any, *, units: Any = None, chosen: Any = None, expected: Any = None,
    clip: float | None = None, unseen: float | None = None, resamples: int = RESAMPLES, seed: int = 0,
    level: float = LEVEL,
) -> OffPolicy:  # fmt: skip
    """Estimate the mean reward of a target policy.

    Parameters
    ----------
    reward : float[N]. propensity : float[N] in (0, 1], of what was chosen under the policy that logged it.
    target : float[N] in [0, 1], of the same choice under the target policy.
    units : ids [N] of the decisions, which are resampled whole; each row alone unless given.
    chosen, expected : float[N], q of what was chosen and V; with both, DM and DR are estimated as well. A model that
        learned from these rows must be asked about rows that it did not see (`ethogram.evaluate.logged` does).
    clip : largest weight of the clipped estimators; None leaves them out.

    Raises
    ------
    OptionError
        Shapes differ, or a number is not what it must be; the message names the first row.
    NoSupport
        No logged choice is one that the target makes.

    Examples
    --------
    >>> found = policy_value([1, 0, 1, 0], [0.5, 0.5, 0.5, 0.5], [1, 1, 0, 0])
    >>> round(found.values["ips"].value, 3), found.overlap.effective
    (0.5, 2.0)
    """
    r, p, t = (np.asarray(x, np.float64).reshape(-1) for x in (reward, propensity, target))
    model = None if chosen is None or expected is None else tuple(np.asarray(x, np.float64) for x in (chosen, expected))
    _check(r, p, t, model, clip)
    unit, ids = places(np.arange(len(r)) if units is None else units)
    w = t / p
    if not w.any():
        raise NoSupport("off-policy: the target makes none of the logged choices; this log says nothing about it.")
    columns = {"rows": np.ones(len(r)), "reward": r}
    ratios: dict[str, tuple[str, str]] = {}
    shapes = {"": w} if clip is None else {"": w, " clipped": np.minimum(w, clip)}
    for name, weight in shapes.items():
        columns |= {f"w{name}": weight, f"wr{name}": weight * r}
        ratios |= {f"ips{name}": (f"wr{name}", "rows"), f"snips{name}": (f"wr{name}", f"w{name}")}
    if model is not None:
        q, v = model
        columns["v"] = v
        ratios["dm"] = ("v", "rows")
        for name, weight in shapes.items():
            columns[f"dr{name}"] = v + weight * (r - q)
            ratios[f"dr{name}"] = (f"dr{name}", "rows")
    by_unit = np.stack([np.bincount(unit, x, len(ids)) for x in columns.values()], 1)
    drawn = dict(zip(columns, sums(by_unit, resamples, seed).T, strict=True))
    total = {name: float(x.sum()) for name, x in columns.items()}

    def told(over: str, under: str) -> tuple[float, np.ndarray]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return total[over] / total[under], np.where(drawn[under] > 0, drawn[over] / drawn[under], np.nan)

    logged, own = told("reward", "rows")
    values, gains = {}, {}
    for name, pair in ratios.items():
        value, draws = told(*pair)
        values[name] = interval(value, draws, level)
        gains[name] = difference(value - logged, draws - own, level)
    overlap = Overlap(
        len(r), len(ids), float(w.sum() ** 2 / (w**2).sum()), interval(*told("w", "rows"), level), float(w.max()),
        0.0 if clip is None else float((w > clip).mean()), unseen,
    )  # fmt: skip
    return OffPolicy(interval(logged, own, level), values, gains, overlap)


def _check(r: np.ndarray, p: np.ndarray, t: np.ndarray, model: Any, clip: float | None) -> None:
    if not len(r) or len({len(r), len(p), len(t), *(len(x) for x in model or ())}) > 1:
        sizes = [len(x) for x in (r, p, t, *(model or ()))]
        raise OptionError(
            f"off-policy: one reward, propensity and target probability a row, 1 row or more; got {sizes}."
        )
    if clip is not None and not clip > 0:
        raise OptionError(f"off-policy: clip = {clip}; give a weight above 0, such as 10, or None.")
    tests = [
        ("propensity", p, np.isfinite(p), "is missing", "log the probability of every decision"),
        ("propensity", p, p > 0, "is not above 0", "what was chosen had a chance"),
        ("propensity", p, p <= 1, "is above 1", "give a probability, not a density or a score"),
        ("reward", r, np.isfinite(r), "is missing", "leave decisions without an outcome out"),
        ("target probability", t, (t >= 0) & (t <= 1), "is not in [0, 1]", "give that of the logged choice"),
        *(("model", x, np.isfinite(x), "is not a number", "predict every row") for x in model or ()),
    ]
    for name, values, good, wrong, right in tests:
        if not good.all():
            at = int(np.argmin(good))
            raise OptionError(
                f"off-policy: the {name} of row {at} {wrong} ({values[at]:g}; {int((~good).sum()):,} rows of "
                f"{len(good):,}); {right}."
            )

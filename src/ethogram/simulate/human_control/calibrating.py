"""Parameters from target statistics: random search, then regression adjustment (approximate Bayesian computation).

    round 1   draws theta of the prior, runs the world, keeps statistics s(theta)
    fit       log theta = a + B log s (quadratic) + e by weighted ridge regression, weights 1 - (d / d_max)^2 of the
              nearest runs, d the distance of their statistics to the targets in units of their spread
    round 2   draws around the estimate; then the same fit on all runs near the targets: the answer

M. A. Beaumont, W. Zhang, D. J. Balding: Approximate Bayesian Computation in Population Genetics. Genetics 2002. A world
is read only through its statistics, so that targets can be real ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ethogram.errors import OptionError
from ethogram.simulate.human_control.habits import world
from ethogram.simulate.human_control.scenario import Scenario
from ethogram.world import World

PRIOR = {"innovation": (0.002, 0.05), "imitation": (0.05, 0.8), "abandonment": (0.005, 0.15)}
"""Log-uniform between these."""
NAMES = (
    "share at a quarter", "share at half", "share at three quarters", "share at the end", "begin rate, no friend",
    "begin rate, 1 or 2 friends", "begin rate, 3 or 4 friends", "begin rate, 5 friends or more", "give-up rate",
)  # fmt: skip
"""Share of people that has the habit; beginnings per tick of those who have it not, by how many of their friends have
it; givings-up per tick of those who have it."""
FROM = (0, 1, 3, 5)
RIDGE, SMALL = 1e-3, 1e-3


@dataclass(frozen=True)
class Calibrated:
    """What was found.

    Attributes
    ----------
    parameters : the estimate. runs : simulations that it took. tried : theta float64[runs, 3]. seen : float64[runs, S].
    """

    parameters: dict[str, float]
    runs: int
    tried: np.ndarray
    seen: np.ndarray


def statistics(one: World) -> np.ndarray:
    """The statistics of a run, float64[S] in the order of `NAMES`."""
    n, ticks = one.people, max(one.tick, 1)
    up, down = (list(one.declared.verbs).index(v) for v in ("take_up", "give_up"))
    friends = one.state["friends"]
    has = np.zeros(n, bool)
    share = np.zeros(ticks)
    exposed, begun = np.zeros(len(FROM)), np.zeros(len(FROM))
    holding = given = 0
    records = {r.tick: r for r in one.live.tape.records()}
    for tick in range(one.tick):
        around = np.searchsorted(FROM, has[friends].sum(1), "right") - 1
        exposed += np.bincount(around[~has], minlength=len(FROM))
        holding += int(has.sum())
        if (record := records.get(tick)) is not None:
            done = ~record.refused
            begin, end = (record.uid[done & (record.verb == v)] for v in (up, down))
            begun += np.bincount(around[begin], minlength=len(FROM))
            given += len(end)
            has[begin], has[end] = True, False
        share[tick] = has.mean()
    at = [max(0, round(ticks * part) - 1) for part in (0.25, 0.5, 0.75, 1.0)]
    return np.concatenate([share[at], begun / np.maximum(exposed, 1), [given / max(holding, 1)]])


def simulated(scenario: Scenario, parameters: Mapping[str, float], seed: int) -> np.ndarray:
    """Statistics of one run under some parameters."""
    return statistics(world(replace(scenario, **parameters), seed=seed).run(scenario.until))


def calibrated(scenario: Scenario, targets: Mapping[str, Any], *, runs: int = 200, seed: int = 0) -> Calibrated:
    """Find `PRIOR`'s parameters.

    Parameters
    ----------
    targets : some of `NAMES` -> value. runs : simulations at most, 30 or more.

    Raises
    ------
    OptionError
        An unknown statistic, fewer targets than parameters, or too few runs.
    """
    if wrong := [n for n in targets if n not in NAMES]:
        raise OptionError(f"calibrate: there is no statistic '{wrong[0]}'; there are {', '.join(NAMES)}.")
    if len(targets) < len(PRIOR) or runs < 30:
        raise OptionError(
            f"calibrate: {len(targets)} targets and {runs} runs; give {len(PRIOR)} targets and 30 runs, or more."
        )
    names = list(PRIOR)
    places, wanted = [NAMES.index(n) for n in targets], np.array([float(v) for v in targets.values()])
    low, high = (np.log([PRIOR[n][i] for n in names]) for i in (0, 1))
    rng = np.random.default_rng([seed, 23])
    tried: list[np.ndarray] = []
    seen: list[np.ndarray] = []

    def run(theta: np.ndarray) -> None:
        given = dict(zip(names, np.exp(theta).tolist(), strict=True))
        tried.append(theta)
        seen.append(simulated(scenario, given, int(rng.integers(2**31))))

    first = runs // 2
    grid = (
        rng.permuted(np.tile(np.arange(first), (len(names), 1)), axis=1).T + rng.random((first, len(names)))
    ) / first
    for u in grid:  # a Latin hypercube: each parameter's range is covered evenly
        run(low + u * (high - low))
    rest, rounds = runs - first, 2
    for turn in range(rounds):
        centre, spread = _adjusted(np.array(tried), np.array(seen)[:, places], wanted, first // 2)
        wide = np.maximum(2 * spread, 0.05 if turn else 0.1)
        for _ in range(rest // rounds):
            run(np.clip(centre + wide * rng.uniform(-1, 1, len(names)), low, high))
    centre, _ = _adjusted(np.array(tried), np.array(seen)[:, places], wanted, rest)
    found = dict(zip(names, np.exp(np.clip(centre, low, high)).tolist(), strict=True))
    return Calibrated(found, len(tried), np.exp(np.array(tried)), np.array(seen))


def _adjusted(theta: np.ndarray, seen: np.ndarray, wanted: np.ndarray, keep: int) -> tuple[np.ndarray, np.ndarray]:
    """(estimate, spread) of log parameters at the targets, from the `keep` nearest runs."""
    seen, wanted = (np.log(np.maximum(s, 0) + SMALL) for s in (seen, wanted))  # rates go together as logarithms
    scale = np.maximum(seen.std(0), 1e-6)
    far = np.sqrt((((seen - wanted) / scale) ** 2).mean(1))
    near = np.argsort(far, kind="stable")[: max(keep, 25)]
    weight = np.sqrt(np.maximum(1 - (far[near] / (far[near].max() * 1.001)) ** 2, 1e-3))
    gap = (seen[near] - wanted) / scale
    # principal directions: statistics go together, and there are fewer runs than products of them
    _, size, axes = np.linalg.svd(gap * weight[:, None], full_matrices=False)
    inner = gap @ axes[: min(5, int((size > 1e-9).sum()))].T
    i, j = np.triu_indices(inner.shape[1])
    design = np.column_stack([np.ones(len(near)), inner, inner[:, i] * inner[:, j]]) * weight[:, None]
    penalty = RIDGE * np.eye(design.shape[1])
    penalty[0, 0] = 0
    found = np.linalg.solve(design.T @ design + penalty, design.T @ (theta[near] * weight[:, None]))
    left = theta[near] * weight[:, None] - design @ found
    return found[0], left.std(0)

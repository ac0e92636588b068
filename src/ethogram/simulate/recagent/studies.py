"""Two questions about what a recommender and friends do to people: the filter bubble, and conformity.

H_u(t)    = - sum_c p_c log p_c        p_c: share of category c in what u is recommended in round t (an item of
                                       several categories counts for each with its part)
adoption  = share of people who take an item of which k friends spoke, against the same people, item, page and
            random numbers with other k
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.evaluate import bootstrap
from ethogram.simulate.recagent.ranking import pages
from ethogram.simulate.recagent.sandbox import Sandbox
from ethogram.verbs import Table
from ethogram.world import Command, World
from ethogram.world.social import relations


def entropy(items: np.ndarray, categories: np.ndarray) -> np.ndarray:
    """Of the categories of items int[n, k] (-1 empty), in nats, float64[n]; NaN without any item.

    >>> entropy(np.array([[0, 1], [0, 0]]), np.eye(2, dtype=bool)).round(3).tolist()
    [0.693, 0.0]
    """
    share = categories / np.maximum(categories.sum(1, keepdims=True), 1)
    total = (share[np.maximum(items, 0)] * (items >= 0)[..., None]).sum(1)
    weight = total.sum(1, keepdims=True)
    p = total / np.where(weight > 0, weight, 1)
    h = -(p * np.log(np.where(p > 0, p, 1))).sum(1)
    return np.where(weight[:, 0] > 0, h + 0.0, np.nan)


def bubble(sandbox: Sandbox, world: World, rounds: int) -> np.ndarray:
    """H of what everybody is recommended in each round, float64[rounds, people]; the world is run on."""
    made = np.empty((rounds, world.people))
    everybody = np.arange(world.people)
    for t in range(rounds):
        world.run(world.tick + 1)
        made[t] = entropy(pages(world.state, everybody).reshape(world.people, -1), sandbox.scene.categories)
    return made


def slopes(values: np.ndarray) -> np.ndarray:
    """Change per round of each person's values [rounds, people], least squares over the rounds that have one."""
    there = ~np.isnan(values)
    n = np.maximum(there.sum(0), 1)
    t = np.where(there, np.arange(len(values))[:, None], 0.0)
    t = np.where(there, t - t.sum(0) / n, 0.0)
    rest = np.where(there, values, 0.0)
    spread = (t**2).sum(0)
    return np.where(spread > 0, (t * rest).sum(0) / np.where(spread > 0, spread, 1), np.nan)


def cocoon(
    arms: Mapping[str, Sandbox | tuple[Sandbox, World]], *, rounds: int = 30, rows: Any = None, seed: int = 0
) -> Table:  # fmt: skip
    """Filter bubbles of several sandboxes, one row each.

    Parameters
    ----------
    arms : name -> a sandbox, or with a world of it (in which a language model plays some, say), which is run on.
    rows : whose entropy counts; everybody's if None.

    Columns `arm`, `first`, `last` (mean H of the first and the last three rounds), `slope`, `slope_low`, `slope_high`
    (mean change per round over people, 95%), `less` (last of the first arm minus last of this one), `less_low`,
    `less_high`, `people`, and `course` (mean H of each round).
    """
    if rounds < 6:
        raise OptionError(f"cocoon: {rounds} rounds; 6 or more have a beginning and an end.")
    told, base = [], None
    for name, sandbox in arms.items():
        box, world = sandbox if isinstance(sandbox, tuple) else (sandbox, sandbox.world())
        found = bubble(box, world, rounds)
        found = found if rows is None else found[:, rows]
        last = np.nanmean(found[-3:], 0)
        base = last if base is None else base
        slope = bootstrap.mean(slopes(found), seed=seed)
        less = bootstrap.mean(base - last, seed=seed) if len(base) == len(last) else (np.nan,) * 3
        told.append(
            {
                "arm": name, "first": float(np.nanmean(found[:3])), "last": float(np.nanmean(last)),
                "slope": slope.value,
                "slope_low": slope.low, "slope_high": slope.high, "less": less[0], "less_low": less[1],
                "less_high": less[2], "people": found.shape[1], "course": np.nanmean(found, 1).tolist(),
            }
        )  # fmt: skip
    return pa.Table.from_pylist(told)


def conformity(
    sandbox: Sandbox, *, holders: Sequence[int] = (0, 1, 2, 3, 4), repeats: int = 5, before: int = 3, seed: int = 0
) -> Table:
    """Adoption by the number of friends who spoke of an item, one row for each number.

    Everybody with enough friends is a subject, with an item of their own that they were not shown; `k` friends,
    drawn, tell all their friends of it; then it stands first on the subject's page. Branches of one world.

    Columns `holders`, `adopted` (share), `low`, `high` (95%, over subjects), `subjects`, `gain` (against the least
    number of holders, same subjects), `gain_low`, `gain_high`. Metadata: `trend_p` of the isotonic test.
    """
    if len(holders) < 2 or sorted(set(holders)) != list(holders) or holders[0] < 0 or repeats < 1:
        raise OptionError(f"conformity: holders = {tuple(holders)} must ascend from 0 or more, repeats be above 0.")
    world = sandbox.world().run(before)
    ties = relations.graph(world.state)
    subjects = np.flatnonzero(ties.out_degree >= max(holders))
    if len(subjects) < 2:
        raise OptionError(f"conformity: {len(subjects)} people have {max(holders)} friends; give fewer holders.")
    outcomes = []
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat])
        items = _unseen(world.state["shown"][subjects], rng)
        friends = [rng.permutation(ties.targets[ties.offsets[i] : ties.offsets[i + 1]]) for i in subjects]
        outcomes.append(
            [_adopted(world, subjects, items, [f[:k] for f in friends], repeat) for k in holders]
        )  # fmt: skip
    found = np.mean(outcomes, 0)  # [holders, subjects]: share of repeats
    rows = []
    for k, values in zip(holders, found, strict=True):
        mean, gain = bootstrap.mean(values, seed=seed), bootstrap.mean(values - found[0], seed=seed)
        rows.append(
            {
                "holders": k, "adopted": mean.value, "low": mean.low, "high": mean.high, "subjects": len(subjects),
                "gain": gain.value, "gain_low": gain.low, "gain_high": gain.high,
            }
        )  # fmt: skip
    return pa.Table.from_pylist(rows).replace_schema_metadata({"trend_p": repr(isotonic_p(found, seed=seed))})


def isotonic_p(values: np.ndarray, *, draws: int = 2_000, seed: int = 0) -> float:
    """p of no trend against a rising one: values [levels, subjects], the levels permuted within each subject.

    The statistic is the sum of squares that the isotonic fit of the means explains (Barlow and others, 1972).
    """
    from scipy.optimize import isotonic_regression

    def explained(means: np.ndarray) -> float:
        return float(((isotonic_regression(means).x - means.mean()) ** 2).sum())

    told, rng, above = explained(values.mean(1)), np.random.default_rng(seed), 0
    for _ in range(draws):
        above += explained(rng.permuted(values, axis=0).mean(1)) >= told - 1e-12
    return (1 + above) / (1 + draws)


def _unseen(shown: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    key = np.where(shown, 2.0, rng.random(shown.shape))
    return np.asarray(key.argmin(1))


def _adopted(world: World, subjects: np.ndarray, items: np.ndarray, speakers: list[Any], repeat: int) -> np.ndarray:
    """Whether each subject takes their item in the round after the friends spoke, float64[subjects]."""
    now = world.tick
    rows = np.concatenate(speakers).astype(int)
    what = np.repeat(items, [len(s) for s in speakers])
    do = [Command("set", {"column": "busy", "value": 0}), Command("call", {"rows": subjects.tolist()})]
    if len(rows):
        do.append(Command("broadcast", {"rows": rows.tolist(), "items": what.tolist()}))
    # all numbers of holders see the same luck, another repeat another
    branch = world.fork(now, do, seed=repeat)
    branch.intervene("offer", at=now + 1, priority=1, rows=subjects.tolist(), items=items.tolist())
    before = branch.state["shown"][subjects, items]
    branch.run(now + 2)
    watched = (branch.state["watched"][subjects] == items[:, None]).any(1)
    return np.asarray(watched & ~before, float)

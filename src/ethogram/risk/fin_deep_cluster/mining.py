"""Rules of a cluster that hold for the ring behind it, of which the cluster is only the most typical part.

    unsure   the `NEAR` |cluster| cases outside that lie nearest to a member; not counted against a rule
    taken    of the unsure those that meet a rule: they join the group, and rules are learned again, `ROUNDS` times
    rules    sequential covering by F_beta, beta = `RECALL`; further columns and the cluster's own steps    (`steps`)
    held     the same on two thirds of the rows, measured on the third, over all three thirds

A density cluster leaves out the members at its rim. Counted as not of the group, they teach a rule the cluster's border
instead of the ring's habits. All rows teach; what is reported is of rows that did not teach, though the steps, like
the cluster, come from all.

`NEAR`, `ROUNDS` and `RECALL` were chosen on weeks 100 to 103 of `fraud_rings`, judged on other draws of those weeks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ethogram.numeric.rule_learning import learn
from ethogram.numeric.rules import Quality, Rule, applies

NEAR = 2.0
ROUNDS = 1
RECALL = 2.0
FOLDS = 3
Columns = Mapping[str, np.ndarray]


def mined(
    rows: Callable[[int], Columns], labels: np.ndarray, flagged: np.ndarray, x: np.ndarray, *, most: int, count: int,
    seed: int,
) -> dict[int, list[Rule]]:  # fmt: skip
    """Cluster -> rules that single it out, best first, for the flagged ones. `rows` gives a cluster its columns."""
    found = {}
    for c in np.flatnonzero(flagged).tolist():
        group = labels == c
        if 0 < group.sum() < len(labels):
            found[c] = _measured(rows(c), group, unsure(x, group), most, count, seed)
    return found


def unsure(x: np.ndarray, group: np.ndarray) -> np.ndarray:
    """bool[n]: the cases nearest to a member of the group, `NEAR` times as many as it has, ties by their order."""
    from ethogram.numeric.density import exact

    apart = exact.nearest(x[group], 1, x)[0][:, 0]
    apart[group] = np.inf
    found = np.zeros(len(x), bool)
    found[np.argsort(apart, kind="stable")[: int(NEAR * group.sum())]] = True
    return found & ~group


def _measured(
    rows: Columns, group: np.ndarray, doubt: np.ndarray, most: int, count: int, seed: int
) -> list[Rule]:  # fmt: skip
    rules = _trained(rows, group, doubt, most, count, seed)
    if not rules:
        return []
    fold = _folds(group, seed)
    totals = np.zeros(4, np.int64)
    for f in range(FOLDS):
        learning = fold != f
        if not group[learning].any() or not group[~learning].any():
            return [replace(r, held=None) for r in rules]
        part = {n: v[learning] for n, v in rows.items()}
        made = _trained(part, group[learning], doubt[learning], most, 1, seed)
        kept = {n: v[~learning] for n, v in rows.items()}
        hits = applies(made, kept)
        of = group[~learning]
        totals += [hits.sum(), (hits & of).sum(), of.sum(), len(of)]
    held = Quality(*totals.tolist())
    return [replace(r, held=held if n == 0 else None) for n, r in enumerate(rules)]


def _trained(
    rows: Columns, group: np.ndarray, doubt: np.ndarray, most: int, count: int, seed: int
) -> list[Rule]:  # fmt: skip
    """Rules by all rows, with the unsure ones that they take in."""
    own = group
    rules: list[Rule] = []
    for n in range(ROUNDS + 1):
        left = ~(doubt & ~own)
        made = learn({c: v[left] for c, v in rows.items()}, own[left], most=most, rules=count, held=0.0, beta=RECALL,
                     seed=seed)  # fmt: skip
        if not made:
            break
        rules = made
        if n < ROUNDS:
            own = group | (doubt & applies(rules, rows))
    return [replace(r, learnt=r.measured(rows, group)) for r in rules]


def _folds(group: np.ndarray, seed: int) -> np.ndarray:
    """Third of each row, the group and the others in equal shares, int64[n]."""
    rng, fold = np.random.default_rng(seed), np.zeros(len(group), np.int64)
    for mine in (np.flatnonzero(group), np.flatnonzero(~group)):
        fold[rng.permutation(mine)] = np.arange(len(mine)) % FOLDS
    return fold

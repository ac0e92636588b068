"""Rules for a group among rows, by sequential covering with pruning: which few conditions single it out?

One rule at a time, until the group is covered or no rule is precise enough:

    grow    a beam of conjunctions; each step adds the interval of a column, or the value of a text, with the largest
            gain = p (log2 (p + 1/2) / (p + n + 1) - log2 base)       p, n: covered rows of the group and of the others
    prune   of all conjunctions met on the way, the one of best F on rows that did not grow it, the shorter in a tie
    loosen  each condition in turn, the others fixed: the interval of best F, its ends moved halfway to the next row
            that would be wrong (as far as they go where there is none), then to a short number within that room
    merge   rules of equal columns become their hull where that is no worse; a rule that adds little is left out

An interval of one column is one condition. A third of the rows takes no part in it and measures what is reported.

Deviations from RIPPER: pruning by F_beta (F above; beta is 1 unless said), since a group of twenty rows must be met as
well as told apart; a beam in the place of one greedy path; no second pass of optimisation over the whole set.

References: J. Fuernkranz, G. Widmer: Incremental Reduced Error Pruning. ICML 1994; W. Cohen: Fast Effective Rule
Induction. ICML 1995; J. R. Quinlan: Learning Logical Definitions from Relations. Machine Learning 5, 1990 (the gain).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ethogram.errors import OptionError
from ethogram.numeric.rules import Condition, Rows, Rule, applies, column, length, names, quality

BOUNDS = 24
"""Ends of intervals that are tried for a column on each side."""
SHOWN = 8
"""Values of a text that are tried, the group's most frequent ones."""
ADDS = 0.1
"""Share of the group that a further rule must hit, and of its own hits that it must add to the better rules."""
Columns = dict[str, np.ndarray]


def learn(
    rows: Rows, target: np.ndarray, *, columns: Sequence[str] | None = None, most: int = 4, rules: int = 3,
    beam: int = 5, precision: float = 0.5, held: float = 1 / 3, beta: float = 1.0, seed: int = 0,
) -> list[Rule]:  # fmt: skip
    """Rules for a group, best first; empty where none is precise enough.

    Parameters
    ----------
    rows : columns of n rows. target : bool[n], the group. columns : those that rules may be about; none takes all.
    most : conditions of a rule. rules : rules at most. beam : conjunctions that are kept while one grows.
    precision : least share of covered rows that are of the group, on the rows that rules are learned from.
    held : share of rows that measure only.
    beta : in F_beta, by which rules are pruned, loosened and merged: how much more recall counts than precision.

    Raises
    ------
    OptionError
        Nothing or everything is the group, lengths differ, a column does not exist, numbers out of range.

    Examples
    --------
    >>> x = np.arange(400.0)
    >>> print(learn({"x": x, "y": x % 7}, (x >= 100) & (x < 160))[0])
    x between 100 and 159
    """
    target = np.asarray(target, bool)
    if len(target) != length(rows):
        raise OptionError(f"rules: {length(rows)} rows, but the group is told of {len(target)}.")
    if not target.any() or target.all():
        raise OptionError("rules: nothing or everything is of the group; there is nothing to tell apart.")
    if min(most, rules, beam) < 1 or not (0 <= held < 1 and 0 <= precision <= 1 and beta > 0):
        raise OptionError("rules: most, rules, beam: 1 or more; held in [0, 1), precision in [0, 1]; beta above 0.")
    data = {name: column(rows, name) for name in (names(rows) if columns is None else columns)}
    part = _dealt(target, held, seed)
    learning = part < 2
    size = int((target & learning).sum())
    found: list[Rule] = []
    open_ = learning.copy()  # the group's rows that no rule covers yet, and all others
    while len(found) < rules and (open_ & target).any():
        grow, prune = open_ & (part == 0), open_ & (part == 1)
        if not (grow & target).any():
            break
        judging = prune if (prune & target).any() else grow
        rule = _pruned(_grown(data, target, grow, most, beam), data, target, judging, beta)
        rule = _loosened(rule, data, target, open_, beta)
        covered = rule.applies(data)
        own = quality(covered[open_], target[open_])
        if not rule.conditions or own.hits < min(2, size) or own.precision < precision:
            break
        if found and own.hits < ADDS * size:
            break
        found.append(rule)
        open_ &= ~(covered & target)
    return [
        replace(
            r,
            learnt=quality(r.applies(data)[learning], target[learning]),
            held=quality(r.applies(data)[~learning], target[~learning]) if not learning.all() else None,
        )
        for r in _merged(found, data, target & learning, learning, beta)
    ]


def _dealt(target: np.ndarray, held: float, seed: int) -> np.ndarray:
    """0 grows (two thirds of the rest), 1 prunes, 2 measures; the group and the others in equal shares, int64[n]."""
    rng, part = np.random.default_rng(seed), np.zeros(len(target), np.int64)
    for rows in (np.flatnonzero(target), np.flatnonzero(~target)):
        order = rng.permutation(rows)
        kept = round(held * len(rows)) if len(rows) > 2 else 0
        part[order[:kept]] = 2
        part[order[kept : kept + (len(rows) - kept) // 3]] = 1
    return part


def _grown(data: Columns, target: np.ndarray, grow: np.ndarray, most: int, beam: int) -> list[Rule]:
    """All conjunctions that the beam held, the empty one first."""
    base = math.log2(max((grow & target).sum(), 1) / grow.sum())
    front, seen = [(Rule(()), grow)], [Rule(())]
    for _ in range(most):
        longer: dict[frozenset[Condition], tuple[float, Rule, np.ndarray]] = {}
        for rule, covered in front:
            used = {c.column for c in rule.conditions}
            for name, values in data.items():
                if name in used:
                    continue
                best = _best(name, values[covered], target[covered], base)
                if best is None:
                    continue
                gain, condition = best
                made = Rule((*rule.conditions, condition))
                longer.setdefault(frozenset(made.conditions), (gain, made, covered))
        chosen = sorted(longer.values(), key=lambda t: (-t[0], str(t[1])))[:beam]
        front = [(rule, before & rule.conditions[-1].applies(data)) for _, rule, before in chosen]
        seen.extend(rule for rule, _ in front)
        if not front or all(not (covered & ~target).any() for _, covered in front):
            break
    return seen


def _gain(p: np.ndarray, covered: np.ndarray, base: float) -> np.ndarray:
    return np.asarray(np.where(p > 0, p * (np.log2((p + 0.5) / (covered + 1)) - base), -np.inf))


def _best(name: str, values: np.ndarray, target: np.ndarray, base: float) -> tuple[float, Condition] | None:
    """The condition on a column with the largest gain among these rows; None where it tells nothing."""
    if values.dtype == object:
        tried = _often(values[target])
        if not tried:
            return None
        meets = np.array([values == v for v in tried])
        gain = _gain((meets & target).sum(1), meets.sum(1), base)
        at = int(gain.argmax())
        return float(gain[at]), Condition(name, values=(tried[at],))
    known = ~np.isnan(values)
    mine = np.sort(values[known & target])
    if not len(mine):
        return None
    every = np.sort(values[known])
    ends = np.unique(mine[np.linspace(0, len(mine) - 1, BOUNDS).astype(np.int64)])
    low, high = np.r_[-np.inf, ends], np.r_[ends, np.inf]
    p, covered = (
        np.searchsorted(v, high, "right")[None, :] - np.searchsorted(v, low, "left")[:, None] for v in (mine, every)
    )
    gain = _gain(np.maximum(p, 0), np.maximum(covered, 0), base)
    # the widest of equal intervals: the whole line comes first in its row, ends of higher index are further out
    gain = np.where(low[:, None] <= high[None, :], gain, -np.inf)
    i, j = np.unravel_index(int(gain.argmax()), gain.shape)
    if not np.isfinite(gain[i, j]) or (np.isinf(low[i]) and np.isinf(high[j])):
        return None
    return float(gain[i, j]), Condition(name, float(low[i]), float(high[j]))


def _often(values: np.ndarray) -> list[str]:
    known = [v for v in values.tolist() if v is not None]
    found, counts = np.unique(np.array(known, dtype=object).astype(str), return_counts=True)
    return [str(v) for v in found[np.argsort(-counts, kind="stable")][:SHOWN]]


def _pruned(rules: list[Rule], data: Columns, target: np.ndarray, among: np.ndarray, beta: float) -> Rule:
    part = {name: values[among] for name, values in data.items()}
    own = target[among]
    best = max(range(len(rules)), key=lambda i: (rules[i].measured(part, own).f(beta), -len(rules[i].conditions), -i))
    return rules[best]


def _loosened(rule: Rule, data: Columns, target: np.ndarray, among: np.ndarray, beta: float) -> Rule:
    """Each condition as wide as the others allow; one that has become the whole line is dropped."""
    size = int((target & among).sum())
    for _ in range(2):
        for condition in rule.conditions:
            others = Rule(tuple(c for c in rule.conditions if c.column != condition.column))
            if condition.values:
                continue
            rows = among & others.applies(data)
            wide = _widest(condition.column, data[condition.column][rows], target[rows], size, beta)
            kept = () if wide is None or (math.isinf(wide.low) and math.isinf(wide.high)) else (wide,)
            if wide is None:
                kept = (condition,)
            place = rule.conditions.index(condition)
            rule = Rule((*rule.conditions[:place], *kept, *rule.conditions[place + 1 :]))
    return rule


def _widest(name: str, values: np.ndarray, target: np.ndarray, size: int, beta: float) -> Condition | None:
    """The interval of best F_beta against a group of `size`, its ends as far out as no further row is met."""
    known = ~np.isnan(values)
    every, mine = np.sort(values[known]), np.sort(values[known & target])
    if not len(mine):
        return None
    ends = np.unique(mine[np.linspace(0, len(mine) - 1, 4 * BOUNDS).astype(np.int64)])
    p, covered = (
        np.searchsorted(v, ends, "right")[None, :] - np.searchsorted(v, ends, "left")[:, None] for v in (mine, every)
    )
    f = (1 + beta**2) * p / (np.maximum(covered, 0) + beta**2 * size)
    f = np.where(ends[:, None] <= ends[None, :], f, -1.0)
    i, j = np.unravel_index(int(f.argmax()), f.shape)
    below, above = every[every < ends[i]], every[every > ends[j]]
    if len(values) > known.sum() and not len(below) and not len(above):
        return Condition(
            name, float(ends[i]), float(ends[j])
        )  # without the condition rows with nothing known would pass
    low = _short((below[-1] + ends[i]) / 2, ends[i], up=True) if len(below) else -math.inf
    high = _short(ends[j], (ends[j] + above[0]) / 2, up=False) if len(above) else math.inf
    return Condition(name, low, high)


def _short(low: float, high: float, *, up: bool) -> float:
    """A number of few digits in [low, high]; `up` for the end below (the largest such number), else the smallest."""
    for digits in range(1, 17):
        scale = max(abs(low), abs(high))
        if scale == 0:
            return 0.0
        unit = 10.0 ** (math.floor(math.log10(scale)) + 1 - digits)
        made = math.floor(high / unit) * unit if up else math.ceil(low / unit) * unit
        made = float(f"{made:.{digits + 2}g}")
        if low <= made <= high:
            return made
    return float(high if up else low)


def _merged(rules: list[Rule], data: Columns, target: np.ndarray, learning: np.ndarray, beta: float) -> list[Rule]:
    """Rules of equal columns joined where their hull is no worse; by F_beta, without those that add little."""
    part = {name: values[learning] for name, values in data.items()}
    own = target[learning]
    rules = list(rules)
    joined = True
    while joined:
        joined = False
        for i in range(len(rules)):
            for j in range(i + 1, len(rules)):
                hull = _hull(rules[i], rules[j])
                if hull is not None and hull.measured(part, own).f(beta) >= quality(
                    applies((rules[i], rules[j]), part), own
                ).f(beta):
                    rules = [*rules[:i], hull, *rules[i + 1 : j], *rules[j + 1 :]]
                    joined = True
                    break
            if joined:
                break
    rules.sort(key=lambda r: (-r.measured(part, own).f(beta), str(r)))
    kept: list[Rule] = []
    for rule in rules:
        hits = rule.applies(part) & own
        new = hits & ~applies(kept, part)
        if not kept or (new.sum() >= ADDS * hits.sum() and new.any()):
            kept.append(rule)
    return kept


def _hull(one: Rule, other: Rule) -> Rule | None:
    mine, theirs = ({c.column: c for c in r.conditions} for r in (one, other))
    if mine.keys() != theirs.keys() or any(bool(mine[n].values) != bool(theirs[n].values) for n in mine):
        return None
    made = []
    for name, c in mine.items():
        d = theirs[name]
        if c.values:
            made.append(Condition(name, values=(*c.values, *d.values)))
        else:
            made.append(Condition(name, min(c.low, d.low), max(c.high, d.high)))
    return Rule(tuple(made))

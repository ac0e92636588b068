"""What is known of each cluster: is it risky, how much money is in it, is it growing, and which rules single it out?

evidence   e = tags + weak * declines without a tag            of a cluster of size n, and of all: base b = E / N
posterior  rate ~ Beta(s b + e, s (1 - b) + n - e)             s: as many cases of the base stand in the prior
risk       P( odds of the rate > c * odds of b )               flagged from `level` on
growth     largest (n_w + 1) / (n_{w-1} + 1) over consecutive windows of time that the log covers
at risk    money of members that the engine let through and nobody has tagged
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import betainc, betaincinv

from ethogram.numeric.rules import Rule
from ethogram.risk.fin_deep_cluster.cases import Cases


class Belief(NamedTuple):
    """How cards judge: odds times those of the base, level of the posterior, weight of a decline, cases in prior."""

    times: float
    level: float
    weak: float
    prior: float


@dataclass(frozen=True, eq=False)
class Cards:
    """C clusters: every array has one entry for each. `noise` is the risk of a case outside all of them.

    `tag_low`, `tag_high` : where the tag rate lies with 95% (Beta posterior by Jeffreys), from the tags alone.
    """

    size: np.ndarray
    tagged: np.ndarray
    tag_rate: np.ndarray
    tag_low: np.ndarray
    tag_high: np.ndarray
    declined: np.ndarray
    lift: np.ndarray
    risk: np.ndarray
    flagged: np.ndarray
    money: np.ndarray
    at_risk: np.ndarray
    growth: np.ndarray
    began: np.ndarray
    ended: np.ndarray
    base: float
    noise: float

    def __len__(self) -> int:
        return len(self.size)


def cards(held: Cases, labels: np.ndarray, belief: Belief, window: int) -> Cards:
    """Cards of clusters 0 ... max(labels). `window` in microseconds."""
    count = int(labels.max(initial=-1)) + 1
    slot = np.where(labels < 0, count, labels)  # noise stands last

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(slot, values, minlength=count + 1)

    tag, declined = held.tag > 0, held.declined > 0
    size, tags, declines = total(np.ones(len(held))), total(tag * 1.0), total((declined & ~tag) * 1.0)
    money = np.nan_to_num(held.money, nan=0.0, posinf=0.0, neginf=0.0)
    base = float((tags.sum() + 0.5) / (len(held) + 1))
    risk = posterior(tags + belief.weak * declines, size, belief)
    n, t = size[:count], tags[:count]
    rate = t / np.maximum(n, 1)
    low = np.where(t > 0, betaincinv(t + 0.5, n - t + 0.5, 0.025), 0.0)
    high = np.where(t < n, betaincinv(t + 0.5, n - t + 0.5, 0.975), 1.0)
    first, last = np.full(count + 1, np.iinfo(np.int64).max), np.zeros(count + 1, np.int64)
    np.minimum.at(first, slot, held.began)
    np.maximum.at(last, slot, held.began)
    return Cards(
        n.astype(np.int64), t.astype(np.int64), rate, low, high, total(declined * 1.0)[:count].astype(np.int64),
        rate / base, risk[:count], risk[:count] >= belief.level, total(money)[:count],
        total(money * (~tag & ~declined))[:count], growth(held.began, labels, count, window), first[:count],
        last[:count], base, float(risk[count]),
    )  # fmt: skip


def posterior(evidence: np.ndarray, size: np.ndarray, belief: Belief) -> np.ndarray:
    """P(the odds of a group's rate exceed `times` those of all groups together), float64[C]; see the module."""
    base = (evidence.sum() + 0.5) / (size.sum() + 1)
    bound = belief.times * base / (1 - base + belief.times * base)
    a, b = belief.prior * base + evidence, belief.prior * (1 - base) + size - evidence
    return np.asarray(1.0 - betainc(a, b, bound))


def growth(began: np.ndarray, labels: np.ndarray, count: int, window: int) -> np.ndarray:
    """Largest growth of each cluster from one window to the next, float64[count]; 1 where there is one window."""
    if not count or not len(began):
        return np.ones(count)
    place = (began - began.min()) // window
    wide = int(place.max()) + 1
    inside = labels >= 0
    many = np.bincount(labels[inside] * wide + place[inside], minlength=count * wide).reshape(count, wide)
    return np.asarray(((many[:, 1:] + 1) / (many[:, :-1] + 1)).max(1)) if wide > 1 else np.ones(count)


def weights(rule: Rule, rows: Mapping[str, np.ndarray], group: np.ndarray) -> tuple[float, ...]:
    """How much each condition alone tells of a group: ln (share of the group that meets it / of all), as shares."""
    told = []
    for condition in rule.conditions:
        meets = condition.applies(rows)
        told.append(max(0.0, float(np.log((meets[group].mean() + 1e-9) / (meets.mean() + 1e-9)))))
    whole = sum(told)
    return tuple(t / whole for t in told) if whole > 0 else tuple(1 / len(told) for _ in told)


def path(names: Sequence[str], token: np.ndarray, offsets: np.ndarray, rows: np.ndarray) -> tuple[list[str], float]:
    """The most frequent path of some cases, repeats of a page in a row counted once, and its share."""
    found: dict[tuple[int, ...], int] = {}
    for row in rows.tolist():
        seen = token[offsets[row] : offsets[row + 1]]
        walked = tuple(seen[np.r_[True, seen[1:] != seen[:-1]]].tolist())
        found[walked] = found.get(walked, 0) + 1
    best = max(found, key=lambda w: (found[w], [-t for t in w]))
    return [names[t] for t in best], found[best] / len(rows)

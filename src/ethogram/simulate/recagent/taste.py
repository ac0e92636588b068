"""What each person likes, learned from a log of real choices: vectors that a simulated person carries.

    u_ij = taste_i . item_j + appeal_j + recent * mean_{l in last choices of i} like_j . like_l

    taste_i = (w1 sigma p_i, w2 g_i)      item_j = (q_j, g_j)      appeal_j = w3 log(1 + n_j)      like_j = q_j / |q_j|

P, sigma, Q: singular vectors and values of the choices, each divided by the roots of both marginals; g: shares of
categories, length 1. The weights w and `recent` are a conditional logit: the later fifth of each person's choices
against items never chosen, seen from the four fifths before. `recent` is what the data say: below 0 people tire of what
they just had, above 0 they go on with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ethogram.errors import OptionError

LAST = 10
"""Choices that count as recent."""
AGAINST = 9
"""Items never chosen that each choice is held against."""


@dataclass(frozen=True)
class Choices:
    """Who chose what, in order of time. person, item : int32[N], by person and then time.

    group : int64[N], equal where one person chose at the same time; None: nothing was chosen at the same time.
    """

    person: np.ndarray
    item: np.ndarray
    people: int
    items: int
    group: np.ndarray | None = None

    @property
    def starts(self) -> np.ndarray:
        return np.searchsorted(self.person, np.arange(self.people + 1))

    def earliest(self, share: float) -> tuple[Choices, Choices]:
        """The earliest share of each person's choices, and the rest.

        What was chosen at the same time stays together: with the rest, unless that would be everything.
        """
        if not 0 < share < 1:
            raise OptionError(f"share = {share} must lie between 0 and 1.")
        starts = self.starts
        place = np.arange(len(self.person)) - starts[self.person]
        first = place < np.ceil(share * np.diff(starts))[self.person]
        if self.group is not None and len(self.group):
            _, code = np.unique(np.stack([self.person, self.group]), axis=1, return_inverse=True)
            whole = np.bincount(code, first) == np.bincount(code)
            together = first & whole[code]
            none = np.bincount(self.person, together, self.people) == 0
            touched = np.bincount(code, first) > 0
            first = np.where(none[self.person], touched[code], together)
        return self.only(first), self.only(~first)

    def only(self, some: np.ndarray) -> Choices:
        """Some of the choices, by a mask."""
        group = None if self.group is None else self.group[some]
        return Choices(self.person[some], self.item[some], self.people, self.items, group)

    def latest(self, width: int) -> np.ndarray:
        """The latest choices of each, int32[people, width], oldest first; -1 in empty places, which come first."""
        starts = self.starts
        at = starts[1:, None] - width + np.arange(width)
        there = at >= starts[:-1, None]
        return np.where(there, self.item[np.where(there, at, 0)] if len(self.item) else -1, -1).astype(np.int32)

    def chosen(self) -> np.ndarray:
        """bool[people, items]."""
        made = np.zeros((self.people, self.items), bool)
        made[self.person, self.item] = True
        return made


@dataclass(frozen=True)
class Taste:
    """See the module.

    Attributes
    ----------
    taste float32[people, d], item float32[items, d], appeal float32[items], like float32[items, k],
    recent : weight. weights : of collaboration, categories, appeal, recent, as fitted.
    """

    taste: np.ndarray
    item: np.ndarray
    appeal: np.ndarray
    like: np.ndarray
    recent: float
    weights: np.ndarray

    @classmethod
    def learn(
        cls, choices: Choices, categories: np.ndarray, *, factors: int = 32, seed: int = 0, share: float = 0.8
    ) -> Taste:  # fmt: skip
        """Fit the weights on the later part of the choices, then the vectors on all of them.

        Parameters
        ----------
        categories : bool[items, categories]. share : of each person's choices that the weights' features come from.

        Raises
        ------
        OptionError
            Too few choices, or more factors than people or items.
        """
        before, after = choices.earliest(share)
        if len(after.item) < 20 or factors >= min(choices.people, choices.items):
            raise OptionError(
                f"taste: {len(after.item)} later choices of {choices.people} people, {factors} factors; 20 or more "
                "choices are needed, and fewer factors than people and items."
            )
        parts = _parts(before, categories, factors)
        rng = np.random.default_rng([seed, 11])
        some = rng.permutation(len(after.item))[:20_000]
        person, true = after.person[some], after.item[some]
        against = never(choices.chosen(), person, AGAINST, rng)
        weights = _logit(parts.features(person, np.c_[true, against]))
        whole = _parts(choices, categories, factors)
        w = weights
        return cls(
            np.c_[w[0] * whole.person, w[1] * whole.share].astype(np.float32),
            np.c_[whole.item, whole.category].astype(np.float32),
            (w[2] * whole.appeal).astype(np.float32), whole.like, float(w[3]), w,
        )  # fmt: skip

    def utility(self, person: np.ndarray, items: np.ndarray, latest: np.ndarray) -> np.ndarray:
        """u of items int[n, k] for each of n people, float32[n, k]; `latest` int[n, any], -1 in empty places."""
        fixed = np.einsum("nd,nkd->nk", self.taste[person], self.item[items]) + self.appeal[items]
        return np.asarray(fixed + self.recent * alike(self.like, items, latest), np.float32)


def alike(like: np.ndarray, items: np.ndarray, latest: np.ndarray) -> np.ndarray:
    """Mean likeness of items int[n, k] to each person's latest choices, float32[n, k]; 0 without any."""
    there = latest[:, -LAST:] >= 0
    vectors = like[latest[:, -LAST:]] * there[..., None]
    mean = vectors.sum(1) / np.maximum(there.sum(1, keepdims=True), 1)
    return np.asarray(np.einsum("nd,nkd->nk", mean, like[items]), np.float32)


def never(chosen: np.ndarray, person: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """k different items for each, drawn among those the person never chose, int64[n, k]."""
    made = np.empty((len(person), k), np.int64)
    for block in range(0, len(person), 2_048):
        some = person[block : block + 2_048]
        key = rng.random((len(some), chosen.shape[1]), np.float32)
        key[chosen[some]] = 2.0
        made[block : block + 2_048] = np.argpartition(key, k, 1)[:, :k]
    return made


@dataclass(frozen=True)
class _Parts:
    person: np.ndarray
    item: np.ndarray
    share: np.ndarray
    category: np.ndarray
    appeal: np.ndarray
    like: np.ndarray
    latest: np.ndarray

    def features(self, person: np.ndarray, items: np.ndarray) -> np.ndarray:
        """float64[n, k, 4]."""
        return np.stack(
            [
                np.einsum("nd,nkd->nk", self.person[person], self.item[items]),
                np.einsum("nd,nkd->nk", self.share[person], self.category[items]),
                self.appeal[items],
                alike(self.like, items, self.latest[person]),
            ],
            -1,
        ).astype(np.float64)


def _parts(choices: Choices, categories: np.ndarray, factors: int) -> _Parts:
    from scipy.sparse import csr_matrix
    from scipy.sparse.linalg import svds

    n, m = choices.people, choices.items
    counts = csr_matrix((np.ones(len(choices.item)), (choices.person, choices.item)), (n, m))
    per_person, per_item = np.asarray(counts.sum(1)).ravel(), np.asarray(counts.sum(0)).ravel()
    scale = [1 / np.sqrt(np.maximum(v, 1)) for v in (per_person, per_item)]
    left, size, right = svds(
        counts.multiply(scale[0][:, None]).multiply(scale[1]).tocsr(), factors, v0=np.ones(min(n, m))
    )
    order = np.argsort(-size)
    # one sign of each pair of vectors, whatever the solver found
    sign = np.sign(left[np.abs(left).argmax(0), np.arange(factors)])[order]
    person, item = left[:, order] * sign * size[order], right[order].T * sign
    person = person * np.sqrt(n)  # entries about 1, so that weights compare
    category = _unit(categories.astype(float))
    share = _unit(counts @ (categories / np.maximum(categories.sum(1, keepdims=True), 1)))
    return _Parts(
        person, item * np.sqrt(m), share, category, np.log1p(per_item), _unit(item).astype(np.float32),
        choices.latest(LAST),
    )  # fmt: skip


def _logit(x: np.ndarray, ridge: float = 1.0) -> np.ndarray:
    """Weights of a conditional logit whose first option was chosen; Newton's method, features float64[n, k, f]."""
    w = np.zeros(x.shape[2])
    for _ in range(50):
        u = x @ w
        p = np.exp(u - u.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        mean = np.einsum("nk,nkf->nf", p, x)
        slope = (x[:, 0] - mean).sum(0) - ridge * w
        spread = np.einsum("nk,nkf,nkg->fg", p, x, x) - mean.T @ mean + ridge * np.eye(len(w))
        step = np.linalg.solve(spread, slope)
        w += step
        if np.abs(step).max() < 1e-8:
            break
    return w


def _unit(x: Any) -> np.ndarray:
    x = np.asarray(x, float)
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12))

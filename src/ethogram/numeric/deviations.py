"""How a person's answers so far differ from what was expected of them: altogether, and within a category.

For a question about category c whose history holds events j with residuals r_j (answer less expectation):

    D = sum_j r_j / (n + k)                        k = variance within / variance of people
    D_c = sum_{j in c} (r_j - D) / (n_c + k_c)     k_c = variance within / variance of a person's categories

the posterior means of a random intercept of the person and of the person in the category, taken one after the other. An
event without an answer (NaN) counts for nothing; nothing answered means D = D_c = 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit


class Spread(NamedTuple):
    """Strengths k and k_c."""

    person: float
    category: float


MOST = 1e6
"""Strength that stands for "people do not differ"."""


def deviations(
    residual: np.ndarray,
    category: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
    offsets: np.ndarray,
    wanted: np.ndarray,
    spread: Spread,
    categories: int,
) -> tuple[np.ndarray, np.ndarray]:
    """(D, D_c) of each candidate, float64[total].

    Parameters
    ----------
    residual : float64[N] of shared rows, NaN where there is no answer. category : int64[N], -1 for none.
    start, stop : int64[n], the history of each question. offsets : int64[n + 1], its candidates.
    wanted : int64[total], category of each candidate, -1 for none.
    """
    whole, own = np.zeros(len(wanted)), np.zeros(len(wanted))
    order = np.lexsort((stop, start))
    _deviations(
        np.asarray(residual, np.float64), np.asarray(category, np.int64), np.asarray(start, np.int64),
        np.asarray(stop, np.int64), order, np.asarray(offsets, np.int64), np.asarray(wanted, np.int64),
        spread.person, spread.category, np.zeros(categories + 1), np.zeros(categories + 1), whole, own,
    )  # fmt: skip
    return whole, own


@njit(cache=True, nogil=True)
def _deviations(  # type: ignore[no-untyped-def]
    residual, category, start, stop, order, offsets, wanted, person, within, sums, counts, whole, own
):
    at, low = 0, -1
    total, n = 0.0, 0.0
    for i in order:
        if start[i] != low:  # another history: begin anew
            sums[:] = 0
            counts[:] = 0
            total, n, at, low = 0.0, 0.0, start[i], start[i]
        while at < stop[i]:
            r = residual[at]
            if not np.isnan(r):
                total += r
                n += 1
                sums[category[at]] += r  # -1 is the last place
                counts[category[at]] += 1
            at += 1
        mean = total / (n + person)
        for j in range(offsets[i], offsets[i + 1]):
            whole[j] = mean
            c = wanted[j]
            if c >= 0:
                own[j] = (sums[c] - counts[c] * mean) / (counts[c] + within)


def spread(residual: np.ndarray, person: np.ndarray, category: np.ndarray) -> Spread:
    """Strengths by the method of moments from residuals of answered rows.

    The variance within is that inside (person, category) cells; what the cells' means vary more than it explains is the
    person's categories, what the people's means vary more than both is the person.
    """
    width = int(category.max(initial=0)) + 1
    cell = person * width + category
    ids, place = np.unique(cell, return_inverse=True)
    n = np.bincount(place).astype(np.float64)
    mean = np.bincount(place, residual) / n
    freedom = float((n - 1).sum())
    inside = float(((residual - mean[place]) ** 2).sum()) / freedom if freedom > 0 else 0.0
    owner = np.unique(ids // width, return_inverse=True)[1]
    cells = np.bincount(owner).astype(np.float64)
    people = np.bincount(owner, mean) / cells
    between = float((cells - 1).sum())
    if inside <= 0 or between <= 0 or len(cells) < 2:
        return Spread(MOST, MOST)
    noise = float((inside / n).mean())
    among = max(float(((mean - people[owner]) ** 2).sum()) / between - noise, 0.0)
    apart = max(float(people.var(ddof=1)) - float(((among + noise) / cells).mean()), 0.0)
    return Spread(min(inside / apart, MOST) if apart else MOST, min(inside / among, MOST) if among else MOST)

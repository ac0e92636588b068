"""Is a ranked list good? Metrics against graded judgements, per query.

With the list's gains ``g_1, g_2, ...`` (0 where a text was not judged) and all judged gains sorted, G:

    ndcg@k = sum_{i<=k} g_i / log2(1 + i)  /  sum_{i<=k} G_i / log2(1 + i)      recall@k = relevant in k / relevant
    map    = mean over the relevant of precision at their rank                  mrr      = 1 / first relevant rank

A text is relevant if its gain is above 0. A query without any relevant text has no value (NaN) and drops out of means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ethogram.errors import OptionError

Judgements = Sequence[Mapping[int, float]]
"""One mapping per query: code of a text -> its gain."""


def relevance(found: np.ndarray, judged: Judgements, ks: Sequence[int] = (10,)) -> dict[str, np.ndarray]:
    """Metrics of each query: ``ndcg@k``, ``recall@k`` for every k, ``map``, ``mrr``; each float64[n].

    Parameters
    ----------
    found : int[n, m] codes, best first; -1 where a list ends. A code may stand in a list once.
    judged : the gains of each query's texts.

    Examples
    --------
    >>> relevance(np.array([[4, 7]]), [{7: 1.0}])["mrr"].tolist()
    [0.5]

    Raises
    ------
    OptionError
        Other numbers of lists and judgements, a repeated code, a negative gain, a k below 1.
    """
    found = np.asarray(found)
    if found.ndim != 2 or len(found) != len(judged):
        raise OptionError(f"{len(found)} lists and {len(judged)} judgements: give one of each per query.")
    if min(ks, default=1) < 1:
        raise OptionError(f"k = {min(ks)} is not a number of texts; give 1 or more.")
    n, m = found.shape
    gains = np.zeros((n, m))
    ideal = np.zeros((n, max(m, max(ks, default=1), max((len(j) for j in judged), default=0))))
    relevant = np.zeros(n)
    for i, known in enumerate(judged):
        listed = found[i][found[i] >= 0]
        if len(np.unique(listed)) != len(listed):
            raise OptionError(f"list {i} names a text twice.")
        values = np.sort(np.fromiter(known.values(), float, len(known)))[::-1]
        if len(values) and values[-1] < 0:
            raise OptionError(f"judgement {i} has a negative gain.")
        ideal[i, : len(values)] = values
        relevant[i] = (values > 0).sum()
        gains[i] = [known.get(int(c), 0.0) if c >= 0 else 0.0 for c in found[i]]
    with np.errstate(invalid="ignore", divide="ignore"):
        discount = 1 / np.log2(2 + np.arange(ideal.shape[1]))
        made: dict[str, np.ndarray] = {}
        hit = gains > 0
        for k in ks:
            best = (ideal[:, :k] * discount[:k]).sum(1)
            made[f"ndcg@{k}"] = (gains[:, :k] * discount[: min(k, m)]).sum(1) / best
            made[f"recall@{k}"] = hit[:, :k].sum(1) / relevant
        precision = np.cumsum(hit, 1) / (1 + np.arange(m))
        made["map"] = (precision * hit).sum(1) / relevant
        first = np.where(hit.any(1), hit.argmax(1) + 1.0, np.inf)
        made["mrr"] = np.where(relevant > 0, 1 / first, np.nan)
    return made

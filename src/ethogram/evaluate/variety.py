"""What a list offers beside being right: is it varied, is it news, is it a pleasant surprise?

For the list L of the k items that stand first for a person, with the category c of an item and its share p among
everything that training saw:

    diversity     share of the pairs of L with different categories (intra-list distance)
    novelty       mean of -log2 p over L, in bits
    serendipity   share of L that is right and that nobody would have guessed: not among the k most popular items
                  that this person was asked about
    coverage      share of all items that stand in anybody's list

Ties of score are broken by mid-position: an item that shares the last places is in the list with the share of them
that is free, and every mean above is over those shares.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.errors import OptionError
from ethogram.evaluate.exposure import information


def membership(scores: np.ndarray, offsets: np.ndarray, k: int) -> np.ndarray:
    """Share with which each candidate is in its question's list of the first k, float64[total].

    >>> membership(np.array([3.0, 2.0, 2.0, 1.0]), np.array([0, 4]), 2).tolist()
    [1.0, 0.5, 0.5, 0.0]
    """
    if k < 1:
        raise OptionError(f"a list of {k} items; give 1 or more.")
    scores = np.asarray(scores, np.float64)
    question = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((-scores, question))
    first = np.ones(len(order), bool)
    first[1:] = (scores[order][1:] != scores[order][:-1]) | (question[order][1:] != question[order][:-1])
    starts = np.flatnonzero(first)
    level = np.diff(np.append(starts, len(order)))
    ahead = starts - np.asarray(offsets)[question[order][starts]]
    share = np.clip((k - ahead) / level, 0.0, 1.0)
    out = np.empty(len(order))
    out[order] = np.repeat(share, level)
    return out


def variety(
    scores: Any, offsets: Any, item: Any, category: Any, label: Any, counts: Any, k: int = 10
) -> dict[str, np.ndarray]:
    """Diversity, novelty and serendipity of each question, float64[n] (NaN: no list), and coverage, float64[1].

    Parameters
    ----------
    scores, item, category, label : flat beside the candidates, those of question q at ``offsets[q]:offsets[q + 1]``;
        item and category are codes from 0.
    counts : int[V], training events of each item.
    """
    offsets, item = np.asarray(offsets, np.int64), np.asarray(item, np.int64)
    category, counts = np.asarray(category, np.int64), np.asarray(counts, np.float64)
    n = len(offsets) - 1
    question = np.repeat(np.arange(n), np.diff(offsets))
    inside = membership(np.asarray(scores), offsets, k)
    size = np.bincount(question, inside, n)
    with np.errstate(invalid="ignore", divide="ignore"):
        width = int(category.max(initial=0)) + 1
        held = np.bincount(question * width + category, inside, n * width).reshape(n, width)
        # pairs of the same category, an item not being a pair with itself
        own = np.bincount(question, inside**2, n)
        same, pairs = (held**2).sum(1) - own, size**2 - own
        popular = membership(counts[item], offsets, k)
        lucky = inside * np.asarray(label, np.float64) * (1 - popular)
        shown = np.bincount(item, inside, len(counts)) > 0
        return {
            "diversity": np.where(pairs > 1e-12, 1 - same / pairs, np.nan),
            "novelty": np.bincount(question, inside * information(counts)[item], n) / size,
            "serendipity": np.bincount(question, lucky, n) / size,
            "coverage": np.array([shown.mean()]),
        }

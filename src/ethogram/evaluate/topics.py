"""Are topics good? Whether their words go together, and whether they differ.

    coherence of a topic = mean over pairs a < b of its top words of NPMI(a, b)
    NPMI(a, b) = ln(p_ab / (p_a p_b)) / -ln p_ab,     p: share of the bags that hold the word, or both; -1 if none does
    diversity = different words among all topics' top words / number of those
    overlap = mean over pairs of topics of |A and B| / |A or B|                                              Jaccard

Reference: G. Bouma: Normalized (Pointwise) Mutual Information in Collocation Extraction. GSCL 2009. A. Dieng, F. Ruiz,
D. Blei: Topic Modeling in Embedding Spaces. TACL 2020 (diversity).
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from ethogram.errors import OptionError


def coherence(top: np.ndarray, words: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """NPMI coherence of each topic, float64[K].

    Parameters
    ----------
    top : int[K, k], words of each topic, k of 2 or more. words, offsets : bags in compressed rows, no word
        twice in a bag.
    """
    top = _checked(top)
    different, inverse = np.unique(top, return_inverse=True)
    place = np.searchsorted(different, words)
    place = np.where((place < len(different)) & (different[np.minimum(place, len(different) - 1)] == words), place, -1)
    holds = np.zeros((len(offsets) - 1, len(different)))
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    holds[owner[place >= 0], place[place >= 0]] = 1
    both = holds.T @ holds / max(len(holds), 1)
    alone = np.diag(both)
    with np.errstate(divide="ignore", invalid="ignore"):
        told = np.log(both / (alone[:, None] * alone)) / -np.log(both)
    told[both == 0] = -1.0
    told[both == 1] = 1.0  # every bag holds both
    a, b = np.triu_indices(top.shape[1], 1)
    own = inverse.reshape(top.shape)
    return np.asarray(told[own[:, a], own[:, b]].mean(1))


def diversity(top: Any) -> float:
    """Share of different words among the top words of all topics: 1 where no two topics share one."""
    top = np.asarray(top)
    return len(np.unique(top)) / max(top.size, 1)


def overlap(top: Any) -> float:
    """Mean Jaccard similarity of the topics' sets of top words, 0 where no two share one; NaN for a single topic."""
    sets = [set(row) for row in top]
    shares = [len(a & b) / max(len(a | b), 1) for a, b in combinations(sets, 2)]
    return float(np.mean(shares)) if shares else float("nan")


def _checked(top: np.ndarray) -> np.ndarray:
    top = np.asarray(top)
    if top.ndim != 2 or top.shape[1] < 2:
        raise OptionError(f"coherence: top words of shape {top.shape}; give two or more words of each topic.")
    return top

"""Which branches of the condensed tree are the clusters, and how well each point belongs.

With birth(C) and death(C) the lambda at which a cluster begins and at which its last member has left or it parts,
``stability(C) = sum over what leaves C of (lambda - birth(C)) size``. Excess of mass takes a cluster instead of the
best choice below it unless that is more stable. ``probability = min(lambda of the point, death) / death``;
the outlier score is GLOSH, ``1 - lambda of the point / largest lambda below the cluster that it leaves``.

References: Campello et al. (see `linkage`), C. Malzer, M. Baum: A Hybrid Approach To Hierarchical Density-based
Cluster Selection. MFI 2020 (the epsilon).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Clusters:
    """The clusters of a condensed tree, in the order of their numbers; the root is the first.

    Attributes
    ----------
    parent : int64[C], -1 of the root. birth, death, highest, stability : float64[C]; `highest` is the largest lambda
        at or below the cluster. leaver : int64[n], the cluster that each point leaves. level : float64[n], at which.
    """

    parent: np.ndarray
    birth: np.ndarray
    death: np.ndarray
    highest: np.ndarray
    stability: np.ndarray
    leaver: np.ndarray
    level: np.ndarray

    @classmethod
    def of(cls, tree: np.ndarray, n: int) -> Clusters:
        count = int(tree["child"].max()) - n + 1 if tree["child"].max() >= n else 1
        above, child, level = tree["parent"].astype(np.int64) - n, tree["child"].astype(np.int64), tree["lambda"]
        inner = child >= n
        parent, birth = np.full(count, -1), np.zeros(count)
        parent[child[inner] - n], birth[child[inner] - n] = above[inner], level[inner]
        death = np.zeros(count)
        np.maximum.at(death, above, level)
        stability = np.bincount(above, (level - birth[above]) * tree["size"], minlength=count)
        highest = death.copy()
        for c in range(count - 1, 0, -1):  # a child's number is above its parent's
            highest[parent[c]] = max(highest[parent[c]], highest[c])
        leaver, left_at = np.zeros(n, np.int64), np.zeros(n)
        leaver[child[~inner]], left_at[child[~inner]] = above[~inner], level[~inner]
        return cls(parent, birth, death, highest, stability, leaver, left_at)

    def outlier_scores(self) -> np.ndarray:
        """float32[n], GLOSH."""
        highest = self.highest[self.leaver]
        with np.errstate(invalid="ignore", divide="ignore"):
            score = (highest - self.level) / highest
        # equal points have lambda = inf: nobody is more inside than they are
        score[~np.isfinite(self.level) | (highest == 0)] = 0.0
        score[np.isfinite(self.level) & np.isinf(highest)] = 1.0
        return score.astype(np.float32)


def select(found: Clusters, how: str, epsilon: float, single: bool) -> np.ndarray:
    """bool[C]: which clusters are chosen. `how` is eom or leaf; `single` allows the root."""
    count = len(found.parent)
    chosen = np.zeros(count, bool)
    leaf = np.ones(count, bool)
    leaf[found.parent[1:]] = False
    if how == "leaf":
        chosen[leaf] = True
        chosen[0] &= single
    else:
        best, below = found.stability.copy(), np.zeros(count)
        for c in range(count - 1, -1, -1):
            if c == 0 and not single:
                break
            if not leaf[c] and below[c] > best[c]:
                best[c] = below[c]
            else:
                chosen[c] = True
            if c:
                below[found.parent[c]] += best[c]
        _topmost(found.parent, chosen)
    if epsilon > 0 and not chosen[0]:
        _raised(found, chosen, epsilon, single)
    return chosen


def _topmost(parent: np.ndarray, chosen: np.ndarray) -> None:
    """Of nested choices the outermost stays."""
    inside = np.zeros(len(parent), bool)
    for c in range(len(parent)):
        inside[c] = c > 0 and (chosen[parent[c]] or inside[parent[c]])
        chosen[c] &= not inside[c]


def _raised(found: Clusters, chosen: np.ndarray, epsilon: float, single: bool) -> None:
    """Clusters that part below the distance epsilon give way to the first ancestor that parts at or above it."""
    for c in np.flatnonzero(chosen):
        at = c
        while 1.0 / found.birth[at] < epsilon:
            above = found.parent[at]
            if above == 0:
                at = 0 if single else at
                break
            at = above
        chosen[c], chosen[at] = False, True
    _topmost(found.parent, chosen)


def labelled(found: Clusters, chosen: np.ndarray, epsilon: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(label int32[n], -1 for noise; probability float32[n]; cluster of each label, by their lowest row)."""
    count = len(chosen)
    owner = np.full(count, -1)
    for c in range(count):
        owner[c] = c if chosen[c] else (owner[found.parent[c]] if c else -1)
    mine = owner[found.leaver]
    if chosen[0]:  # the root has no birth: it keeps those who stay to its end, or to epsilon
        stays = 1.0 / epsilon if epsilon > 0 else found.death[0]
        mine[found.level < stays] = -1
    present, first = np.unique(mine, return_index=True)
    first, present = first[present >= 0], present[present >= 0]
    clusters = present[np.argsort(first)]
    number = np.full(count + 1, -1, np.int32)  # the last place is noise
    number[clusters] = np.arange(len(clusters), dtype=np.int32)
    label = number[mine]
    death = found.death[mine]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.minimum(found.level, death) / death
    share[~np.isfinite(found.level) | (death == 0)] = 1.0
    share[label < 0] = 0.0
    return label, share.astype(np.float32), clusters

"""Weeks of a shop with planted rings, and everything that looks for them, by the same vectors, cards and alert volume.

All arms see the tags (a quarter of the fraud, and false ones) and never the truth. Where an arm has a setting, half of
the tags, drawn at random, ranks its alerts and the other half chooses the setting; then all tags rank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ethogram.risk.fin_deep_cluster import FinDeepCluster, telling
from ethogram.risk.fin_deep_cluster.cards import cards
from ethogram.risk.fin_deep_cluster.cases import Cases
from ethogram.risk.fin_deep_cluster.vectors import hybrid, spread

DAY = 86_400_000_000
PRECISION = 0.8
KS = (50, 100, 200, 400)
REACHES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5)
"""Quantiles of the distance to the fifth neighbour that are tried as eps of DBSCAN."""
QUICK: dict[str, Any] = {"transactions": 400, "rings": 3, "size": (20, 30), "tagged": 0.7}
SMALL: dict[str, Any] = {"epochs": 1, "hidden": 16, "out": 16, "dim": 16}
"""Of a quick run: a week, and the system on it."""


def generated(options: Mapping[str, Any]) -> tuple[Any, Any]:
    """The generator and its log, not cached on disk."""
    from ethogram.data.fraud_rings import FraudRings
    from ethogram.log import Log

    made = FraudRings(**options)
    reading = made.read()
    return made, Log.open(reading.events, items=reading.items, strict=True, **reading.roles)


@dataclass(eq=False)
class Week:
    """A generated log with a fitted system."""

    options: dict[str, Any]
    system: FinDeepCluster
    seed: int

    @cached_property
    def made(self) -> tuple[Any, Any]:
        return generated(self.options)

    @cached_property
    def fitted(self) -> FinDeepCluster:
        return self.system.fit(self.made[1], seed=self.seed)

    @cached_property
    def held(self) -> Cases:
        return self.fitted._cases(self.made[1])

    @cached_property
    def ring(self) -> np.ndarray:
        return rings_of(self.made[0], self.held)

    @cached_property
    def open(self) -> np.ndarray:
        """bool[n]: untagged, which is what is searched."""
        return ~(self.held.tag > 0)

    @cached_property
    def parts(self) -> tuple[np.ndarray, np.ndarray]:
        """z and the experts' coordinates of every case."""
        from ethogram.nn.time_attention import vectors

        own = self.fitted.fitted
        z = vectors(own.network, telling.clicks(self.held, own.tokens.codes(self.held)))
        return z, own.scales.apply(self.held.known, len(self.held))

    def x(self, weight: float) -> np.ndarray:
        z, f = self.parts
        return hybrid(z, f, weight, (spread(z), spread(f)))

    def clustered(self, weight: float) -> np.ndarray:
        """Labels by density at a weight of the clicks; the network does not depend on it."""
        return self.fitted._clusters(self.x(weight), self.seed).labels

    def risk(self, labels: np.ndarray, tag: np.ndarray | None = None) -> np.ndarray:
        """Of each case that of its cluster, 0 outside; by all tags, or those given."""
        held = self.held if tag is None else replace(self.held, tag=tag)
        return np.append(cards(held, labels, self.fitted._belief, DAY).risk, 0.0)[labels]

    @cached_property
    def alerts(self) -> np.ndarray:
        """bool[n]: untagged cases in clusters that the system flags."""
        labels = self.fitted.fitted.density.labels
        return np.append(self.fitted.fitted.cards.flagged, False)[labels] & self.open

    @property
    def volume(self) -> int:
        return int(self.alerts.sum())

    def first(self, score: np.ndarray) -> np.ndarray:
        """bool[n]: as many untagged cases as the system alerts, of the highest score; ties by chance."""
        order = np.lexsort((np.random.default_rng(self.seed).random(len(score)), -score, ~self.open))
        found = np.zeros(len(score), bool)
        found[order[: self.volume]] = True
        return found

    def precise(self, score: np.ndarray) -> np.ndarray:
        """bool[n]: the most alerts, in order of score and whole groups of ties, of which `PRECISION` are fraud."""
        rows = np.flatnonzero(self.open & (score > 0))
        rows = rows[np.argsort(-score[rows], kind="stable")]
        right = np.cumsum(self.ring[rows] >= 0) / np.arange(1, len(rows) + 1)
        whole = np.r_[score[rows][1:] < score[rows][:-1], True][: len(rows)]
        ends = np.flatnonzero(whole & (right >= PRECISION))
        found = np.zeros(len(score), bool)
        if len(ends):
            found[rows[: ends[-1] + 1]] = True
        return found

    def chosen(self, makers: list[Callable[[np.ndarray], np.ndarray]]) -> np.ndarray:
        """Scores of the maker (tags -> score of each case) whose alerts by half of the tags meet most of the others."""
        rng = np.random.default_rng([self.seed, 77])
        tags = self.held.tag > 0
        seen = np.where(tags & (rng.random(len(tags)) < 0.5), 1.0, 0.0)
        other = tags & (seen == 0)

        def met(maker: Callable[[np.ndarray], np.ndarray]) -> int:
            score = np.where(seen > 0, -np.inf, maker(seen))
            order = np.lexsort((rng.random(len(score)), -score))
            return int(other[order[: self.volume]].sum())

        best = max(range(len(makers)), key=lambda i: (met(makers[i]), -i))
        return makers[best](np.where(tags, 1.0, 0.0))

    def by_groups(self, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        return lambda tag: self.risk(labels, tag)

    @cached_property
    def arms(self) -> dict[str, np.ndarray]:
        """Scores of every case under each arm."""
        own = self.fitted.weight
        x, f = self.x(own), self.parts[1]
        return {
            "hybrid": self.risk(self.clustered(own)), "clicks": self.risk(self.clustered(1.0)),
            "numbers": self.risk(self.clustered(0.0)),
            "k-means": self.chosen([self.by_groups(_kmeans(x, k, self.seed)) for k in KS if 2 * k < len(x)]),
            "DBSCAN": self.chosen([self.by_groups(_dbscan(x, r)) for r in REACHES]),
            "isolation forest": self.chosen([_constant(_isolated(v, self.seed)) for v in (x, f)]),
            "boosted trees": self._boosted(),
        }  # fmt: skip

    def _boosted(self) -> np.ndarray:
        """Out of fold: what a classifier learns of the tags from the columns that rules read."""
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.model_selection import StratifiedKFold, cross_val_predict

        columns = telling.columns(self.held, self.fitted.fitted.tokens)
        numbers = np.stack([v for v in columns.values() if v.dtype != object], 1)
        model = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, random_state=self.seed)
        folds = StratifiedKFold(3, shuffle=True, random_state=self.seed)
        return np.asarray(cross_val_predict(model, numbers, self.held.tag > 0, cv=folds, method="predict_proba")[:, 1])


def rings_of(made: Any, held: Cases) -> np.ndarray:
    """Ring of each case, -1 for the honest."""
    told = made.truth()["cases"]
    ring = dict(zip(told["session"].to_pylist(), told["ring"].to_pylist(), strict=True))
    return np.array([ring[s] for s in held.session.to_pylist()])


def _constant(score: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda tag: score


def _kmeans(x: np.ndarray, k: int, seed: int) -> np.ndarray:
    from ethogram.numeric.kmeans import kmeans

    return kmeans(x, k, iterations=20, seed=seed)[1]


def _dbscan(x: np.ndarray, reach: float) -> np.ndarray:
    from sklearn.cluster import DBSCAN

    from ethogram.numeric.density import exact

    apart = exact.nearest(x, 5)[0][:, 4]
    return np.asarray(DBSCAN(eps=float(np.quantile(apart, reach)), min_samples=5, algorithm="brute").fit_predict(x))


def _isolated(x: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.ensemble import IsolationForest

    score = -IsolationForest(n_estimators=200, random_state=seed).fit(x).score_samples(x)
    return np.asarray(score - score.min() + 1e-9)

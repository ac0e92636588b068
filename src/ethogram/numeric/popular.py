"""What everybody did: how often each item occurs, and how often each value of a column is answered positively.

All numbers are kept once per fold of training, from what that fold may know, and once from everything. A training
question reads the row of its own fold, so that neither its answer nor the event that the answer became is in it (see
`ethogram.numeric.folds`); whoever is asked later reads the last row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ethogram.log import Features, ItemColumn
from ethogram.numeric.folds import Folds
from ethogram.numeric.rates import concentration, log_odds
from ethogram.numeric.slates import Answered
from ethogram.numeric.values import Values, columns


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of each item of a batch, [folds + 1, items] each: means over the values of a column.

    `events` is log(1 + events of the item), `share` is 0 and `odds` that of anything where an item has no value.
    """

    values: Mapping[str, Values]
    events: np.ndarray
    share: Mapping[str, np.ndarray]
    odds: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Popular:
    """Sums over training, [folds + 1, rows] each (one row once training is over).

    Attributes
    ----------
    counts : behaviour events by row of the item table, scaled to the number of all events.
    shares : item column -> share of the behaviour events that have each value, not 0 for any value.
    odds : ``item.<column>`` or ``context.<column>`` -> smoothed log-odds of a positive answer.
    base : log-odds of a positive answer to anything.
    """

    counts: np.ndarray
    shares: Mapping[str, np.ndarray]
    odds: Mapping[str, np.ndarray]
    base: float
    _kept: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        asked: Answered,
        weight: np.ndarray,
        features: Features,
        done: np.ndarray,
        folds: Folds,
        strength: float | None = None,
    ) -> Popular:
        """From the labelled slates (with the weights that the model learns with) and the behaviour of training.

        Parameters
        ----------
        done : int[N], items of the behaviour events, codes of the log that asks.
        strength : of the prior of the rates, None estimates it.
        """
        slates, size = asked.slates, features.tables
        fold = folds.asked[slates.owner]
        items = slates.batch.items
        counts = folds.sums(folds.done, items["item"].values[done + 1], None, size["item"])
        counts *= counts[-1].sum() / np.maximum(counts.sum(1, keepdims=True), 1)

        of_item = columns(features, items)
        n, k = (folds.sums(fold, slates.item, w, len(items["item"].values)) for w in (weight, weight * asked.label))
        mean = float(k[-1].sum() / n[-1].sum())
        odds, shares = {}, {}
        met = np.take(counts, items["item"].values, axis=1)  # by item of the batch
        # several rows of the batch's items may lie in one row of a hashed table: count such rows once each
        met = met / np.maximum(np.bincount(items["item"].values, minlength=size["item"]), 1)[items["item"].values]
        for name, values in of_item.items():
            odds[f"item.{name}"] = _odds(values.total(n), values.total(k), mean, strength)
            there = values.total(met) + 1.0
            shares[name] = there / (counts.sum(1, keepdims=True) + values.size)
        for name, found, table in slates.context():
            if table is not None:
                n, k = (folds.sums(fold, found, w, size[table]) for w in (weight, weight * asked.label))
                odds[f"context.{name}"] = _odds(n, k, mean, strength)
        return cls(counts, shares, odds, float(np.log(mean / (1 - mean))))

    def after_training(self) -> Popular:
        """Only the rows of everybody."""
        shares, odds = ({n: a[-1:] for n, a in of.items()} for of in (self.shares, self.odds))
        return Popular(self.counts[-1:], shares, odds, self.base)

    def facts(self, features: Features, items: Mapping[str, ItemColumn]) -> Facts:
        """All this by item of a batch; kept for the next batch over the same items."""
        held = self._kept.get("facts")
        if held is None or held[0] is not items:
            values = columns(features, items)
            held = (
                items,
                Facts(
                    values,
                    np.log1p(values["item"].mean(self.counts, 0.0)),
                    {n: v.mean(self.shares[n], 0.0) for n, v in values.items()},
                    {n: v.mean(self.odds[f"item.{n}"], self.base) for n, v in values.items()},
                ),
            )
            self._kept["facts"] = held
        return held[1]

    def arrays(self) -> dict[str, np.ndarray]:
        """For a system's State."""
        named = {f"share.{n}": a for n, a in self.shares.items()} | {f"odds.{n}": a for n, a in self.odds.items()}
        return {"events": self.counts, "base": np.array([self.base]), **named}

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray]) -> Popular:
        """The inverse of `arrays`; other members are ignored."""

        def named(prefix: str) -> dict[str, np.ndarray]:
            return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}

        return cls(arrays["events"], named("share."), named("odds."), float(arrays["base"][0]))


def _odds(trials: np.ndarray, hits: np.ndarray, mean: float, strength: float | None) -> np.ndarray:
    """Smoothed log-odds; one strength for all folds, so that they mean the same."""
    return log_odds(trials, hits, mean, strength or concentration(trials[-1], hits[-1]))

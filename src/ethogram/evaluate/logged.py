"""Logged decisions as a table for off-policy evaluation: who chose what, how probable that was, and what came of it.

Read from a log with the roles `propensity` and a reward (`label`, or `value`), and `position` and `slate` where a
decision shows several items. Each row is a choice of one item at its position.

The reward model of `evaluate` is the smoothed mean of an item at its position, learned on the other folds of decisions:

    q(a, k) = (sum r + m q(a)) / (n + m),    q(a) = (sum r + m mean) / (n + m)

so that no row's own reward is in what is predicted for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ethogram.errors import NoSupport, OptionError
from ethogram.evaluate.bootstrap import LEVEL, RESAMPLES
from ethogram.evaluate.off_policy import OffPolicy, policy_value

if TYPE_CHECKING:
    from ethogram.log import Log, Vocabulary

SMOOTHING = 20.0
"""Rows of the mean that stand beside an item's own, m."""
UNSEEN = 0.05
"""Share of a target that the log may not show at all before that is an error."""


@dataclass(frozen=True, eq=False)
class Decisions:
    """Rows of choices.

    Attributes
    ----------
    item : int[N], codes of `items`. position : int[N], codes of `positions`, which are P values in ascending order.
    reward, propensity : float[N]. decision : int[N].
    """

    item: np.ndarray
    position: np.ndarray
    reward: np.ndarray
    propensity: np.ndarray
    decision: np.ndarray
    items: Vocabulary
    positions: np.ndarray

    @classmethod
    def of(cls, log: Log, reward: str | None = None) -> Decisions:
        """The rows of a log that have a reward.

        Parameters
        ----------
        reward : column; `label`, else `value`, unless given.

        Raises
        ------
        OptionError
            There is no propensity, or no reward.
        """
        rows = log.sequences()
        columns = rows.columns
        name = reward or next((n for n in ("label", "value") if n in columns), None)
        if name is None or name not in columns:
            raise OptionError(f"off-policy: no column '{name or 'label'}' to take rewards from; name one with reward=.")
        if name in rows.vocabularies:
            raise OptionError(f"off-policy: '{name}' holds words; a reward is a number.")
        if "propensity" not in columns:
            raise OptionError(
                "off-policy: the log has no propensity, the probability with which each item was chosen; without it "
                "nothing can be told of another policy. Name its column with the role propensity."
            )
        value = np.asarray(columns[name], np.float64)
        there = np.flatnonzero(~np.isnan(value) & (np.asarray(columns["item"]) >= 0))
        if not len(there):
            raise OptionError(f"off-policy: no row has a reward in '{name}'.")
        given = np.asarray(columns["position"])[there] if "position" in columns else np.zeros(len(there))
        positions, position = np.unique(given, return_inverse=True)
        decision = np.arange(len(there))
        if "slate" in columns:
            asked = np.stack([rows.user[there], np.asarray(columns["slate"])[there]], 1)
            decision = np.unique(asked, axis=0, return_inverse=True)[1].reshape(-1)
        return cls(
            np.asarray(columns["item"])[there].astype(np.int64), position, value[there],
            np.asarray(columns["propensity"], np.float64)[there], decision, rows.vocabularies["item"],
            positions,
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, int]:
        """(positions, items)."""
        return len(self.positions), len(self.items)

    def uniform(self) -> np.ndarray:
        """The policy that shows every item alike: [P, V]."""
        return np.full(self.shape, 1 / self.shape[1])

    def frequencies(self, other: Decisions) -> np.ndarray:
        """The policy that shows items as often as another log does, by position: [P, V].

        Raises
        ------
        OptionError
            The other log has other positions.
        NoSupport
            It shows items that this one does not know.
        """
        if not np.array_equal(other.positions, self.positions):
            here, there = self.positions.tolist(), other.positions.tolist()
            raise OptionError(f"off-policy: positions {there} in the target's log, {here} here.")
        place = other.items.codes_in(self.items)[other.item]
        if (place < 0).any():
            raise NoSupport(f"off-policy: {(place < 0).mean():.1%} of the target's choices are items not in this log.")
        shown = np.bincount(other.position * self.shape[1] + place, minlength=self.shape[0] * self.shape[1])
        shown = shown.reshape(self.shape).astype(np.float64)
        return np.asarray(shown / shown.sum(1, keepdims=True))

    def evaluate(
        self, policy: np.ndarray, *, model: np.ndarray | None = None, clip: float | None = 10.0, folds: int = 3,
        unseen: float = UNSEEN, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL,
    ) -> OffPolicy:  # fmt: skip
        """Value of a target policy.

        Parameters
        ----------
        policy : probabilities of every item, [P, V] by position or [N, V] by row; or [N], of the logged choices alone,
            which leaves DM and DR out.
        model : expected rewards, [P, V] or [N, V]; learned here, on other folds, unless given.
        clip, resamples, seed, level : see `policy_value`. unseen : share of the policy that this log may never show.

        Raises
        ------
        OptionError
            A policy of another shape, or that does not sum to 1.
        NoSupport
            More than `unseen` of it is never shown at its position.
        """
        policy = np.asarray(policy, np.float64)
        how: dict[str, Any] = {
            "units": self.decision,
            "clip": clip,
            "resamples": resamples,
            "seed": seed,
            "level": level,
        }
        if policy.ndim == 1:
            return policy_value(self.reward, self.propensity, policy, **how)
        by_row = self._by_row(policy, "policy")
        rows = np.arange(len(self.item))
        if not (policy >= 0).all() or np.abs(policy.sum(1) - 1).max() > 1e-6:
            raise OptionError("off-policy: the policy's probabilities are not above 0 and do not sum to 1 over items.")
        shown = np.zeros(self.shape, bool)
        shown[self.position, self.item] = True
        share = np.bincount(self.position, minlength=self.shape[0]) / len(rows)
        if policy.shape == self.shape:
            lost = float(share @ (policy * ~shown).sum(1))
        else:
            lost = float((policy * ~shown[self.position]).sum(1).mean())
        if lost > unseen:
            raise NoSupport(
                f"off-policy: {lost:.1%} of what the target does is never shown by this log at that position; at most "
                f"{unseen:.0%} may be (unseen=)."
            )
        values = self.rewards(folds, seed) if model is None else self._by_row(np.asarray(model, np.float64), "model")
        expected = np.einsum("nv,nv->n", by_row, values)
        return policy_value(
            self.reward, self.propensity, by_row[rows, self.item], chosen=values[rows, self.item], expected=expected,
            unseen=lost, **how,
        )  # fmt: skip

    def _by_row(self, values: np.ndarray, name: str) -> np.ndarray:
        if values.shape == self.shape:
            return values[self.position]
        if values.shape != (len(self.item), self.shape[1]):
            raise OptionError(
                f"off-policy: a {name} of shape {values.shape}; give {self.shape} by position and item, or "
                f"({len(self.item)}, {self.shape[1]}) by row and item."
            )
        return values

    def rewards(self, folds: int = 3, seed: int = 0) -> np.ndarray:
        """The reward model for every row and item, float[N, V], from the other folds of decisions."""
        if folds < 2:
            raise OptionError(f"off-policy: folds = {folds}; rows are predicted by others, so give 2 or more.")
        number = int(self.decision.max()) + 1
        fold = np.random.default_rng(seed).permutation(number)[self.decision] % min(folds, max(number, 2))
        out = np.empty((len(self.item), self.shape[1]))
        for f in range(folds):
            out[fold == f] = self._means(fold != f)[self.position[fold == f]]
        return out

    def _means(self, rows: np.ndarray) -> np.ndarray:
        """q [P, V] of these rows."""
        item, position, reward = self.item[rows], self.position[rows], self.reward[rows]
        base = reward.mean() if len(reward) else 0.0
        count, total = (np.bincount(item, x, self.shape[1]) for x in (None, reward))
        each = (total + SMOOTHING * base) / (count + SMOOTHING)
        cell, size = position * self.shape[1] + item, self.shape[0] * self.shape[1]
        count, total = (np.bincount(cell, x, size).reshape(self.shape) for x in (None, reward))
        return np.asarray((total + SMOOTHING * each) / (count + SMOOTHING))

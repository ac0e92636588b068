"""Default risk from standard aggregates of payments: what a good scorecard reaches without reading sequences.

Boosted trees (or logistic regression) on counts, sums, means, monthly sums and slopes by category and window
(`ethogram.numeric.totals`) and on columns of the users' side table. The probability is calibrated on the validation
part. A reason is a category: how far the answer moves when its columns are set to what is usual in training,

    share_c = |z(x) - z(x with c as usual)| / sum over categories

Trees by scikit-learn (HistGradientBoostingClassifier), kept as plain arrays and walked without it.

J. Friedman: Greedy Function Approximation: A Gradient Boosting Machine. Annals of Statistics 2001.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.log.cases import Cases
from ethogram.log.groups import keyed
from ethogram.log.profile import Profile
from ethogram.log.vocabulary import Vocabulary
from ethogram.numeric.calibrate import Calibration
from ethogram.numeric.deciding import Deciding, listed, money
from ethogram.numeric.logistic import newton
from ethogram.numeric.totals import EVERYTHING, NAMES, names, totals
from ethogram.numeric.trees import Trees
from ethogram.system import system
from ethogram.verbs import Log, State, Table, Watch

RIDGE = 10.0
"""Penalty of the logistic regression's weights, on scaled columns."""


STEADY = 0.02
"""Slopes of monthly sums, of their mean, that are not called a change."""


class Fitted(NamedTuple):
    kinds: Vocabulary
    profile: Profile
    usual: np.ndarray
    "Median of each column in training, float64[F]."
    scale: np.ndarray
    "Mean and deviation of each column as the logistic regression reads it, float64[2, F]."
    trees: Trees | None
    weights: np.ndarray
    calibration: Calibration
    facts: dict[str, float]


@system(
    "payment_aggregates",
    paper="Greedy Function Approximation: A Gradient Boosting Machine",
    year=2001,
    area="risk",
    verbs=("assess",),
    baseline=True,
)
@dataclass(kw_only=True)
class PaymentAggregates(Deciding):
    """Gradient boosting on standard aggregates."""

    category: str = "category"
    "Column of the events or items whose values are counted apart; where the log has none, all is counted together."
    kinds: int = 20
    "Values of it that have columns of their own, the most frequent in training."
    days: float | None = None
    "Days before the decision that are read; all without."
    learner: Literal["trees", "logistic"] = "trees"
    "Boosted trees, or logistic regression of the same columns (signed logarithms, missing as usual)."
    steps: int = 300
    "Trees at most; the validation part decides how many are used."
    learning_rate: float = 0.05
    "Share of each tree that is added."
    leaves: int = 15
    "Leaves per tree."
    min_leaf: int = 30
    "People per leaf, at least."
    column_share: float = 0.3
    "Share of the columns that each split may choose from."
    probabilities: Literal["sigmoid", "isotonic", "raw"] = "sigmoid"
    "How scores become probabilities on the validation part."
    reasons: int = 3
    "Categories that are named for each person."

    def __post_init__(self) -> None:
        if min(self.steps, self.kinds, self.reasons) < 1 or not 0 < self.column_share <= 1:
            raise OptionError(
                f"payment_aggregates: steps = {self.steps}, kinds = {self.kinds}, reasons = {self.reasons}, "
                f"column_share = {self.column_share}; give 1 or more, and a share in (0, 1]."
            )
        self.check_profile("payment_aggregates")

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from people whose outcome is known; `valid` decides how many trees are used, and calibrates.

        Raises
        ------
        LeakError
            Payments lie at or behind a decision. RolesError: a column is missing. OptionError: no outcome of each kind.
        """
        found = self.cases(train, needed=True)
        mine = self.two_kinds("payment_aggregates", found, found.known)
        label = found.label[mine] > 0.5
        kinds = self._kinds(found, mine)
        about = Profile.learn(found, self.profile, found.known)
        rows = self._rows(found, kinds, about)
        told = rows[mine]
        told = np.where(np.isfinite(told).any(0), told, 0.0)  # a column without a single number tells nothing
        usual = np.nanmedian(told, axis=0)
        made = Fitted(
            kinds,
            about,
            usual,
            np.zeros((2, 0)),
            None,
            np.zeros(0),
            Calibration("none"),
            self._facts(found, mine, label),
        )
        if self.learner == "trees":
            made = made._replace(trees=self._grow(told, label.astype(np.float64), seed))
        else:
            flat = _flat(told, usual)
            scale = np.stack([flat.mean(0), np.where(flat.std(0) > 1e-9, flat.std(0), 1.0)])
            design = np.concatenate([np.ones((len(flat), 1)), (flat - scale[0]) / scale[1]], 1)
            made = made._replace(scale=scale, weights=newton(design, label, np.ones(len(label)), RIDGE))
        held = None if valid is None else self.cases(valid)
        if held is not None and len(np.unique(held.label[held.known] > 0.5)) == 2:
            theirs, outcome = self._rows(held, kinds, about)[held.known], held.label[held.known].astype(np.float64)
            if made.trees is not None:
                losses = made.trees.stages(theirs, outcome, np.ones(len(outcome)))
                made = made._replace(trees=made.trees.first(int(np.argmin(losses))))
                if watch is not None:
                    watch({"step": len(made.trees), "steps": self.steps, "valid": -float(losses.min())})  # type: ignore[arg-type]
            if self.probabilities != "raw":
                z = _logit(made, theirs)
                made = made._replace(calibration=Calibration.learn(self.probabilities, z, outcome))
        self.fitted = made
        return self

    def assess(self, log: Log) -> Table:
        """One row per user that has events: columns `user`, `time`, `risk`, `reason`, `reasons`, as those of `lbsf`."""
        fitted: Fitted = self.fitted
        found = self.cases(log)
        rows = self._rows(found, fitted.kinds, fitted.profile)
        z = _logit(fitted, rows)
        said, listed = _reasons(fitted, rows, z, self.reasons)
        made = {
            "user": found.ids, "time": pa.array(found.decided, pa.timestamp("us", "UTC")),
            "risk": np.clip(fitted.calibration(z), 0.0, 1.0), "reason": said, "reasons": listed,
        }  # fmt: skip
        told = {**fitted.facts, "payments behind decisions, cut": found.cut}
        return pa.table(made).replace_schema_metadata({"summary": json.dumps([told])})

    def state(self) -> State:
        f: Fitted = self.fitted
        arrays = {"usual": f.usual, "scale": f.scale, "weights": f.weights}
        told = {
            "kinds": f.kinds.ids.to_pylist(), "profile": f.profile.json(), "calibration": f.calibration.json(),
            "facts": f.facts, "trees": f.trees is not None,
        }  # fmt: skip
        return State(arrays | ({} if f.trees is None else f.trees.arrays()), json=told)

    def restore(self, state: State) -> Self:
        told, held = state.json, state.arrays
        trees = Trees.restored(held) if told["trees"] else None
        self.fitted = Fitted(
            Vocabulary(told["kinds"]), Profile.from_json(told["profile"]), held["usual"], held["scale"], trees,
            held["weights"], Calibration.from_json(told["calibration"]), dict(told["facts"]),
        )  # fmt: skip
        return self

    def _kind(self, found: Cases) -> tuple[np.ndarray, Vocabulary]:
        items = found.log.items
        there = {*found.sequences.columns, *(items.column_names[1:] if items is not None else ())}
        if self.category not in there:
            return np.full(len(found.sequences), -1, np.int64), Vocabulary(pa.array([], pa.string()))
        return keyed(found.log, self.category)

    def _kinds(self, found: Cases, mine: np.ndarray) -> Vocabulary:
        code, ids = self._kind(found)
        learned = np.isin(found.sequences.user, found.user[mine])
        often = np.bincount(code[(code >= 0) & learned], minlength=len(ids))
        best = np.argsort(-often, kind="stable")[: self.kinds]
        return Vocabulary(ids.ids.take(pa.array(np.sort(best[often[best] > 0]))))

    def _rows(self, found: Cases, kinds: Vocabulary, about: Profile) -> np.ndarray:
        code, ids = self._kind(found)
        return np.concatenate([totals(found, code, ids, kinds, self.days), about.rows(found)], 1)

    def _facts(self, found: Cases, mine: np.ndarray, label: np.ndarray) -> dict[str, float]:
        facts = {
            "people learned from": len(mine), "of them yes": int(label.sum()),
            "outcome not known, left out": int((~found.known).sum()), "of these known too late": found.late,
            "payments behind decisions, cut in training": found.cut,
        }  # fmt: skip
        return {k: float(v) for k, v in facts.items()}

    def _grow(self, rows: np.ndarray, label: np.ndarray, seed: int) -> Trees:
        from sklearn.ensemble import HistGradientBoostingClassifier
        from threadpoolctl import threadpool_limits

        model = HistGradientBoostingClassifier(
            max_iter=self.steps, learning_rate=self.learning_rate, max_leaf_nodes=self.leaves,
            min_samples_leaf=min(self.min_leaf, max(1, len(rows) // 20)), max_features=self.column_share,
            l2_regularization=1.0, early_stopping=False, random_state=seed,
        )  # fmt: skip
        with threadpool_limits(1, user_api="openmp"):
            return Trees.of(model.fit(rows, label))


def _flat(rows: np.ndarray, usual: np.ndarray) -> np.ndarray:
    filled = np.where(np.isfinite(rows), rows, usual)
    return np.asarray(np.sign(filled) * np.log1p(np.abs(filled)))


def _logit(fitted: Fitted, rows: np.ndarray) -> np.ndarray:
    if fitted.trees is not None:
        return fitted.trees.raw(rows)
    scaled = np.clip((_flat(rows, fitted.usual) - fitted.scale[0]) / fitted.scale[1], -8, 8)
    return np.asarray(fitted.weights[0] + scaled @ fitted.weights[1:])


def _reasons(fitted: Fitted, rows: np.ndarray, z: np.ndarray, k: int) -> tuple[pa.Array, pa.Array]:
    """(a sentence for each person, the k categories without which the answer would differ most)."""
    width, columns = len(NAMES), names(fitted.kinds)
    kinds = [*fitted.kinds.ids.to_pylist(), EVERYTHING, *(["profile"] if rows.shape[1] > len(columns) else [])]
    bounds = [*range(0, len(columns) + 1, width), rows.shape[1]]
    moved = np.empty((len(rows), len(kinds)))
    for c in range(len(kinds)):
        other = rows.copy()
        other[:, bounds[c] : bounds[c + 1]] = fitted.usual[bounds[c] : bounds[c + 1]]
        moved[:, c] = z - _logit(fitted, other)
    size = np.abs(moved)
    share = size / np.maximum(size.sum(1, keepdims=True), 1e-12)
    order = np.argsort(-share, axis=1, kind="stable")[:, :k]
    value, what, told = [], [], []
    for i, best in enumerate(order.tolist()):
        for c in best:
            word = "raises" if moved[i, c] > 0 else "lowers"
            facts = rows[i, bounds[c] : bounds[c] + width] if c * width < len(columns) else None
            what.append("all payments" if kinds[c] == EVERYTHING else str(kinds[c]))
            value.append(f"{word} the risk" + ("" if facts is None else f": {_told(facts)}"))
            told.append(float(share[i, c]))
    per = order.shape[1]
    # the sentence speaks for the answer: of the named categories the strongest on the side on which the answer lies
    picked = np.take_along_axis(moved, order, 1)
    side = np.where(moved.sum(1, keepdims=True) >= 0, picked, -picked) > 0
    best = np.arange(len(rows)) * per + side.argmax(1)
    said = [f"{what[i].capitalize()} {value[i]}." for i in best.tolist()]
    return pa.array(said, pa.string()), listed(what, value, told, np.arange(len(rows) + 1) * per)


def _told(facts: np.ndarray) -> str:
    """A block of aggregates in words."""
    whole, slope = NAMES.index("count whole"), facts[NAMES.index("slope")]
    if not facts[whole] > 0:
        return "no payment there"
    change = ""
    if not np.isnan(slope):
        way = "grow" if slope > 0 else "fall"
        size = f"{way} by {abs(slope):.0%} of their mean a month" if abs(slope) >= STEADY else "stay as they are"
        change = f", monthly sums {size}"
    return f"{facts[whole]:,.0f} payments, {money(facts[whole + 1])} in sum{change}"

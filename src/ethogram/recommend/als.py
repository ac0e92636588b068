"""Recommends by the tastes that explain who took what how often: a vector per person and per item, nothing sampled.

    min  sum over all u, i of c_ui (p_ui - x_u . y_i)^2 + lambda (sum |x_u|^2 + sum |y_i|^2)
    p_ui = 1 if u ever took i, else 0;     c_ui = 1 + alpha r_ui   or   1 + alpha log(1 + r_ui / epsilon)

r_ui counts u's events with i. Users and items are solved for in turn, each exactly given the other (or by some steps
of conjugate gradients); the last half-step is the users', so that a trained vector is the one that `fold_in` finds for
the user's training history. A score is a sum over that history, which `explain` takes apart:

    x_u . y_i = sum over items j of u of c_uj y_i' (Y'Y + Y'(C_u - I)Y + lambda I)^-1 y_j

Defaults were chosen on the validation parts of two logs (film ratings, groceries); the paper's alpha of 40 was for
hours of television.

Reference: Y. Hu, Y. Koren, C. Volinsky: Collaborative Filtering for Implicit Feedback Datasets. ICDM 2008.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from ethogram.errors import OptionError
from ethogram.numeric import leastsquares
from ethogram.numeric.factor_system import FactorSystem
from ethogram.numeric.factors import Factors, matrix
from ethogram.numeric.growing import grown
from ethogram.numeric.interactions import Interactions
from ethogram.numeric.known import Known
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch

START = 0.01
"""Deviation of the items' vectors before the first half-step."""


@system(
    "als",
    paper="Collaborative Filtering for Implicit Feedback Datasets",
    year=2008,
    area="recommend",
    verbs=("score", "recommend", "update", "explain", "similar_items"),
    baseline=True,
)
@dataclass(kw_only=True)
class ALS(FactorSystem):
    """Implicit matrix factorisation by alternating least squares."""

    factors: int = 64
    "Width of the vectors."
    alpha: float = 1.0
    "Confidence that an event adds to the 1 that every pair has."
    confidence: Literal["linear", "log"] = "linear"
    "Confidence grows with the count of a pair, or with log(1 + count / epsilon)."
    epsilon: float = 1.0
    "Scale of the count in the logarithm."
    regularisation: float = 10.0
    "Weight lambda of the squared lengths of all vectors."
    iterations: int = 15
    "Times that users and items are solved for."
    solver: Literal["cholesky", "cg"] = "cg"
    "Exact, or conjugate gradients from the iteration before; the last half-step and folding in are always exact."
    cg_steps: int = 3
    "Steps of conjugate gradients."
    refresh: int = 3
    "Iterations of `update`."

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Factorise; `valid` has nothing to do.

        Raises
        ------
        OptionError
            A width or number of iterations below 1, or a weight that is negative.
        """
        self._check()
        known = Known.of(train)
        pairs = matrix(train.histories(), known)
        rng = np.random.default_rng(seed)
        items = START * rng.standard_normal((pairs.width, self.factors), np.float32)
        users = np.zeros((len(pairs), self.factors), np.float32)
        self.fitted = self._alternated(known, pairs, users, items, self.iterations, watch)
        return self

    def update(self, log: Log) -> Self:
        """Take in further events, `log` holding only these, each after those of the same user so far.

        Counts, users, items and the share of repeats are those of a fit to all events, and so is every user's vector
        given the items' (the last half-step is exact). The items' vectors are `refresh` iterations from where they
        were: the same descent on the same sum as a fit's, from a better start, to another of its many minima.
        """
        model = self.fitted.model
        known, pairs, place = grown(model.known, self.fitted.pairs, log)
        # at zero, new people who took new items only would stay there
        rng = np.random.default_rng(len(pairs.items))
        items = START * rng.standard_normal((pairs.width, self.factors), np.float32)
        items[place] = model.vectors
        users = np.zeros((len(pairs), self.factors), np.float32)
        users[: len(model.users)] = model.users
        self.fitted = self._alternated(known, pairs, users, items, self.refresh, None)
        return self

    def _check(self) -> None:
        for name, least in (
            ("factors", 1),
            ("iterations", 1),
            ("refresh", 1),
            ("cg_steps", 1),
            ("alpha", 0),
            ("regularisation", 0),
        ):
            if getattr(self, name) < least:
                raise OptionError(f"als: {name} = {getattr(self, name)}; give {least} or more.")
        if self.epsilon <= 0:
            raise OptionError(f"als: epsilon = {self.epsilon} is not a scale; give a number above 0.")

    def _alternated(
        self, known: Known, pairs: Interactions, users: np.ndarray, items: np.ndarray, times: int, watch: Watch | None
    ) -> _Fitted:
        turned = pairs.transposed()
        extra, extra_turned = self._extra(pairs.counts), self._extra(turned.counts)
        for i in range(times):
            users = self._half(pairs, extra, items, users)
            items = self._half(turned, extra_turned, users, items)
            if watch is not None:
                watch({"epoch": i + 1, "epochs": times, "step": None, "loss": None, "valid": None})
        users = leastsquares.solve(pairs, extra, items, self._fixed(items))
        return self._fitted(known, users, items, pairs)

    def _half(self, pairs: Interactions, extra: np.ndarray, given: np.ndarray, before: np.ndarray) -> np.ndarray:
        how = {"solver": self.solver, "steps": self.cg_steps}
        return leastsquares.solve(pairs, extra, given, self._fixed(given), start=before, **how)  # type: ignore[arg-type]

    def _extra(self, counts: np.ndarray) -> np.ndarray:
        """Confidence above 1 of counts, float32."""
        grown = counts if self.confidence == "linear" else np.log1p(counts / np.float32(self.epsilon))
        return np.float32(self.alpha) * grown

    def _fixed(self, vectors: np.ndarray) -> np.ndarray:
        # a vanishing penalty keeps every system solvable where vectors outnumber what they are learned from
        return leastsquares.gram(vectors, max(self.regularisation, 1e-6))

    def _fitted(self, known: Known, users: np.ndarray, items: np.ndarray, pairs: Interactions) -> _Fitted:
        fixed = self._fixed(items)

        def fold(asked: Interactions) -> np.ndarray:
            return leastsquares.solve(asked, self._extra(asked.counts), items, fixed)

        return _Fitted(Factors(known, users, items, fold, self.fold_in == "always"), pairs, fixed)

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """The part of each past event in the score of the folded-in history: exact, the parts add up to the score.

        Events with the same item share its part equally.
        """
        fitted = self.fitted
        items = fitted.model.vectors.astype(np.float64)

        def parts(taken: np.ndarray, counts: np.ndarray) -> np.ndarray:
            extra, y = self._extra(counts.astype(np.float32)).astype(np.float64), items[taken]
            return np.asarray(np.linalg.solve(fitted.fixed + y.T @ (extra[:, None] * y), y.T * (1 + extra)))

        return fitted.model.explain(histories, candidates, k, parts)

    def state(self) -> State:
        model, pairs = self.fitted.model, self.fitted.pairs
        arrays = {"users": model.users, "items": model.vectors, "offsets": pairs.offsets, "pairs": pairs.items}
        return State({**arrays, "counts": pairs.counts}, {}, {}, {"known": model.known.state()})

    def restore(self, state: State) -> Self:
        held = {name: np.asarray(a) for name, a in state.arrays.items()}
        pairs = Interactions(held["offsets"], held["pairs"], held["counts"], len(held["items"]))
        self.fitted = self._fitted(Known.restore(state.parts["known"]), held["users"], held["items"], pairs)
        return self


@dataclass(frozen=True, eq=False)
class _Fitted:
    """`pairs` of training, for a later `update`; `fixed` is Y'Y + lambda I."""

    model: Factors
    pairs: Interactions
    fixed: np.ndarray

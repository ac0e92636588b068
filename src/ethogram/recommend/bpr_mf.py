"""Recommends by tastes learned from comparisons: what a person took should score above what they did not.

    loss = - ln sigmoid(x_ui - x_uj) + lambda / 2 (|p_u|^2 + |q_i|^2 + |q_j|^2),     x_ui = p_u . q_i

for draws of a user u, an item i that u took and an item j that u never took; an epoch has as many draws as there are
distinct pairs. `sgd` takes a step after every draw (the paper's LearnBPR), `adam` after every `batch` of them.
A stranger gets the vector that minimises the same loss for their history while the items stay as they are
(`ethogram.numeric.folding`).

Deviation: one lambda for users and items, and no bias of the item.

Reference: S. Rendle, C. Freudenthaler, Z. Gantner, L. Schmidt-Thieme: BPR: Bayesian Personalized Ranking from Implicit
Feedback. UAI 2009.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, Self

import numpy as np

from ethogram.numeric import course, folding
from ethogram.numeric.draws_system import DrawsSystem, Stop
from ethogram.numeric.factor_system import FactorSystem, check
from ethogram.numeric.factors import Factors
from ethogram.numeric.interactions import Interactions
from ethogram.numeric.known import Known
from ethogram.numeric.pairnet import Learner, PairNetwork, Plain
from ethogram.numeric.pairwise import Draws
from ethogram.system import system
from ethogram.verbs import State, Watch

START = 0.05
"""Deviation of all vectors before the first step."""


@system(
    "bpr_mf",
    paper="BPR: Bayesian Personalized Ranking from Implicit Feedback",
    year=2009,
    area="recommend",
    verbs=("score", "recommend", "similar_items"),
    baseline=True,
)
@dataclass(kw_only=True)
class BPRMF(DrawsSystem, FactorSystem):
    """Matrix factorisation that learns to rank from pairs of items."""

    factors: int = 64
    "Width of the vectors."
    optimiser: Literal["sgd", "adam"] = "sgd"
    "A plain step after every draw, or Adam after every batch."
    lr: float = 0.1
    "Step size; for Adam rather 0.001."
    regularisation: float = 0.005
    "Weight lambda of the squared lengths of a draw's three vectors."
    epochs: int = 100
    batch: int = 2_048
    "Draws per step of Adam."
    fold_steps: int = 20
    "Steps of the folding-in."

    def _check(self) -> None:
        check(self, above=("factors", "lr", "batch", "fold_steps"), least=("regularisation",))

    def _learn(self, known: Known, pairs: Interactions, stop: Stop, seed: int, watch: Watch | None) -> _Fitted:
        rng = np.random.default_rng(seed)
        users, items = self.network(pairs, rng).tables
        draws = Draws(pairs, rng)
        if self.optimiser == "sgd":
            epoch = self._plain(draws, users, items)
        else:
            learner = Learner(Plain(users, items), lr=self.lr, penalty=self.regularisation)
            epoch = learner.epoch(draws, self.batch)
        judged = stop(self._factors(known, users, items, always=False))
        how = {"epochs": self.epochs, "patience": self.patience}
        done = course.run(epoch, (users, items), valid=judged, watch=watch, **how)  # type: ignore[arg-type]
        return _Fitted(self._factors(known, users, items, self.fold_in == "always"), done)

    def _plain(self, draws: Draws, users: np.ndarray, items: np.ndarray) -> course.Epoch:
        return lambda: draws.descend(users, items, len(draws.pairs.items), self.lr, self.regularisation)

    def network(self, pairs: Interactions, rng: np.random.Generator) -> PairNetwork:
        """The untrained vectors, for a training of another kind (see `ethogram.numeric.pairnet`)."""
        users, items = (START * rng.standard_normal((n, self.factors), np.float32) for n in (len(pairs), pairs.width))
        return Plain(users, items)

    def model(self, known: Known, arrays: Mapping[str, np.ndarray], *, penalty: float, always: bool) -> Factors:
        """What scores, from vectors that were learned with a penalty."""
        items = arrays["items"]
        # without a penalty the best vector of a stranger can lie infinitely far
        fold = max(penalty, 1e-4)
        return Factors(
            known, arrays["users"], items, lambda asked: folding.fold(asked, items, fold, self.fold_steps), always
        )

    def _factors(self, known: Known, users: np.ndarray, items: np.ndarray, always: bool) -> Factors:
        return self.model(known, {"users": users, "items": items}, penalty=self.regularisation, always=always)

    def state(self) -> State:
        model = self.fitted.model
        arrays = {"users": model.users, "items": model.vectors}
        return State(arrays, {}, {"course": asdict(self.fitted.course)}, {"known": model.known.state()})

    def restore(self, state: State) -> Self:
        users, items = np.asarray(state.arrays["users"]), np.asarray(state.arrays["items"])
        model = self._factors(Known.restore(state.parts["known"]), users, items, self.fold_in == "always")
        self.fitted = _Fitted(model, course.Course(**state.json["course"]))
        return self


@dataclass(frozen=True, eq=False)
class _Fitted:
    model: Factors
    course: course.Course

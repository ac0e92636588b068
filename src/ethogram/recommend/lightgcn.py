"""Recommends by tastes that are averaged over the graph of who took what: neighbours' neighbours inform a vector.

    x_u^(k+1) = sum over items i of u of x_i^(k) / sqrt(|N_u| |N_i|),   and the same for items over their users
    x = 1 / (K + 1)  sum of x^(k), k = 0 ... K;          score = x_u . x_i
    loss = - ln sigmoid(x_ui - x_uj) + lambda / 2 (|x_u^(0)|^2 + |x_i^(0)|^2 + |x_j^(0)|^2)

for draws of a user u, an item i that u took and an item j that u never took; only x^(0) is learned, by Adam. A
stranger has no x^(0): their vector is what the graph would carry to it from the items of the history,

    x_u = 1 / (K + 1)  sum over items i of u of (x_i^(0) + ... + x_i^(K-1)) / sqrt(|N_u| |N_i|),

which is a sum over the history that `explain` takes apart. For a user of training it is the trained vector without
its own x_u^(0) / (K + 1).

Reference: X. He, K. Deng, X. Wang, Y. Li, Y. Zhang, M. Wang: LightGCN: Simplifying and Powering Graph Convolution
Network for Recommendation. SIGIR 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np

from ethogram.numeric import course
from ethogram.numeric.draws_system import DrawsSystem, Stop
from ethogram.numeric.factor_system import FactorSystem, check
from ethogram.numeric.factors import Factors
from ethogram.numeric.interactions import Interactions
from ethogram.numeric.known import Known
from ethogram.numeric.pairnet import Learner
from ethogram.numeric.pairwise import Draws, Pair, xavier
from ethogram.numeric.propagation import Convolved, Graph, sums
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, State, Table, Watch


@system(
    "lightgcn",
    paper="LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation",
    year=2020,
    area="recommend",
    verbs=("score", "recommend", "explain", "similar_items"),
    baseline=True,
)
@dataclass(kw_only=True)
class LightGCN(DrawsSystem, FactorSystem):
    """Graph convolution without weights, over users and items."""

    factors: int = 64
    "Width of the vectors."
    layers: int = 3
    "Times K that vectors are averaged over neighbours."
    lr: float = 1e-3
    "Step size of Adam."
    regularisation: float = 1e-4
    "Weight lambda of the squared lengths of a draw's three learned vectors."
    batch: int = 2_048
    "Draws per step; each step passes over the whole graph."
    epochs: int = 200

    def _check(self) -> None:
        check(self, above=("factors", "layers", "lr", "batch"), least=("regularisation",))

    def _learn(self, known: Known, pairs: Interactions, stop: Stop, seed: int, watch: Watch | None) -> _Fitted:
        rng = np.random.default_rng(seed)
        network = self.network(pairs, rng)
        start, draws = network.tables, Draws(pairs, rng)
        users, items = start[0].copy(), start[1].copy()
        trained = self._factors(known, users, items, np.zeros_like(items), always=False)
        learn = self._learner(network.graph, draws, start)

        def epoch() -> float:
            loss = learn()
            users[:], items[:] = network.vectors()
            return loss

        done = course.run(epoch, start, epochs=self.epochs, valid=stop(trained), patience=self.patience, watch=watch)
        arrays = network.arrays()
        model = self.model(known, arrays, penalty=self.regularisation, always=self.fold_in == "always")
        return _Fitted(model, arrays["carried"], done)

    def network(self, pairs: Interactions, rng: np.random.Generator) -> Convolved:
        """The untrained network, for a training of another kind (see `ethogram.numeric.pairnet`)."""
        start = xavier(rng, len(pairs), self.factors), xavier(rng, pairs.width, self.factors)
        return Convolved(Graph(pairs), start, self.layers)

    def model(self, known: Known, arrays: Mapping[str, np.ndarray], *, penalty: float, always: bool) -> Factors:
        """What scores, from a network's arrays; the vector of a stranger needs no penalty."""
        return self._factors(known, arrays["users"], arrays["items"], arrays["carried"], always)

    def _learner(self, graph: Graph, draws: Draws, start: Pair) -> course.Epoch:
        network = Convolved(graph, start, self.layers)
        return Learner(network, lr=self.lr, penalty=self.regularisation).epoch(draws, self.batch)

    def _factors(
        self, known: Known, users: np.ndarray, items: np.ndarray, carried: np.ndarray, always: bool
    ) -> Factors:
        def fold(asked: Interactions) -> np.ndarray:
            return sums(asked, carried) / np.sqrt(np.maximum(asked.lengths, 1)).astype(np.float32)[:, None]

        return Factors(known, users, items, fold, always)

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """The part of each past event in the score of the folded-in history: exact, the parts add up to the score.

        Events with the same item share its part equally.
        """
        carried = self.fitted.carried.astype(np.float64)

        def parts(taken: np.ndarray, counts: np.ndarray) -> np.ndarray:
            return np.asarray(carried[taken].T / np.sqrt(len(taken)))

        return self.fitted.model.explain(histories, candidates, k, parts)

    def state(self) -> State:
        model = self.fitted.model
        arrays = {"users": model.users, "items": model.vectors, "carried": self.fitted.carried}
        return State(arrays, {}, {"course": asdict(self.fitted.course)}, {"known": model.known.state()})

    def restore(self, state: State) -> Self:
        users, items, carried = (np.asarray(state.arrays[n]) for n in ("users", "items", "carried"))
        known = Known.restore(state.parts["known"])
        model = self._factors(known, users, items, carried, self.fold_in == "always")
        self.fitted = _Fitted(model, carried, course.Course(**state.json["course"]))
        return self


@dataclass(frozen=True, eq=False)
class _Fitted:
    """`carried` float32[M, d] is what each item adds to the vector of a stranger with one item."""

    model: Factors
    carried: np.ndarray
    course: course.Course

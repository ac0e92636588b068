"""Recommendations learned from clicks of which some are accidents: a step prefers what fits the person's other clicks.

A step draws users and for each a pool of k of their items and one item j that they never took, which all of the pool
share. One item of the pool is learned from, chosen by its loss within the user's own pool:

    l_i = softplus(x_uj - x_ui)                                  pairwise; pointwise: l_i = softplus(-x_ui)
    p_i = exp(-l_i / tau) / sum over the pool of exp(-l / tau)
    loss = l of the chosen (u, i, j) + lambda / 2 (|x_u|^2 + |x_i|^2 + |x_j|^2)

Over all users the losses of clean and accidental clicks overlap; within one user they stand apart. The first epochs
(`warm`) take an item of the pool at random, since a model that knows nothing cannot tell. What is trained is any
recommender that learns from pairs (`backbone`): its vectors, depth and folding-in are its own; the steps are ours.

**Which tau.** A sharp one (0.1) suits accidents that have nothing to do with the person (mis-clicks, robots). Disliked
items were chosen by the person and look like the others: there it starves hard but true clicks, and 0.5 to 1 does no
harm. Choose on validation; 1 is the default because the noise is seldom known. `ethogram.numeric.resampling.pick_rate`
says which way to go: noise is chosen less with larger k and smaller tau,
provided that its losses are higher.

Other ways of the literature under the same draws, for comparison (`how`): ``global`` chooses a batch's items among the
whole batch's pools; ``truncated`` (T-CE) leaves out the batch's largest losses, a share that grows to `drop`;
``reweighted`` (R-CE) weighs a loss by sigmoid(x_ui - x_uj)^beta, pointwise sigmoid(x_ui)^beta; ``plain`` none.

Deviations: Adam with the penalty in the gradient, in the place of AdamW's; an epoch is as many draws as there are
pairs; where the pool is larger than the user's items it holds some twice.

References: K. Zhang, Q. Cao, Y. Wu, F. Sun, H. Shen, X. Cheng: Personalized Denoising Implicit Feedback for Robust
Recommender System. WWW 2025. W. Wang, F. Feng, X. He, L. Nie, T.-S. Chua: Denoising Implicit Feedback for
Recommendation. WSDM 2021 (T-CE, R-CE).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, Self

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.numeric import course
from ethogram.numeric.draws_system import DrawsSystem, Stop
from ethogram.numeric.factor_system import FactorSystem, check
from ethogram.numeric.factors import Factors
from ethogram.numeric.interactions import Interactions
from ethogram.numeric.known import Known
from ethogram.numeric.pairnet import Learner, LearnsFromPairs, PairNetwork, arrays_of
from ethogram.numeric.resampling import Pools, pool_losses, softmin
from ethogram.numeric.without import explain_without
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, State, Table, Watch


@system(
    "pld",
    paper="Personalized Denoising Implicit Feedback for Robust Recommender System",
    year=2025,
    area="recommend",
    verbs=("score", "recommend", "explain", "similar_items"),
    uses=("bpr_mf",),
)
@dataclass(kw_only=True)
class PLD(DrawsSystem, FactorSystem):
    """Training that resamples each user's clicks by the user's own losses."""

    backbone: LearnsFromPairs = "bpr_mf"  # type: ignore[assignment]
    "What is trained: a system that learns from pairs (bpr_mf, lightgcn) or its key; its own steps are not used."
    how: Literal["personal", "global", "truncated", "reweighted", "plain"] = "personal"
    "Choose by the user's own losses (the paper), by the batch's, drop or weigh by loss (T-CE, R-CE), or do nothing."
    loss: Literal["bpr", "bce"] = "bpr"
    "Compare with an item not taken, or judge both alone."
    pool: int = searched(5, 2, 8)
    "Items k of a user among which one is chosen."
    tau: float = searched(1.0, 0.05, 2.0, log=True)
    "Sharpness of the choice: small prefers small losses strictly."
    warm: int = 5
    "Epochs before the choice begins."
    drop: float = 0.2
    "Largest share of a batch that `truncated` leaves out."
    gradual: int = 20
    "Epochs over which that share grows."
    beta: float = 0.2
    "Power of the weight of `reweighted`."
    lr: float = searched(5e-3, 5e-4, 2e-2, log=True)
    "Step size of Adam."
    regularisation: float = searched(1e-4, 1e-5, 1e-1, log=True)
    "Weight lambda of the squared lengths of a draw's three learned vectors."
    patience: int = 10
    "Epochs without a better NDCG@10 on validation before it stops; counted behind the first choice."

    def _learn(self, known: Known, pairs: Interactions, stop: Stop, seed: int, watch: Watch | None) -> _Fitted:
        rng = np.random.default_rng(seed)
        network = self.backbone.network(pairs, rng)
        chooser = _Chooser(self, network, Pools(pairs, rng), rng)
        arrays = {name: np.array(a) for name, a in network.arrays().items()}

        def epoch() -> float:
            loss = chooser.epoch()
            for name, now in network.arrays().items():
                arrays[name][:] = now
            return loss

        judged = stop(self._model_of(known, arrays, always=False))
        how = {"epochs": self.epochs, "patience": self.patience + self.warm}
        done = course.run(epoch, list(arrays.values()), valid=judged, watch=watch, **how)  # type: ignore[arg-type]
        model = self._model_of(known, arrays, self.fold_in == "always")
        return _Fitted(model, arrays, pairs, chooser.offered, chooser.chance, done)

    def _check(self) -> None:
        check(self, above=("pool", "tau", "lr", "batch", "gradual"), least=("regularisation", "warm", "beta"))
        if not 0 <= self.drop < 1:
            raise OptionError(f"pld: drop = {self.drop} is not a share below 1.")

    def _model_of(self, known: Known, arrays: dict[str, np.ndarray], always: bool) -> Factors:
        return self.backbone.model(known, arrays, penalty=self.regularisation, always=always)

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """The past events without which the folded-in history would score an item most differently."""
        return explain_without(self.fitted.model.score, histories, candidates, k)

    def cleanliness(self) -> Table:
        """How readily each training pair was chosen: the lower, the more it looks like an accident.

        Columns `user`, `item`, `offered` (times it stood in a pool after the first epochs), `chance` (mean
        probability of being chosen from it, times k: 1 is what chance would give; null where never offered) and
        `loss` (pairwise, in the fitted model, averaged over 16 items not taken).
        """
        fitted = self.fitted
        known, pairs = fitted.model.known, fitted.pairs
        with np.errstate(invalid="ignore", divide="ignore"):
            chance = fitted.chance / fitted.offered * self.pool
        return pa.table(
            {
                "user": known.users.decode(pairs.owner),
                "item": known.items.decode(np.flatnonzero(known.counts > 0)[pairs.items]),
                "offered": fitted.offered.astype(np.int64),
                "chance": pa.array(chance, mask=fitted.offered == 0),
                "loss": pair_losses(fitted.model, pairs)[:, 0].astype(np.float64),
            }
        )

    def state(self) -> State:
        f = self.fitted
        own = {"offered": f.offered, "chance": f.chance, "offsets": f.pairs.offsets, "taken": f.pairs.items}
        parts = {"known": f.model.known.state(), "network": State(f.arrays)}
        return State(own, {}, {"course": asdict(f.course)}, parts)

    def restore(self, state: State) -> Self:
        known, arrays = Known.restore(state.parts["known"]), arrays_of(state.parts["network"])
        own = arrays_of(state)
        taken = own["taken"]
        pairs = Interactions(own["offsets"], taken, np.ones(len(taken), np.float32), known.trained)
        model = self._model_of(known, arrays, self.fold_in == "always")
        self.fitted = _Fitted(
            model, arrays, pairs, own["offered"], own["chance"], course.Course(**state.json["course"])
        )
        return self


class _Chooser:
    """Epochs of draws, and how often each pair was offered with what probability of being chosen."""

    def __init__(self, o: PLD, network: PairNetwork, pools: Pools, rng: np.random.Generator):
        self.o, self.network, self.pools, self.rng, self.done = o, network, pools, rng, 0
        self.learner = Learner(network, lr=o.lr, penalty=o.regularisation)
        self.pairs = len(pools.pairs.items)
        self.offered, self.chance = np.zeros(self.pairs), np.zeros(self.pairs)

    def epoch(self) -> float:
        total = drawn = 0
        choosing = self.done >= self.o.warm
        for at in range(0, self.pairs, self.o.batch):
            triples, weight = self._batch(min(self.o.batch, self.pairs - at), choosing)
            if len(triples):
                total += self.learner.step(triples, weight, pointwise=self.o.loss == "bce") * len(triples)
                drawn += len(triples)
        if not drawn:
            raise OptionError("pld: everybody took every item; there is nothing to compare with.")
        self.done += 1
        return total / drawn

    def _batch(self, n: int, choosing: bool) -> tuple[np.ndarray, np.ndarray | None]:
        how, pointwise = self.o.how if choosing else "plain", self.o.loss == "bce"
        pool, place = self.pools.draw(n, self.o.pool if how in ("personal", "global") else 1)
        if how == "plain" or not len(pool):
            return pool[:, 0], None
        loss = pool_losses(pool, self.network.vectors(), pointwise=pointwise)
        if how == "personal":
            return self.pools.choose(pool, place, loss, self.o.tau, self.offered, self.chance), None
        if how == "global":
            chance = softmin(loss.reshape(-1), self.o.tau)
            flat, n = place.reshape(-1), len(self.offered)
            self.offered += np.bincount(flat, minlength=n)
            self.chance += np.bincount(flat, chance * len(pool), n)
            return pool.reshape(-1, 3)[self.rng.choice(len(chance), len(pool), p=chance)], None
        if how == "truncated":
            share = self.o.drop * min(1.0, (self.done - self.o.warm + 1) / self.o.gradual)
            kept = np.argsort(loss[:, 0], kind="stable")[: max(1, round(len(pool) * (1 - share)))]
            return pool[np.sort(kept), 0], None
        return pool[:, 0], np.exp(-loss[:, 0].astype(np.float64) * self.o.beta)


def pair_losses(model: Factors, pairs: Interactions, others: int = 16, seed: int = 0) -> np.ndarray:
    """float32[pairs, 2], pairwise and pointwise loss of each pair in a model, over items drawn at random.

    The items of one user are all compared with the same ones, so that their losses can be compared.
    """
    from ethogram.numeric.weighted import losses

    rng, total = np.random.default_rng(seed), np.zeros((len(pairs.items), 2), np.float32)
    for _ in range(others):
        against = rng.integers(0, pairs.width, len(pairs)).astype(np.int32)[pairs.owner]
        triples = np.stack([pairs.owner, pairs.items, against], 1).astype(np.int32)
        total += losses(triples, (model.users, model.vectors))
    return total / np.float32(others)


@dataclass(frozen=True, eq=False)
class _Fitted:
    model: Factors
    arrays: dict[str, np.ndarray]
    pairs: Interactions
    offered: np.ndarray
    chance: np.ndarray
    course: course.Course

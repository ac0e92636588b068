"""Recommends from clicks alone, telling apart why people click (latent intents), and trusts accidental clicks less.

    Z   = D^-1/2 A D^-1/2 E                                     what neighbours say
    R   = softmax(E C) C'                                       what the intents say: K prototypes C of each side
    H_b = row-normalised a(Z) E,   H_g = row-normalised a(R) E,   a_hk = (cos(X_h, X_k) + 1) / 2 on the edges
    E^(l+1) = Z + R + H_b + H_g + E;       x = sum over l = 0 ... L of E^(l);       score(u, i) = x_u . x_i
    loss = BPR + lambda |E^(0) of the triples|^2 + mu |C|^2
         + gamma * sum over layers and over views V in (R, H_b, H_g) of InfoNCE(Z, V), users and items of the batch

Each edge's a is learned with the vectors: an adaptive mask, in the place of edges dropped at random. `trust` shows it,
`intents` the mixtures. A stranger has no E^(0): the vector is the mean of x over the items of the history, scaled as a
user of the training log with that many items is (a sum over the history, which `explain` takes apart).

`augment` is for comparison: `random` contrasts two graphs with edges dropped at random (SGL) on the same encoder
without the adaptive views, `none` has no contrast; `intent=False` leaves R and H_g out, `masks=False` H_b and H_g; all
off is the sum-form of LightGCN.

E sums over layers, so scores grow with them and overfit soon: `regularisation` is large beside LightGCN's (chosen on
the validation part of MovieLens-100K, where at a tenth of it recall fell by an eighth).

Deviations: the contrast is over at most `contrast` nodes of each side (it is quadratic); the fold-in.

Reference: X. Ren, L. Xia, J. Zhao, D. Yin, C. Huang: Disentangled Contrastive Collaborative Filtering. SIGIR 2023.
J. Wu et al.: Self-supervised Graph Learning for Recommendation. SIGIR 2021 (`random`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.numeric.draws_system import DrawsSystem, Stop
from ethogram.numeric.factor_system import FactorSystem, check
from ethogram.numeric.factors import Factors
from ethogram.numeric.interactions import Interactions
from ethogram.numeric.known import Known
from ethogram.numeric.pairwise import Draws
from ethogram.numeric.propagation import sums
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, State, Table, Watch


@system(
    "dccf",
    paper="Disentangled Contrastive Collaborative Filtering",
    year=2023,
    area="recommend",
    verbs=("score", "recommend", "explain", "similar_items"),
    needs=("torch",),
)
@dataclass(kw_only=True)
class DCCF(DrawsSystem, FactorSystem):
    """Graph collaborative filtering with intents, learned edge masks and a contrast of views."""

    factors: int = 32
    "Width d of the vectors."
    layers: int = searched(2, 1, 3)
    "Times L that views are added."
    prototypes: int = 128
    "Intents K of users, and as many of items."
    intent: bool = True
    "Use the view of intents."
    masks: bool = True
    "Use the views with learned weights of edges."
    augment: Literal["adaptive", "random", "none"] = "adaptive"
    "Contrast the learned views with the graph, two graphs with random edges dropped, or nothing."
    dropped: float = 0.1
    "Share of edges that `random` drops."
    weight: float = searched(0.01, 1e-4, 0.2, log=True)
    "Weight gamma of the contrast."
    temperature: float = searched(0.5, 0.1, 1.0, log=True)
    "Temperature of the contrast, of cosines."
    contrast: int = 1_024
    "Users, and items, of a batch that are contrasted, at most."
    lr: float = searched(2e-3, 5e-4, 1e-2, log=True)
    "Step size of Adam."
    regularisation: float = searched(1.0, 1e-3, 10.0, log=True)
    "Weight lambda of half the squared lengths of a draw's three learned vectors."
    spread: float = 5e-3
    "Weight mu of the summed squared lengths of the prototypes."
    batch: int = 2_048
    "Draws per step; each step passes over the whole graph."
    patience: int = 5

    def _learn(self, known: Known, pairs: Interactions, stop: Stop, seed: int, watch: Watch | None) -> _Fitted:
        import torch

        from ethogram.nn.disentangled import Disentangled
        from ethogram.nn.graph import BipartiteGraph
        from ethogram.nn.train import train as learn

        if (pairs.lengths[pairs.lengths > 0] >= pairs.width).all():
            raise OptionError(
                f"dccf: everybody in the training log took all {pairs.width} of its items; it learns from an item that "
                "a person took against one that they did not, so there is nothing to learn from. Give a log with more."
            )
        draws = Draws(pairs, np.random.default_rng(seed))
        how = {"layers": self.layers, "prototypes": self.prototypes, "intent": self.intent, "masks": self.masks}
        network = Disentangled(BipartiteGraph(pairs), self.factors, **how, seed=seed)  # type: ignore[arg-type]

        def batches(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, int]]:
            return ((triples, int(rng.integers(2**31))) for triples in draws.batches(self.batch) if len(triples))

        users, items = (a.copy() for a in network.vectors())
        trained = self._factors(known, users, items, pairs.lengths, always=False)
        judged = stop(trained)

        def value() -> float:
            users[:], items[:] = network.vectors()
            assert judged is not None
            return judged()

        done = learn(
            network, batches, lambda given: network.loss(self, *given),
            optimisers=[torch.optim.Adam(network.parameters(), self.lr)], epochs=self.epochs, seed=seed,
            valid=None if judged is None else value, patience=self.patience, watch=watch,
        )  # fmt: skip
        users[:], items[:] = network.vectors()
        views = network.views()
        model = self._factors(known, users, items, pairs.lengths, self.fold_in == "always")
        return _Fitted(model, pairs, views, asdict(done))

    def _check(self) -> None:
        above = ("factors", "layers", "prototypes", "temperature", "contrast", "lr", "batch")
        check(self, above=above, least=("weight", "regularisation", "spread"))
        if not 0 <= self.dropped < 1:
            raise OptionError(f"dccf: dropped = {self.dropped} is not a share below 1.")

    def _factors(
        self, known: Known, users: np.ndarray, items: np.ndarray, lengths: np.ndarray, always: bool
    ) -> Factors:  # fmt: skip
        def fold(asked: Interactions) -> np.ndarray:
            return sums(asked, items) / np.maximum(asked.lengths, 1).astype(np.float32)[:, None]

        return Factors(known, users, items, fold, always)

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """The part of each past event in the score of the folded-in history: exact, the parts add up to the score.

        Column `intent` is the intent of items that the candidate is most of (null without intents).
        """
        model = self.fitted.model
        vectors = model.vectors.astype(np.float64)
        found = model.explain(histories, candidates, k, lambda taken, counts: vectors[taken].T / max(len(taken), 1))
        rows = model.known.rows_in(candidates.vocabulary)[candidates.vocabulary.encode(found.column("candidate"))]
        mix = self.fitted.views.get("item_intents")
        if mix is None:
            return found.append_column("intent", pa.nulls(found.num_rows, pa.int64()))
        kind = mix.argmax(1)[np.maximum(rows, 0)].astype(np.int64)
        return found.append_column("intent", pa.array(kind, mask=rows < 0))

    def trust(self) -> Table:
        """How much each training pair is trusted: `user`, `item`, and `trust` in [0, 1], its learned mask; the lower,
        the more it looks like an accident. Which mask stands in `nn.disentangled.Disentangled.views`."""
        known, pairs = self.fitted.model.known, self.fitted.pairs
        return pa.table(
            {
                "user": known.users.decode(pairs.owner),
                "item": known.items.decode(np.flatnonzero(known.counts > 0)[pairs.items]),
                "trust": self.fitted.views["trust"].astype(np.float64),
            }
        )

    def intents(self) -> Table:
        """The mixture of intents of each user of training: `user`, `intent` (the largest), `share`, `mixture`."""
        mix = self.fitted.views.get("user_intents")
        if mix is None:
            raise OptionError("dccf: fitted with intent=False; there are no intents.")
        largest = mix.argmax(1)
        return pa.table(
            {
                "user": self.fitted.model.known.users.ids,
                "intent": largest.astype(np.int64),
                "share": mix[np.arange(len(mix)), largest].astype(np.float64),
                "mixture": list(mix.astype(np.float64)),
            }
        )

    def state(self) -> State:
        f = self.fitted
        own = {"users": f.model.users, "items": f.model.vectors, "offsets": f.pairs.offsets, "taken": f.pairs.items}
        parts = {"known": f.model.known.state(), "views": State(f.views)}
        return State(own, {}, {"trained": f.trained}, parts)

    def restore(self, state: State) -> Self:
        known = Known.restore(state.parts["known"])
        users, items, offsets, taken = (np.asarray(state.arrays[n]) for n in ("users", "items", "offsets", "taken"))
        pairs = Interactions(offsets, taken, np.ones(len(taken), np.float32), known.trained)
        views = {n: np.asarray(a) for n, a in state.parts["views"].arrays.items()}
        model = self._factors(known, users, items, pairs.lengths, self.fold_in == "always")
        self.fitted = _Fitted(model, pairs, views, dict(state.json["trained"]))
        return self


@dataclass(frozen=True, eq=False)
class _Fitted:
    """`views`: ``trust`` of each pair, ``user_intents`` and ``item_intents`` float32[n, K] where there are intents."""

    model: Factors
    pairs: Interactions
    views: dict[str, np.ndarray]
    trained: dict[str, Any]

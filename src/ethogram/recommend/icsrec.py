"""Recommends what comes next, reading different histories that end in the same item as one purpose.

    h_j  = encoder state of the history up to j,      P(next = i | j) = exp(h_j . e_i) / sum over items of exp(h_j . e)
    loss = cross-entropy of the next item over the whole catalogue
         + lambda * InfoNCE(h, h')             h' : state of another prefix, of anybody, with the same next item
         + beta   * InfoNCE(h or h', centre)   centre : k-means of all states before each epoch, of length 1

Prefixes with the same target, or of the same cluster, are no negatives of each other (`mask`). Every prefix of every
history is an example: a causal encoder has them all in one pass, so that "prefix augmentation + full softmax" alone
(lambda = beta = 0) is what `sasrec` of this package trains, and most of what the paper gains over its SASRec.

`explain` names the past events that a score would miss most, and the intent (cluster) that the history is read as;
`describe_intents` says what each stands for.

Deviations: the two contrastive losses are over `pairs` rows of a batch in the place of all; windows of long histories
begin anywhere, in the place of one window for each prefix, and prefixes of fewer than four events count; rows of equal
time are one unordered group; a state is assigned to the centre of largest product.

Reference: X. Qin, H. Yuan, P. Zhao, G. Liu, F. Zhuang, V. S. Sheng: Intent Contrastive Learning with Cross
Subsequences for Sequential Recommendation. WSDM 2024.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.numeric.without import explain_without
from ethogram.options import searched
from ethogram.recommend.sasrec import SASRec
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch

if TYPE_CHECKING:
    from ethogram.nn.nextfit import NextItemNetwork, Objective, Training


@system(
    "icsrec",
    paper="Intent Contrastive Learning with Cross Subsequences for Sequential Recommendation",
    year=2024,
    area="recommend",
    verbs=("score", "recommend", "explain", "similar_items"),
    needs=("torch",),
)
@dataclass(kw_only=True)
class ICSRec(SASRec):
    """A next-item encoder whose states are drawn together by purpose."""

    encoder: Literal["transformer", "gru"] = "transformer"
    "What reads a history; a gru has `hidden` units (twice `dim` if none) and ignores `heads` and `norm`."
    coarse: float = searched(0.1, 0.0, 0.5)
    "Weight lambda of drawing together prefixes with the same next item."
    fine: float = searched(0.1, 0.0, 0.5)
    "Weight beta of drawing prefixes to the centre of their intent."
    intents: int = searched(256, among=(64, 256, 1_024))
    "Clusters of states."
    pairs: int = 128
    "Rows of a batch that the contrastive losses compare."
    temperature: float = searched(1.0, 0.1, 4.0, log=True)
    "Temperature of the contrastive losses; products of states are not normalised."
    mask: bool = True
    "Leave prefixes with the same target, or of the same intent, out of the negatives."

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from behaviour; `valid` decides when to stop.

        Raises
        ------
        OptionError
            Numbers that no network can have, or a log in which nobody has two groups of events.
        """
        from ethogram.nn.intents import Intents, centres_of
        from ethogram.nn.nextfit import NextItemFit

        for name, least in (("coarse", 0), ("fine", 0), ("intents", 1), ("pairs", 1)):
            if getattr(self, name) < least:
                raise OptionError(f"icsrec: {name} = {getattr(self, name)}; give {least} or more.")
        if self.temperature <= 0:
            raise OptionError(f"icsrec: temperature = {self.temperature}; give a number above 0.")
        made: list[Intents] = []

        def objective(training: Training) -> Objective:
            how = (self.coarse, self.fine, self.intents, self.pairs, self.temperature, self.mask)
            made.append(Intents(training, *how))
            return made[0]

        contrast = objective if self.coarse or self.fine else None
        trained = NextItemFit.fit(self, self._network, train, valid, seed=seed, watch=watch, objective=contrast)
        rng = np.random.default_rng(seed)
        # of the weights that were kept; without contrast there are no intents
        centres = np.zeros((0, self.dim), np.float32)
        if made:
            centres = centres_of(made[0].states(rng, 24 * self.intents), self.intents, rng).numpy()
        self.fitted = replace(trained, more=centres)
        return self

    def _network(self, items: int, sparse: bool, seed: int) -> NextItemNetwork:
        if self.encoder == "transformer":
            return super()._network(items, sparse, seed)
        from ethogram.nn.nextfit import NextItemNetwork
        from ethogram.nn.recurrent import Recurrent

        hidden = self.hidden or 2 * self.dim
        encoder = Recurrent(self.dim, hidden=hidden, layers=self.layers, dropout=self.dropout, seed=seed)
        deviation = (2 / (items + 1 + self.dim)) ** 0.5
        return NextItemNetwork(items, self.dim, encoder, sparse=sparse, deviation=deviation, seed=seed)

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """The past events that each score would miss most, with column `intent` of the history (null without)."""
        found = explain_without(self.fitted.score, histories, candidates, k)
        question = found.column("question").to_numpy()
        return found.append_column("intent", self._intents(histories).take(pa.array(question)))

    def _intents(self, histories: Histories) -> pa.Array:
        states, known = self.fitted.model.states(histories)
        if not len(self.fitted.more):
            return pa.nulls(len(histories), pa.int64())
        return pa.array((states @ self.fitted.more.T).argmax(1).astype(np.int64), mask=~known)

    def assign(self, histories: Histories) -> Table:
        """Columns `question`, `intent`: the cluster of each history; null where nothing of it is known."""
        return pa.table({"question": np.arange(len(histories)), "intent": self._intents(histories)})

    def describe_intents(self, k: int = 5) -> Table:
        """The k items that each intent asks for: columns `intent`, `item`, `score`, `rank`."""
        model, centres = self.fitted.model, self.fitted.more
        scores = centres @ model.vectors.T
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        n, width = best.shape
        codes = np.flatnonzero(model.known.counts > 0)[best.reshape(-1)]
        return pa.table(
            {
                "intent": np.repeat(np.arange(n), width),
                "item": model.known.items.decode(codes),
                "score": np.take_along_axis(scores, best, 1).reshape(-1).astype(np.float64),
                "rank": np.tile(np.arange(1, width + 1), n),
            }
        )

    def state(self) -> State:
        return State({"centres": self.fitted.more}, parts={"network": self.fitted.state()})

    def restore(self, state: State) -> Self:
        from ethogram.nn.nextfit import NextItemFit

        trained = NextItemFit.restore(self, self._network, state.parts["network"])
        self.fitted = replace(trained, more=np.asarray(state.arrays["centres"]))
        return self

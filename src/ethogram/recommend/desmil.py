"""Recommends by several interests of a person, kept apart so that a change in their mix does not mislead.

    a_kj = w_k . tanh(W e_j) + rho_k g_j,   A_k = softmax over the history of a_k,   v_k = sum over j of A_kj e_j
    score(u, i) = max over k of v_k . e_i
    loss = sum over examples of w_i * cross-entropy of the target over the catalogue, by the interest closest to it

Interests that are shown and taken together become dependent, and a network learns to lean on one for the other. The
weights w of the examples are learned, batch by batch, so that under them the interests are as independent as can be
(HSIC with random Fourier features, `nn.independence`); then the network learns with them fixed. Serving has no weights.
`stable=False` is ComiRec-SA: all examples count alike. `dependence` shows how dependent the interests were, by epoch:
a health number that rises while validation falls is the sign that it matters.

`explain` is exact: the interest that answers is a weighted sum of past items, whose parts add up to the score.

Q is 20 and not the paper's 5: with so few functions the weights fit those that were drawn, and other functions show
more dependence than before (measured by the claim).

Deviations: the softmax goes over the catalogue, in the place of samples; a_kj has a pace rho_k by distance in groups in
the place of position vectors in e_j, so that all prefixes of a history are examples in one pass; random features of
`dims` coordinates of the interests, drawn for each batch, stand for those of all; weights are of a batch of about a
thousand examples, without saved groups of earlier ones.

References: Z. Liu, J. Wang, J. Shao, Y. Chang, et al.: Improving Multi-Interest Network with Stable Learning (DESMIL).
2022. Y. Cen, J. Zhang, X. Zou, C. Zhou, H. Yang, J. Tang: Controllable Multi-Interest Framework for Recommendation
(ComiRec). KDD 2020.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.nn.next_item_system import NextItemSystem
from ethogram.numeric.reasons import reasons
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch

if TYPE_CHECKING:
    from ethogram.nn.nextfit import NextItemNetwork, Objective, Training
    from ethogram.nn.stable import Stable


@system(
    "desmil",
    paper="Improving Multi-Interest Network with Stable Learning",
    year=2022,
    area="recommend",
    verbs=("score", "recommend", "explain", "similar_items"),
    needs=("torch",),
)
@dataclass(kw_only=True)
class DESMIL(NextItemSystem):
    """A multi-interest network that learns from examples weighted to make interests independent."""

    dim: int = searched(64, among=(32, 64, 128))
    "Width of item vectors and interests."
    interests: int = searched(4, 1, 8)
    "Interests K of a history."
    hidden: int = 64
    "Units of the attention."
    length: int = searched(50, among=(20, 50, 100))
    "Events that are read: of a window in training, from the end of the history in use."
    dropout: float = searched(0.2, 0.0, 0.6)
    "Share of the item vectors' entries that is dropped in training."
    stable: bool = True
    "Learn weights of the examples; without them it is ComiRec-SA."
    features: int = 20
    "Random Fourier functions Q of each coordinate."
    dims: int = 2
    "Coordinates of the interests whose dependence is measured, drawn for each batch."
    inner: int = 10
    "Steps on a batch's weights."
    inner_lr: float = 0.1
    "Size of those steps, of Adam on the logarithms of the weights."
    penalty: float = searched(0.1, 0.01, 1.0, log=True)
    "Weight of the mean square of the weights: larger keeps them more alike."

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from behaviour; `valid` decides when to stop.

        Raises
        ------
        OptionError
            Numbers that no network can have, or a log in which nobody has two groups of events.
        """
        from ethogram.nn.nextfit import NextItemFit
        from ethogram.nn.stable import Stable

        for name in ("interests", "features", "dims", "inner", "inner_lr"):
            if getattr(self, name) <= 0:
                raise OptionError(f"desmil: {name} = {getattr(self, name)}; give a number above 0.")
        if self.penalty < 0:
            raise OptionError(f"desmil: penalty = {self.penalty}; give 0 or more.")
        made: list[Stable] = []

        def objective(training: Training) -> Objective:
            how = (self.interests, self.features, self.dims, self.inner, self.inner_lr, self.penalty, self.stable)
            made.append(Stable(training, *how))
            return made[0]

        trained = NextItemFit.fit(self, self._network, train, valid, seed=seed, watch=watch, objective=objective)
        made[0].close()
        self.fitted = replace(trained, more=made[0].course)
        return self

    def _network(self, items: int, sparse: bool, seed: int) -> NextItemNetwork:
        from ethogram.nn.interests import InterestEncoder, InterestNetwork

        how = {"interests": self.interests, "hidden": self.hidden, "dropout": self.dropout, "seed": seed}
        encoder = InterestEncoder(self.dim, **how)  # type: ignore[arg-type]
        deviation = (2 / (items + 1 + self.dim)) ** 0.5
        return InterestNetwork(items, self.dim, encoder, sparse=sparse, deviation=deviation, seed=seed)

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """The past events with the largest part in the answering interest, with column `interest`: its number."""
        model, told = self.fitted.model, {}
        states = model.states(histories)[0].reshape(len(histories), self.interests, -1)
        own, vectors = model.known.rows_in(candidates.vocabulary), model.vectors.astype(np.float64)
        place = np.append(candidates.vocabulary.codes_in(candidates.vocabulary), -1)

        def terms(question: int, codes: np.ndarray, past: slice) -> np.ndarray:
            found, judged = np.zeros((len(codes), past.stop - past.start)), own[codes]
            asked = vectors[np.maximum(judged, 0)]
            best = (asked @ states[question].T.astype(np.float64)).argmax(1)
            for code, interest in zip(place[codes].tolist(), best.tolist(), strict=True):
                told[question, code] = interest
            at, row, weight = _attention(model, histories[question : question + 1])
            parts = weight[:, best].T * (asked @ vectors[row].T)
            found[:, at] = np.where(judged[:, None] >= 0, parts, 0.0)
            return found

        table = reasons(histories, candidates, terms, k)
        code = candidates.vocabulary.encode(table.column("candidate")).tolist()
        asked = zip(table.column("question").to_pylist(), code, strict=True)
        return table.append_column("interest", pa.array([told[a] for a in asked], pa.int64()))

    def dependence(self) -> Table:
        """By epoch: `epoch`, `dependence` of the interests, `weighted` under the learned weights, `effective` share of
        the examples, `usage` of each interest, and the value on validation (null without)."""
        rows = self.fitted.more
        curve = self.fitted.trained.curve
        columns: dict[str, Any] = {"epoch": list(range(1, len(rows) + 1))}
        columns |= {n: [r[n] for r in rows] for n in ("dependence", "weighted", "effective", "usage")}
        columns["valid"] = pa.array([c["valid"] for c in curve[: len(rows)]], pa.float64())
        return pa.table(columns)

    def state(self) -> State:
        return State(json={"course": self.fitted.more}, parts={"network": self.fitted.state()})

    def restore(self, state: State) -> Self:
        from ethogram.nn.nextfit import NextItemFit

        trained = NextItemFit.restore(self, self._network, state.parts["network"])
        self.fitted = replace(trained, more=list(state.json["course"]))
        return self


def _attention(model: Any, history: Histories) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(places of the read events in the history, their trained rows, float64[events, K] what each interest gives)."""
    import torch

    whole, read = history.flat()[0], history.last(model.length).flat()[0]
    row = model.rows_of(history.vocabularies["item"], np.asarray(history.item)[read])
    group = np.cumsum(np.asarray(history.starts)[read])
    there = row >= 0
    at, row, group = (len(whole) - len(read) + np.flatnonzero(there)), row[there], group[there]
    if not len(row):
        return at, row, np.zeros((0, model.interests))
    network = model.network
    with torch.no_grad():
        vectors = network.embed(torch.from_numpy(row))
        offsets, number = torch.tensor([0, len(row)]), torch.from_numpy(group - group[0])
        weight = network.encoder.attention(vectors, offsets, number)
    return at, row, weight.double().numpy()

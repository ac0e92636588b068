"""Recommends the next session of what people return to: what memory holds of the past, and a transformer over sessions.

    W_i  = softmax of ln sum_j (t - t_ij)^-d over everything u met          base level (`numeric.declarative`)
    S_i  = sum over others j of the session of A_ij                         spreading: sessions that both are in
    M_i  = sum over others j of the session of v_i . v_j                    partial matching
    a_i  = sum_c relu(beta_c) relu(component_c,i) + 1e-8,    w_i = sqrt(a_i) / sum_j sqrt(a_j)
    m    = sum over the session's items of w_i v_i                          the session
    u_lt = normed sum over the 20 items of largest W of W_i v_i             long term
    u_st = normed state of a causal transformer over sqrt(d) m_1 ... m_L    short term
    z    = normed g_l u_lt + g_s u_st + m_L,                  (g_l, g_s) = softmax(F [u_lt; u_st])
    score(u, i) = z . v_i + lambda u_lt . v_i

t is when the next session begins: known of the past, and what is asked about of the future. Loss, over the items i of
the next session, each against items j drawn at random:

    bpr(q) = mean of -ln sigmoid(q . v_i - q . v_j)
    L = .9 [.9 bpr(m_next) + .1 bpr(z) + lambda bpr(u_lt)] + .1 mean(1 - cos(z, m_next))

Deviations: a session has all its distinct items, not its first ten (rows of equal time have no order), and the base
level reads the whole past, not a window; both cost memory, not accuracy. Spreading keeps each item's strongest
`neighbours`. Gradients are clipped.

Reference: V.-A. Tran, G. Salha-Galvan, B. Sguerra, R. Hennequin: Transformers Meet ACT-R: Repeat-Aware and Sequential
Listening Session Recommendation. RecSys 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ethogram.errors import OptionError
from ethogram.numeric.fitted_verbs import Alike, Explained, FitsLater, Scored
from ethogram.options import searched
from ethogram.system import system

if TYPE_CHECKING:
    from ethogram.recommend.pisa.fitted import Fitted
    from ethogram.recommend.pisa.network import PisaNetwork

PARTS = ("base", "spread", "match")
CATALOGUE = 20_000
"""Trained items above which gradients touch only the rows of a batch."""


@system(
    "pisa",
    paper="Transformers Meet ACT-R: Repeat-Aware and Sequential Listening Session Recommendation",
    year=2024,
    area="recommend",
    verbs=("score", "recommend", "explain", "similar_items"),
    needs=("torch",),
)
@dataclass(kw_only=True)
class PISA(FitsLater, Scored, Explained, Alike):
    """The next session, by memory and by what follows what."""

    dim: int = searched(64, among=(32, 64, 128))
    "Width of the vectors."
    layers: int = 2
    "Blocks of the transformer."
    heads: int = 2
    "Heads of attention; they divide `dim`."
    length: int = searched(20, among=(10, 20, 30))
    "Sessions that the transformer reads; memory reads all."
    pause: float | None = 20.0
    "Minutes without an event after which a session ends; none makes every group of equal times a session."
    decay: float = searched(0.5, 0.1, 0.9)
    "Exponent d of forgetting."
    components: tuple[str, ...] = PARTS
    "Of an item's activation: base, spread, match; without any, a session is the mean of its items."
    favourites: int = 20
    "Items that make the long term; 0 leaves it out."
    skip: bool = True
    "The last session's own vector has a part in the state."
    neighbours: int = 200
    "Items kept for spreading, of each item the strongest."
    long_weight: float = searched(0.5, 0.1, 2.0, log=True)
    "Weight lambda of the long term, in the loss and in the score."
    own_weight: float = searched(0.9, 0.0, 0.95)
    "Share of the next session's own vector in the ranking loss, the fused state having the rest."
    near_weight: float = 0.1
    "Share of the loss that is for z to lie near the next session."
    negatives: Literal["uniform", "popularity"] = "uniform"
    "Items drawn against those of the next session: all alike, or by count^0.5."
    samples: int = searched(1, among=(1, 4, 16))
    "Items drawn against each."
    dropout: float = searched(0.1, 0.0, 0.5)
    "Share of inputs, attention weights and branches that is dropped in training."
    l2: float = 1e-5
    "Weight decay (of all but the item vectors where the catalogue is large)."
    lr: float = searched(1e-3, 3e-4, 1e-2, log=True)
    "Step size of Adam."
    batch: int = 512
    "Sessions per step."
    epochs: int = 40
    "Passes over the sessions, at most."
    patience: int = 5
    "Epochs without a better validation NDCG@10 before training stops."
    questions: int | None = 4_096
    "Validation questions that decide when to stop, drawn once; none takes all."

    def _fits(self) -> type[Fitted]:
        from ethogram.recommend.pisa.fitted import Fitted

        return Fitted

    def _check(self) -> None:
        for name in ("dim", "layers", "heads", "length", "neighbours", "samples", "lr", "batch", "epochs"):
            if not getattr(self, name) > 0:
                raise OptionError(f"pisa: {name} = {getattr(self, name)}; give a number above 0.")
        for name in ("decay", "favourites", "long_weight", "l2"):
            if not getattr(self, name) >= 0:
                raise OptionError(f"pisa: {name} = {getattr(self, name)} is below 0.")
        for name in ("own_weight", "near_weight", "dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"pisa: {name} = {getattr(self, name)} does not lie in [0, 1].")
        if wrong := [c for c in self.components if c not in PARTS]:
            raise OptionError(f"pisa: no component '{wrong[0]}'; there are {', '.join(PARTS)}.")

    def network(self, items: int, seed: int) -> PisaNetwork:
        """The untrained network for a catalogue of so many items."""
        from ethogram.recommend.pisa.network import PisaNetwork

        return PisaNetwork(
            items, self.dim, layers=self.layers, heads=self.heads, length=self.length, dropout=self.dropout,
            components=self.components, long=self.favourites > 0, skip=self.skip, sparse=items > CATALOGUE, seed=seed,
        )  # fmt: skip

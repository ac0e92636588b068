"""Ranks candidates by the part of a person's past that has to do with each of them.

    a_j = MLP([e_j ; e_t ; e_j * e_t ; e_t - e_j])       one hidden layer, PReLU or Dice
    v(t) = sum_j a_j e_j / L                             no softmax: the sum of weights is the intensity of interest
    p(t) = sigmoid(Tower([e_t ; v(t) ; e_t * v(t) ; user ; context ; log(1 + L)]))

with e_j the past event's vector (identity and columns of its item, moved by what is known of the event: its kind, its
rating), e_t the candidate's. `decay` switches on mini-batch aware L2: a row j of an embedding table that the batch
touches gains the gradient decay / n_j * w_j, n_j its count in training. What the paper compares that with is here as
well: decay=0 (none), `drop_ids` (identities left out of a batch), `frequent` (an identity's vector for the most
frequent only), penalty="frequent" (as DiFacto's, the same strength at every touch, so frequent ids shrink most).

Deviations: the element-wise product stands for the outer product of the paper, as in every public implementation; the
sum is divided by the number of events, L, so that training begins at mean pooling whatever the length
(normalise="none" leaves it as the paper has it, and L itself is an input); e_t * v(t) also enters the tower; Adam
instead of SGD; an identity that is dropped is so for a whole batch, in histories and candidates alike.

Reference: G. Zhou, X. Zhu, C. Song, Y. Fan, H. Zhu, X. Ma, Y. Yan, J. Jin, H. Li, K. Gai: Deep Interest Network for
Click-Through Rate Prediction. KDD 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ethogram.errors import OptionError
from ethogram.nn.slate_system import SlateSystem
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Table


@system(
    "din",
    paper="Deep Interest Network for Click-Through Rate Prediction",
    year=2018,
    area="rank",
    verbs=("score", "explain"),
    needs=("torch",),
)
@dataclass(kw_only=True)
class DIN(SlateSystem):
    """Deep Interest Network: a user vector that depends on the candidate."""

    interest: Literal["din", "mean", "sum", "dot"] = "din"
    "How the history is summed up: DIN's attention, the pooled base model, or scaled dot-product attention."
    attention: tuple[int, ...] = (36,)
    "Hidden layers of the attention's network."
    normalise: Literal["none", "length", "softmax"] = "length"
    "Weights as they are, over the number of events, or made to sum to 1."
    cross: Literal["none", "product"] = "product"
    "Whether the product of candidate and interest also enters the tower."
    penalty: Literal["rare", "frequent"] = "rare"
    "Which ids a touch shrinks more: rare ones (mini-batch aware), or all alike, so that frequent ids shrink most."
    drop_ids: float = 0.0
    "Share of item identities that each training batch leaves out."
    frequent: int | None = None
    "Item identities with a vector of their own, the most frequent; the rest share one. None gives each its own."

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.drop_ids < 1:
            raise OptionError(f"din: drop_ids = {self.drop_ids} is not in [0, 1).")
        if self.frequent is not None and self.frequent < 1:
            raise OptionError(f"din: frequent = {self.frequent}; give 1 or more, or none for all.")

    def _interest(self, width: int) -> Any:
        from ethogram.nn.attention import TargetAttention
        from ethogram.nn.interest import Attended, Pooled

        if self.interest in ("mean", "sum"):
            return Pooled(width, self.interest)
        if self.interest == "dot":
            return Attended(TargetAttention(width, "dot"))
        shares: Literal["none", "softmax"] = "softmax" if self.normalise == "softmax" else "none"
        unit = TargetAttention(width, hidden=self.attention, act=self.activation, normalise=shares)
        return Attended(unit, mean=self.normalise == "length")

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """The past events with most attention for each candidate; `share` of the sum of absolute weights."""
        return self.fitted.explain(histories, candidates, k)

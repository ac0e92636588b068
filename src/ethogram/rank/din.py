"""Ranks candidates by the part of a person's past that has to do with each of them.

    a_j = MLP([e_j ; e_t ; e_j * e_t ; e_t - e_j])       one hidden layer, PReLU or Dice
    v(t) = sum_j a_j e_j                                 no softmax: the sum of weights is the intensity of interest
    p(t) = sigmoid(Tower([e_t ; v(t) ; e_t * v(t) ; user ; context ; log(1 + L)]))

with e_j the past event's vector (identity and columns of its item, moved by what is known of the event: its kind, its
rating), e_t the candidate's. `decay` switches on mini-batch aware L2: a row j of an embedding table that the batch
touches gains the gradient decay / n_j * w_j, n_j its count in training.

Deviations: the element-wise product stands for the outer product of the paper, as in every public implementation;
e_t * v(t) and the history's length also enter the tower; Adam instead of SGD.

Reference: G. Zhou, X. Zhu, C. Song, Y. Fan, H. Zhu, X. Ma, Y. Yan, J. Jin, H. Li, K. Gai: Deep Interest Network for
Click-Through Rate Prediction. KDD 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

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

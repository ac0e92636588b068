"""Ranks candidates with a network that sums a person up without looking at the candidate: the base that attention has
to beat, and the networks of its time.

    v    = mean_j e_j                                    or the sum
    p(t) = sigmoid(Tower([e_t ; v ; user ; context ; log(1 + L)]))

`cross` adds interactions of columns (`ethogram.nn.cross`): none is the base model (embedding and tower), `lr` logistic
regression, `wide_deep` Wide & Deep, `pnn` PNN with inner products; `product` gives the tower e_t * v. DeepFM and DCN-V2
are systems of their own.

Reference of the base model: P. Covington, J. Adams, E. Sargin: Deep Neural Networks for YouTube Recommendations. RecSys
2016 (the watch history as the mean of its embeddings); as "BaseModel" in G. Zhou et al.: Deep Interest Network for
Click-Through Rate Prediction. KDD 2018, where the others are its competitors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ethogram.nn.slate_system import SlateSystem
from ethogram.system import system


@system(
    "mean_pooled",
    paper="Deep Neural Networks for YouTube Recommendations",
    year=2016,
    area="rank",
    verbs=("score",),
    needs=("torch",),
    baseline=True,
)
@dataclass(kw_only=True)
class MeanPooled(SlateSystem):
    """Embeddings, the pooled history and a tower; LR, Wide & Deep and PNN by one option."""

    cross: Literal["none", "product", "lr", "wide_deep", "pnn"] = "none"
    "Interactions of columns: none, candidate times history, or those of LR, Wide & Deep, PNN."
    pool: Literal["mean", "sum"] = "mean"
    "How the history is summed up."
    dim: int = 16
    activation: Literal["prelu", "dice", "relu"] = "dice"
    "Activation of the tower."
    epochs: int = 8
    batch: int = 1_024

    def _interest(self, width: int) -> Any:
        from ethogram.nn.interest import Pooled

        return Pooled(width, self.pool)

"""Ranks candidates by all pairs of what is known, a factorisation machine, and by a tower over the same embeddings.

    y_FM(t)  = w_0 + sum_f w_f + sum_{f<g} v_f . v_g
    p(t)     = sigmoid(y_FM(t) + Tower([v_1 ; ... ; v_F ; log(1 + L) ; popularity]))

The fields f are the columns of the candidate, the same columns averaged over the history, those of the user and of the
asking event; v_f is a field's vector and w_f its weight, those of the history averaged as well. Both parts share the
v_f, and there is no pre-training, as in the paper. A number is its value times a vector.

Deviations: history and popularity are fields of this package's logs, the paper has single-valued columns; where widths
differ (`side` is not `dim`), a matrix brings a field to the common one for the products.

Reference: H. Guo, R. Tang, Y. Ye, Z. Li, X. He: DeepFM: A Factorization-Machine Based Neural Network for CTR
Prediction. IJCAI 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ethogram.nn.slate_system import SlateSystem
from ethogram.system import system


@system(
    "deepfm",
    paper="DeepFM: A Factorization-Machine Based Neural Network for CTR Prediction",
    year=2017,
    area="rank",
    verbs=("score",),
    needs=("torch",),
    baseline=True,
)
@dataclass(kw_only=True)
class DeepFM(SlateSystem):
    """A factorisation machine and a tower on the same embeddings."""

    pool: Literal["mean", "sum"] = "mean"
    "How the history is summed up."
    dim: int = 16
    side: int = 16
    activation: Literal["prelu", "dice", "relu"] = "relu"
    epochs: int = 8
    batch: int = 1_024
    cross: ClassVar[str] = "deepfm"

    def _interest(self, width: int) -> Any:
        from ethogram.nn.interest import Pooled

        return Pooled(width, self.pool)

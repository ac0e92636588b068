"""Ranks candidates by explicit crosses of bounded degree, learned layer by layer, and a tower beside or above them.

    x_0     = [e_t ; v ; user ; context ; log(1 + L) ; popularity]
    x_{l+1} = x_0 * (W_l x_l + b_l) + x_l                                            full matrices
    x_{l+1} = sum_i G_i(x_l) x_0 * (U_i tanh(C_i tanh(V_i' x_l)) + b_l) + x_l        `rank`: mixture of `experts`
    p(t)    = sigmoid(w . x_L + Tower(x_0))         parallel
    p(t)    = sigmoid(Tower(x_L))                   stacked

with * element by element and v the mean of the past events' vectors. After L layers every product of up to L + 1 of the
inputs has a weight.

Deviations: the pooled history stands among the inputs; the gates G are a softmax over the experts (the paper leaves
their form open).

Reference: R. Wang, R. Shivanna, D. Cheng, S. Jain, D. Lin, L. Hong, E. Chi: DCN V2: Improved Deep & Cross Network and
Practical Lessons for Web-scale Learning to Rank Systems. WWW 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ethogram.errors import OptionError
from ethogram.nn.slate_system import SlateSystem
from ethogram.system import system

if TYPE_CHECKING:
    from ethogram.nn.crossnet import CrossNet


@system(
    "dcn_v2",
    paper="DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale Learning to Rank Systems",
    year=2021,
    area="rank",
    verbs=("score",),
    needs=("torch",),
    baseline=True,
)
@dataclass(kw_only=True)
class DCNv2(SlateSystem):
    """A cross network and a tower, side by side or one upon the other."""

    structure: Literal["parallel", "stacked"] = "parallel"
    "Whether the tower stands beside the cross network or reads what it makes."
    layers: int = 2
    "Cross layers; products of up to one more input have weights of their own."
    rank: int | None = None
    "Rank of the cross layers' matrices; none takes full ones."
    experts: int = 4
    "Matrices of low rank that are mixed, with `rank`."
    pool: Literal["mean", "sum"] = "mean"
    "How the history is summed up."
    dim: int = 16
    side: int = 16
    activation: Literal["prelu", "dice", "relu"] = "relu"
    epochs: int = 8
    batch: int = 1_024

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("layers", "rank", "experts"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"dcn_v2: {name} = {value}; give 1 or more.")

    @property
    def cross(self) -> CrossNet:
        """The cross network that the options describe."""
        from ethogram.nn.crossnet import CrossNet

        return CrossNet(self.layers, self.rank, self.experts, self.structure == "stacked")

    def _interest(self, width: int) -> Any:
        from ethogram.nn.interest import Pooled

        return Pooled(width, self.pool)

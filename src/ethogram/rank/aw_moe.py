"""Ranks what a search or a page shows by a blend of expert networks that each person's behaviour chooses.

People put the same columns together differently: one buys what is cheap and good, another what is new from a brand that
everybody knows. One network has to hold all such rules at once; here K experts hold them, and a gate network reads from
the person's behaviour how much each of them counts:

    x = [v_u ; e_t ; e_t * v_u ; user ; query and context ; log(1 + L) ; popularity],   v_u = sum_j a_j e_j   (DIN's)
    g = sum_j b_j G_j / L,    gate unit G_j and activation unit b_j of event j      (`ethogram.nn.blend`)
    p = sigmoid(sum_k g_k E_k(x) + c)

In search (`query` names the column) the gate goes by behaviour and query, and one gate serves the whole request; in
recommendation it goes by behaviour and candidate. The gate has parameters of its own beside the shared embeddings.

Newcomers have few events to choose a blend by. So training also looks at each history with a share `drop` of its events
dropped, and holds the two blends together, away from other people's (InfoNCE, weight `contrast`, after `warmup`
epochs); it moves the gate only.

Deviations: the embeddings of an element's columns side by side are its vector in the experts' input (no element
network of its own there); the gate's sum over events is divided by their number, and without behaviour a learned g_0
stands for it; c carries the base rate; p, T, the number of negatives, lambda and K are the paper's only as far as they
are known.

Reference: J. Gong, Z. Chen, C. Ma, Z. Xiao, H. Wang, G. Tang, L. Liu, S. Xu, B. Long, Y. Jiang: Attention Weighted
Mixture of Experts with Contrastive Learning for Personalized Ranking in E-commerce. ICDE 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ethogram.errors import OptionError
from ethogram.nn.slate_system import SlateSystem
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Table


@system(
    "aw_moe",
    paper="Attention Weighted Mixture of Experts with Contrastive Learning for Personalized Ranking in E-commerce",
    year=2023,
    area="rank",
    verbs=("score", "explain"),
    needs=("torch",),
)
@dataclass(kw_only=True)
class AWMoE(SlateSystem):
    """Experts blended by each person's behaviour, with a contrastive gate for newcomers."""

    query: str | None = None
    "Column of the slates that holds the query (search); none goes by the candidate (recommendation)."
    gate: Literal["behaviour", "asked"] = "behaviour"
    "What the gate reads: behaviour and what is asked, or the query (the candidate) alone."
    experts: int = searched(4, among=(2, 4, 8))
    "Expert networks K."
    hidden: tuple[int, ...] = (64, 32)
    "Hidden layers of each expert."
    units: tuple[int, ...] = (32,)
    "Hidden layers of the gate unit and of the activation unit."
    attention: tuple[int, ...] = (36,)
    "Hidden layers of the attention in the experts' input."
    contrast: float = searched(0.05, 0.0, 0.5)
    "Weight of the contrastive loss; 0 switches it off."
    drop: float = searched(0.3, 0.1, 0.5)
    "Probability with which each event is dropped for the contrastive loss; one is always kept."
    temperature: float = 0.5
    "Temperature T of the contrastive loss."
    negatives: int = 3
    "Other people that a gate is held apart from."
    warmup: float = 1.0
    "Epochs before the contrastive loss begins."
    activation: Literal["prelu", "dice", "relu"] = searched("relu", among=("prelu", "dice", "relu"))
    "Activation of attention and experts."

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.experts < 1 or self.negatives < 1 or not self.units or min(self.units) < 1 or not self.hidden:
            raise OptionError(
                f"aw_moe: experts = {self.experts}, negatives = {self.negatives}, units = {self.units}, "
                f"hidden = {self.hidden}; give 1 or more, and layers of 1 or more values."
            )
        if not 0 < self.drop < 1:
            raise OptionError(f"aw_moe: drop = {self.drop} is not in (0, 1).")
        if self.contrast < 0 or self.warmup < 0 or not self.temperature > 0:
            raise OptionError(
                f"aw_moe: contrast = {self.contrast}, warmup = {self.warmup} must not be below 0, "
                f"temperature = {self.temperature} must be above."
            )

    def _interest(self, width: int) -> Any:
        from ethogram.nn.attention import TargetAttention
        from ethogram.nn.interest import Attended

        return Attended(TargetAttention(width, hidden=self.attention, act=self.activation), mean=True)

    def _network(self, features: Any, interest: Any, **shape: Any) -> Any:
        from ethogram.nn.blend import BlendNetwork

        return BlendNetwork(
            features, interest, experts=self.experts, gate=self.units, query=self.query, alone=self.gate == "asked",
            weight=self.contrast, drop=self.drop, temperature=self.temperature, negatives=self.negatives,
            warmup=self.warmup, **shape,
        )  # fmt: skip

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """The past events with most attention in the experts' input; `share` of the sum of absolute weights."""
        return self.fitted.explain(histories, candidates, k)

    def gates(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """How much each expert counts, g: float32[total, K], flat beside the candidates."""
        import torch

        fitted = self.fitted
        fitted.network.eval()
        with torch.no_grad():
            found: np.ndarray = fitted.network.gates(fitted.features.encode(histories, candidates, context)).numpy()
        return found

    def blend(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> Table:
        """A row per expert, to see one that is never used: mean and deviation of its gate, share of absolute gates."""
        import pyarrow as pa

        found = self.gates(histories, candidates, context).astype(np.float64)
        size = np.abs(found).mean(0)
        columns = {"mean": found.mean(0), "deviation": found.std(0), "share": size / max(size.sum(), 1e-12)}
        return pa.table({"expert": np.arange(found.shape[1]), **columns})

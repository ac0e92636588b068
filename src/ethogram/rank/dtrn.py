"""Predicts several answers to one candidate (click, basket, purchase), each from a view of the input of its own.

Goals that share a network share what it is fed as well; where they conflict, one goal's gradient spoils the other's
input. Here every goal k reads the person's behaviour by itself and weighs the columns by itself, before a network that
the goals may share:

    u_kb = Base(events of kind b, e_t; gamma_kb, beta_kb)                interest module
    gamma_kb = 1 + H_g [z_k ; z_b],   beta_kb = H_b [z_k ; z_b]          one base, made goal-specific by its layer norms
    w_k  = 2 sigmoid(W_2k relu(W_1k s)),  s_f = p_f . x_f                refinement module: a weight per field and goal
    x_k  = [w_kf x_f],  x = [e_t ; u_kb ; e_t * u_kb ; user ; context ; log(1 + L_b) ; popularity]
    p_k  = sigmoid(Head(x_1 ... x_K)_k)                                  shared bottom, MMoE or PLE
    loss = sum_k weight_k mean over the rows that answer k of BCE(p_k, y_k)

A log carries several answers as `label` and further columns ``label_<goal>``, each of which may be missing: such a row
has no part in that goal's loss, and `fitted.told` says how many there were. `score` gives the first goal's
probabilities, `score_goals` all.

`interest` and `refine` switch the two modules off or replace them, so that every head stands for itself:
``interest="shared", refine="none", top="mmoe"`` is MMoE over target attention.

Deviations: the norms that are conditioned are that of the question and that in front of the feed-forward layer (the
published description leaves open which); e_t * u_kb and the lengths enter as fields, as in this package's other
rankers; the squeeze is a learned projection that begins as the mean.

Reference: Q. Liu, Z. Zhou, G. Jiang, T. Ge, D. Lian: Deep Task-specific Bottom Representation Network for Multi-Task
Recommendation. CIKM 2023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from ethogram.errors import OptionError
from ethogram.nn.slate_system import SlateSystem
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, State, Table, Watch

if TYPE_CHECKING:
    from ethogram.nn.goal_ranker import GoalRanker
    from ethogram.nn.goals import GoalNetwork


@system(
    "dtrn",
    paper="Deep Task-specific Bottom Representation Network for Multi-Task Recommendation",
    year=2023,
    area="rank",
    verbs=("score", "score_goals"),
    needs=("torch",),
)
@dataclass(kw_only=True)
class DTRN(SlateSystem):
    """Several goals at once, each with its own view of behaviour and columns in front of a shared head."""

    goals: tuple[str, ...] | None = None
    "Goals that are predicted, `label` and others by their columns `label_...`; none takes all of the log."
    weights: tuple[float, ...] = ()
    "Weight of each goal's loss; empty for 1 each."
    kinds: tuple[str, ...] | None = None
    "Kinds of behaviour that are each read by themselves, `all` for everything; none takes every kind of the log."
    interest: Literal["task", "separate", "shared", "mean"] = "task"
    "Behaviour read per goal by one conditioned block, by blocks of their own, by one for all goals, or as a mean."
    refine: Literal["field", "bit", "none"] = "field"
    "Whether each goal weighs whole fields, single numbers, or nothing."
    top: Literal["bottom", "mmoe", "ple"] = "mmoe"
    "The network that the goals share: shared bottom, MMoE or PLE."
    experts: int = searched(4, among=(2, 4, 8))
    "Shared experts of MMoE and PLE."
    own: int = 2
    "Experts of each goal's own in PLE."
    levels: int = 1
    "Extraction levels of PLE."
    expert: tuple[int, ...] = (64,)
    "Layers of an expert, or of the shared bottom."
    hidden: tuple[int, ...] = (32,)
    "Hidden layers of each goal's tower."
    patience: int = 2
    "Epochs without a better validation log-loss, the mean over goals, before training stops."
    heads: int = 2
    "Heads of the attention."
    condition: int = 4
    "Width of the vectors of goals and kinds that the layer norms are made of."
    reduction: int = 4
    "Fields per hidden value of the refinement."
    product: bool = True
    "Whether the product of candidate and interest is a field, too."
    chain: bool = False
    "A goal is reached only through the one before it: its probability is a product (ESMM)."
    activation: Literal["prelu", "dice", "relu"] = searched("relu", among=("prelu", "dice", "relu"))
    "Activation of experts and towers."

    def __post_init__(self) -> None:
        super().__post_init__()
        least = {n: getattr(self, n) for n in ("experts", "own", "levels", "heads", "condition", "reduction")}
        if min(least.values()) < 1:
            raise OptionError(f"dtrn: {', '.join(f'{n} = {v}' for n, v in least.items())}; give 1 or more.")
        if not self.expert or min(self.expert) < 1:
            raise OptionError(f"dtrn: expert = {self.expert}; there is one layer at least, of 1 or more values.")
        if self.goals is not None and not self.goals:
            raise OptionError("dtrn: goals = (); name one goal at least, or none for all of the log.")
        if self.calibrate != "none" and self.goals is not None and self.goals[0] != "label":
            raise OptionError(
                f"dtrn: calibrate = {self.calibrate} maps the answers to 'label'; name it first in goals."
            )
        if any(not w > 0 for w in self.weights):
            raise OptionError(f"dtrn: weights = {self.weights}; each is above 0.")

    def _interest(self, width: int) -> Any:
        raise NotImplementedError("the interest of dtrn depends on its goals")

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from the labelled events of `train`; `valid` decides when to stop, by the mean over goals."""
        from ethogram.nn.goal_ranker import GoalRanker
        from ethogram.nn.ranker import LEARNING
        from ethogram.nn.slates import Learning

        how = Learning(pairs=self.batch, **{n: getattr(self, n) for n in LEARNING})
        self.fitted: GoalRanker | Any = GoalRanker.fit(
            self, self._made, train, valid, wanted=self.goals, kinds=self.kinds, weights=self.weights, how=how,
            seed=seed, watch=watch,
        )  # fmt: skip
        return self

    def _made(self, features: Any, goals: Sequence[str], seed: int) -> GoalNetwork:
        from ethogram.nn.goal_interest import GoalInterest
        from ethogram.nn.goals import GoalNetwork
        from ethogram.nn.multitask import head

        def interest(width: int, count: int, kinds: int) -> Any:
            if self.heads > width:
                raise OptionError(f"dtrn: heads = {self.heads} of vectors of {width} numbers; give fewer.")
            return GoalInterest(self.interest, width, count, kinds, heads=self.heads, condition=self.condition,
                                seed=seed)  # fmt: skip

        def top(inputs: int, count: int) -> Any:
            return head(
                self.top, inputs, count, self.expert, self.hidden, experts=self.experts, own=self.own,
                levels=self.levels, act=self.activation, dropout=self.dropout, seed=seed,
            )  # fmt: skip

        return GoalNetwork(
            features, goals, interest, top, refine=self.refine, reduction=self.reduction, product=self.product,
            chain=self.chain, dim=self.dim, side=self.side, seed=seed,
        )  # fmt: skip

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Probability of the first goal for each candidate."""
        scores: np.ndarray = next(iter(self.fitted.score(histories, candidates, context).values()))
        return scores

    def score_goals(
        self, histories: Histories, candidates: Candidates, context: Table | None = None
    ) -> Mapping[str, np.ndarray]:
        """Probability of each goal for each candidate, by label column; `calibrate` maps those of the first."""
        first, *others = self.fitted.score(histories, candidates, context).items()
        return {first[0]: self.calibrated(first[1]), **dict(others)}

    def state(self) -> State:
        found: State = self.fitted.state()
        return found

    def restore(self, state: State) -> Self:
        from ethogram.nn.goal_ranker import GoalRanker

        self.fitted = GoalRanker.restore(self._made, state)
        return self

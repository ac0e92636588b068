"""A network that answers slates by several goals, and how it learns where some answers are missing.

    u_kb = Interest(events of kind b, e_t; goal k)         `ethogram.nn.goal_interest`
    x    = [e_t ; u_kb and e_t * u_kb for each kind b ; users ; context ; log(1 + length of each kind) ; popularity]
    x_k  = Excitation_k(x)                                 `ethogram.nn.excitation`, or x as it is
    l_k  = Head(x_1 ... x_K)_k                             `ethogram.nn.multitask`
    loss = sum_k weight_k mean over the rows with an answer to k of BCE(l_k, y_k)

A missing answer is no negative: its row has no part in that goal's loss. With `chain`, a goal is reached only through
the one before it: p_k = p_{k-1} sigmoid(l_k) (X. Ma et al.: Entire Space Multi-Task Model. SIGIR 2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ethogram.errors import StepError
from ethogram.log import Batch, Candidates, Features, Questions
from ethogram.nn import distributed, slates
from ethogram.nn.excitation import Excitation
from ethogram.nn.goal_interest import GoalInterest
from ethogram.nn.goal_interest import Sequence as Events
from ethogram.nn.multitask import Head
from ethogram.nn.prior import Prior
from ethogram.nn.ragged import each
from ethogram.nn.rows import Picked, gather_rows
from ethogram.nn.train import Trained
from ethogram.nn.weighing import weighing
from ethogram.numeric.slates import both_answers, no_leak


class GoalNetwork(slates.SlateNetwork):
    """See the module.

    Parameters
    ----------
    features : columns; every sequence but "history" is a kind of behaviour that is read by itself.
    goals : names. interest : from (width, goals, kinds) to a `GoalInterest`. head : from (inputs, goals) to a `Head`.
    refine : none, or whether each goal weighs fields or single numbers (bit) by itself.
    """

    def __init__(
        self, features: Features, goals: Sequence[str], interest: Any, head: Any, *, refine: str = "field",
        reduction: int = 4, product: bool = True, chain: bool = False, dim: int = 32, side: int = 8, seed: int = 0,
    ) -> None:  # fmt: skip
        self.kinds = [name for name in features.sequences if name != "history"]
        super().__init__(
            features, lambda width: interest(width, len(goals), len(self.kinds)), dim=dim, side=side, hidden=(),
            cross="none", seed=seed,
        )  # fmt: skip
        self.tower = None  # the head has one for each goal
        self.goals, self.product, self.chain = tuple(goals), product, chain
        items, times = self.items.parts, len(self.kinds) * (2 if product else 1)
        fields = [*items, *(items * times), *self.users.parts, *self.context.parts, *[1] * (len(self.kinds) + 1)]
        self.excitations = nn.ModuleList(
            Excitation(fields, reduction, bitwise=refine == "bit", seed=seed + k)
            for k in range(0 if refine == "none" else len(goals))
        )
        self.head: Head = head(sum(fields), len(goals))

    def forward(self, batch: Batch) -> Tensor:
        """Logits of all candidates by goal, [Q, goals]."""
        return self.chained(self.head(self.views(batch))).float()

    def views(self, batch: Batch) -> list[Tensor]:
        """What each goal sees, [Q, inputs]."""
        sequences, queries, ends = self.encoded(batch)
        interest = self.interest
        assert isinstance(interest, GoalInterest)
        found = interest(sequences, queries, ends)
        lengths = torch.stack([events.offsets.diff() for events in sequences], 1)
        parts, numbers = self.read(batch, queries, ends, found, lengths.sum(1))
        more = 0.2 * torch.log1p(lengths.to(queries.device, torch.float32))
        tail = [*parts[2:], each(more, ends), numbers[:, 1:]]
        made = []
        for view in found.unbind(1):
            crossed = [view * queries.repeat(1, len(sequences))] if self.product else []
            made.append(torch.cat([queries, view, *crossed, *tail], 1))
        made = made * len(self.goals) if len(made) < len(self.goals) else made
        return [refine(x) for refine, x in zip(self.excitations, made, strict=True)] if self.excitations else made

    def encoded(self, batch: Batch) -> tuple[list[Events], Tensor, Tensor]:
        """(events of each kind, candidates, their offsets)."""
        judged = batch.candidates
        assert judged is not None
        asked, ends = judged.flat()
        held = [batch.sequences[kind] for kind in self.kinds]
        rows = [sequence.flat() for sequence in held]
        codes = [sequence.item[picked] for sequence, (picked, _) in zip(held, rows, strict=True)]
        every = torch.from_numpy(np.concatenate([*codes, judged.item[asked]]).astype(np.int64))
        values, places = self.items.picked(batch.items, every)
        *past, last = places.split([*map(len, codes), len(asked)])
        made = []
        for place, sequence, (picked, spans) in zip(past, held, rows, strict=True):
            keys = Picked(values, place)
            if self.event is not None and len(picked):
                first, same = self.events.alike(sequence.columns, picked, place)
                moved = self.event(self.events(sequence.columns, picked[first.numpy()]))
                keys = Picked(gather_rows(values, place[first]) + moved, same)
            made.append(Events(keys, torch.from_numpy(spans)))
        return made, gather_rows(values, last), torch.from_numpy(ends)

    def chained(self, logits: Tensor) -> Tensor:
        """Logits of the goals themselves, from those given the goal before."""
        if not self.chain:
            return logits
        reached = F.logsigmoid(logits.float()).cumsum(1).clamp_max(-1e-6)
        return reached - torch.log(-torch.expm1(reached))


def answers(asked: Questions, goals: Sequence[str]) -> np.ndarray:
    """Answers of all candidates by goal, float32[Q, goals], NaN where missing.

    Raises
    ------
    StepError
        A goal's answers are not 0 or 1, are all equal, or one of the two has no weight.
    """
    found = np.stack([asked.labels[goal] for goal in goals], 1)
    for k, goal in enumerate(goals):
        known = ~np.isnan(found[:, k])
        if not known.any():
            raise StepError(f"goal '{goal}': no answer to it in the training slates.")
        try:
            both_answers(found[known, k], asked.weight[known])
        except StepError as error:
            raise StepError(f"goal '{goal}': {error}") from None
    return found


def fit(
    network: GoalNetwork, features: Features, asked: Questions, how: slates.Learning, *,
    valid: Questions | None = None, popular: Prior | None = None, weights: Sequence[float] = (), seed: int = 0,
    watch: Any = None,
) -> Trained:  # fmt: skip
    """Train on questions of kind ``goals``; with `valid`, keep the epoch of the least weighted mean of log-losses.

    Raises
    ------
    StepError
        See `answers`.
    """
    label = answers(asked, network.goals)
    no_leak(asked)
    shares = np.asarray(weights or [1.0] * len(network.goals), np.float64)
    shift, weighs = weighed(asked, label)
    mass = asked.weight[:, None] * ~np.isnan(label)
    rates = np.clip((mass * np.nan_to_num(label)).sum(0) / mass.sum(0), 1e-6, 1 - 1e-6)
    if network.chain:
        rates[1:] = np.clip(rates[1:] / rates[:-1], 1e-6, 1 - 1e-6)
    whole, (first, last) = slates.prepared(network, features, asked, popular)
    # side by side, so that a step looks a row up once
    told = torch.from_numpy(np.hstack([np.nan_to_num(label), shift, weighs * ~np.isnan(label)])[first:last])
    factors = torch.from_numpy(shares.astype(np.float32))

    def loss(batch: Batch) -> Tensor:
        rows = torch.from_numpy(batch.candidates.flat()[0])  # type: ignore[union-attr]
        logits = network(batch)
        mine, moved, mass = told.index_select(0, rows).to(logits.device).chunk(3, 1)
        return masked(logits + moved, mine, mass, factors.to(logits.device))

    network.head.begin(np.log(rates / (1 - rates)).tolist())
    held = features.encode(slates.share(valid)[0]) if valid is not None and len(valid) else None

    def value() -> float:
        assert valid is not None
        assert held is not None
        lost = losses(network, held, slates.share(valid)[0], how.tokens)
        return -float(np.average([lost[g] for g in network.goals], weights=shares))

    judge = None if held is None else value
    return slates.learn(network, features, whole, how, loss, judge, seed=seed, watch=watch)


def weighed(asked: Questions, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of the logits and weights of the losses by goal (see `ethogram.nn.weighing`), float32[Q, goals]."""
    codes, ends = asked.candidates.flat(len(asked))
    shift, weight = np.zeros_like(label), np.ones_like(label)
    for k in range(label.shape[1]):
        rows = np.flatnonzero(~np.isnan(label[:, k]))
        kept = Candidates(codes[rows], asked.candidates.vocabulary, np.searchsorted(rows, ends))
        some = Questions(asked.histories, kept, label[rows, k], asked.weight[rows])
        shift[rows, k], counts = weighing(some)
        if counts is not None:
            weight[rows, k] = counts
    return shift, weight


def masked(logits: Tensor, label: Tensor, mass: Tensor, shares: Tensor) -> Tensor:
    """``sum_k shares_k mean BCE(logits_k, label_k)``, the mean weighted by `mass`; 0 where no row has any.

    Parameters
    ----------
    logits, label, mass : [Q, goals]; mass 0 is an answer that is not known, whose label may be any number in [0, 1].
    shares : [goals].
    """
    lost = F.binary_cross_entropy_with_logits(logits, label, reduction="none")
    return ((lost * mass).sum(0) / mass.sum(0).clamp_min(1e-12)) @ shares


def losses(network: GoalNetwork, held: Batch, asked: Questions, tokens: int = 262_144) -> Mapping[str, float]:
    """Weighted log-loss of each goal over its answered rows; 0 where none is answered."""
    p = np.clip(score(network, held, tokens).astype(np.float64), 1e-9, 1 - 1e-9)
    found = {}
    for k, goal in enumerate(network.goals):
        known = ~np.isnan(asked.labels[goal])
        lost = -np.where(asked.labels[goal] > 0.5, np.log(p[:, k]), np.log1p(-p[:, k]))
        found[goal] = distributed.mean(lost[known], asked.weight[known]) if known.any() else 0.0
    return found


@torch.no_grad()
def score(network: GoalNetwork, batch: Batch, tokens: int = 262_144) -> np.ndarray:
    """Probabilities of all candidates by goal, float32[Q, goals]."""
    assert batch.candidates is not None
    network.eval()
    parts = [np.zeros((0, len(network.goals)), np.float32)]
    work = batch.sequences["history"].lengths + batch.candidates.lengths
    block = np.cumsum(work) // max(tokens, 1)
    for rows in np.split(np.arange(len(batch)), np.flatnonzero(np.diff(block)) + 1):
        if len(rows):
            parts.append(torch.sigmoid(network(batch[rows])).cpu().numpy())
    return np.concatenate(parts)

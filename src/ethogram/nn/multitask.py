"""Heads that answer several goals from one input: shared bottom, MMoE, PLE.

Goal k has a view x_k of the input. In the published networks all goals see the same x; a network that gives each goal a
view of its own (DTRN) puts it in front of any of them.

    SharedBottom   l_k = Tower_k(Bottom(x_k))                               R. Caruana: Multitask Learning. 1997
    MMoE           l_k = Tower_k(sum_e softmax(G_k x_k)_e E_e(x_k))         J. Ma et al.: Modeling Task Relationships in
                                                                            Multi-task Learning with Multi-gate
                                                                            Mixture-of-Experts. KDD 2018
    PLE            the same, with experts of each goal's own beside the     H. Tang et al.: Progressive Layered
                   shared ones, in several levels                           Extraction (PLE). RecSys 2020

In PLE, level l hands each goal x_k' = sum over its own experts of x_k and the shared ones of x_s, and hands the shared
experts of the next level x_s' = sum over all experts, gated by x_s. The first x_s is the mean of the views (x itself
where all are equal); there, the shared experts read each goal's own view.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ethogram.errors import OptionError
from ethogram.nn.activation import Activation
from ethogram.nn.experts import Experts
from ethogram.nn.mixed import mixed
from ethogram.nn.mlp import Tower, linear

Views = Sequence[Tensor]
"""[Q, inputs] for each goal; one tensor several times where goals see the same."""
Kind = Literal["bottom", "mmoe", "ple"]


class Head(nn.Module):
    """Towers of the goals; what a goal's tower reads is a subclass's `read`."""

    def __init__(self, width: int, goals: int, tower: Sequence[int], seed: int, **layers: Any) -> None:
        super().__init__()
        self.towers = nn.ModuleList(Tower(width, tower, seed=seed + 101 * k, **layers) for k in range(goals))

    def read(self, views: Views) -> list[Tensor]:
        """What each goal's tower reads."""
        raise NotImplementedError

    def forward(self, views: Views) -> Tensor:
        """Logits [Q, goals]."""
        return torch.stack([tower(x) for tower, x in zip(self.towers, self.read(views), strict=True)], 1)

    @torch.no_grad()
    def begin(self, logits: Sequence[float]) -> None:
        """Begin at these answers."""
        for tower, logit in zip(self.towers, logits, strict=True):
            tower.layers[-1].bias.fill_(logit)  # type: ignore[union-attr, operator, index]


class Gate(nn.Module):
    """softmax(G x): the share that each expert has in what a reader is told."""

    def __init__(self, inputs: int, experts: int, seed: int) -> None:
        super().__init__()
        self.choice = linear(inputs, experts, torch.Generator().manual_seed(seed))

    def forward(self, x: Tensor) -> Tensor:
        """[Q, inputs] to [1, experts, Q]."""
        return shares([self], x)


def shares(gates: Iterable[Gate], x: Tensor) -> Tensor:
    """What several gates say to the same rows in one product, [gates, experts, Q].

    Rows lie last, since a softmax over few neighbouring numbers cannot be vectorised.
    """
    choices = [gate.choice for gate in gates]
    weight, bias = torch.cat([c.weight for c in choices]), torch.cat([c.bias for c in choices])
    return torch.addmm(bias.unsqueeze(1), weight, x.T).view(len(choices), -1, len(x)).softmax(1)


def chosen(gates: nn.ModuleList, views: Views) -> list[Tensor]:
    """What each goal's gate says to its view, [1, experts, Q]."""
    held: list[Gate] = list(gates)  # type: ignore[arg-type]
    return list(shares(held, views[0]).split(1)) if same(views) else [g(x) for g, x in zip(held, views, strict=True)]


def told(parts: Sequence[Tensor], said: Sequence[Tensor]) -> list[Tensor]:
    """``sum_e parts[k]_e said[k]_e`` of each goal k, [Q, width]; what is said to all goals alike is read once."""
    if same(said):
        return list(mixed(torch.cat(list(parts)), said[0]).unbind(1))
    return [mixed(p, s).squeeze(1) for p, s in zip(parts, said, strict=True)]


class SharedBottom(Head):
    """One network for all goals, a tower for each."""

    def __init__(self, inputs: int, goals: int, expert: Sequence[int], tower: Sequence[int], *, seed: int = 0,
                 act: Activation = "relu", dropout: float = 0.0) -> None:  # fmt: skip
        super().__init__(expert[-1], goals, tower, seed, act=act, dropout=dropout)
        self.bottom = Experts(inputs, 1, expert, act=act, dropout=dropout, seed=seed)

    def read(self, views: Views) -> list[Tensor]:
        return [made[:, 0] for made in each(self.bottom, views)]


class MMoE(Head):
    """Experts for all goals, and for each goal a gate and a tower."""

    def __init__(self, inputs: int, goals: int, expert: Sequence[int], tower: Sequence[int], *, experts: int = 4,
                 seed: int = 0, act: Activation = "relu", dropout: float = 0.0) -> None:  # fmt: skip
        super().__init__(expert[-1], goals, tower, seed, act=act, dropout=dropout)
        self.experts = Experts(inputs, experts, expert, act=act, dropout=dropout, seed=seed)
        self.gates = nn.ModuleList(Gate(inputs, experts, seed + 7 + k) for k in range(goals))

    def read(self, views: Views) -> list[Tensor]:
        return told(chosen(self.gates, views), each(self.experts, views))


class Level(nn.Module):
    """One extraction of PLE; with `more`, what the next level's shared experts read is made, too."""

    def __init__(self, inputs: int, goals: int, expert: Sequence[int], own: int, shared: int, more: bool, seed: int,
                 **layers: Any) -> None:  # fmt: skip
        super().__init__()
        self.own = nn.ModuleList(Experts(inputs, own, expert, seed=seed + 11 * k + 1, **layers) for k in range(goals))
        self.shared = Experts(inputs, shared, expert, seed=seed, **layers)
        self.gates = nn.ModuleList(Gate(inputs, own + shared, seed + 7 + k) for k in range(goals))
        self.all = Gate(inputs, goals * own + shared, seed + 5) if more else None

    def forward(self, views: Views, common: Tensor | None) -> tuple[list[Tensor], Tensor | None]:
        """Views of the next level and what its shared experts read; `common` None on the first level."""
        own = [experts(x) for experts, x in zip(self.own, views, strict=True)]
        shared = each(self.shared, views) if common is None else [self.shared(common)] * len(views)
        sizes = [own[0].shape[1], shared[0].shape[1]]
        mine, ours = zip(*(part.split(sizes, 1) for part in chosen(self.gates, views)), strict=True)
        made = [a + b for a, b in zip(told(mine, own), told(ours, shared), strict=True)]
        if self.all is None:
            return made, None
        if common is None:
            common = views[0] if same(views) else torch.stack(list(views)).mean(0)
            last = shared[0] if same(views) else self.shared(common)
        else:
            last = shared[0]
        return made, mixed(self.all(common), torch.cat([*own, last], 1)).squeeze(1)


class PLE(Head):
    """Shared experts and experts of each goal, in levels."""

    def __init__(self, inputs: int, goals: int, expert: Sequence[int], tower: Sequence[int], *, experts: int = 4,
                 own: int = 2, levels: int = 1, seed: int = 0, act: Activation = "relu",
                 dropout: float = 0.0) -> None:  # fmt: skip
        super().__init__(expert[-1], goals, tower, seed, act=act, dropout=dropout)
        widths = [inputs] + [expert[-1]] * (levels - 1)
        self.levels = nn.ModuleList(
            Level(width, goals, expert, own, experts, i < levels - 1, seed + 1_009 * i, act=act, dropout=dropout)
            for i, width in enumerate(widths)
        )

    def read(self, views: Views) -> list[Tensor]:
        common: Tensor | None = None
        for level in self.levels:
            views, common = level(views, common)
        return list(views)


def same(views: Views) -> bool:
    """Whether all goals see one tensor."""
    return all(x is views[0] for x in views)


def each(network: nn.Module, views: Views) -> list[Tensor]:
    """What a network says to each view; to one that all goals see it is asked once."""
    return [network(views[0])] * len(views) if same(views) else [network(x) for x in views]


def head(kind: Kind, inputs: int, goals: int, expert: Sequence[int], tower: Sequence[int], *, experts: int = 4,
         own: int = 2, levels: int = 1, **layers: Any) -> Head:  # fmt: skip
    """The head of that name.

    Raises
    ------
    OptionError
        No layer, expert or level.
    """
    if not expert or min(experts, own, levels) < 1:
        raise OptionError(f"{kind}: experts = {experts}, own = {own}, levels = {levels}, layers {tuple(expert)}; "
                          "there is at least one of each.")  # fmt: skip
    if kind == "bottom":
        return SharedBottom(inputs, goals, expert, tower, **layers)
    if kind == "mmoe":
        return MMoE(inputs, goals, expert, tower, experts=experts, **layers)
    return PLE(inputs, goals, expert, tower, experts=experts, own=own, levels=levels, **layers)

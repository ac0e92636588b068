"""Losses, each a weighted mean over its examples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ethogram.errors import OptionError
from ethogram.nn.products import ROWS as FEW
from ethogram.nn.products import filled

PIECE, ROWS, CELLS = 2**18, 64, 2**24
"""Logits made at once: a megabyte that stays in the cache, but at least some rows, since every piece also goes through
the gradient of all items; and never more than 64 MB."""


def mean(loss: Tensor, weight: Tensor | None) -> Tensor:
    """Weighted mean; without weights the plain one."""
    return loss.mean() if weight is None else (loss * weight).sum() / weight.sum().clamp_min(1e-12)


def bce(logits: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
    """Binary cross-entropy with logits, for labels in [0, 1]."""
    return mean(F.binary_cross_entropy_with_logits(logits, label, reduction="none"), weight)


def bpr(positive: Tensor, negative: Tensor, weight: Tensor | None = None) -> Tensor:
    """-log sigma(s+ - s-), Rendle et al., Bayesian Personalized Ranking, UAI 2009."""
    return mean(F.softplus(negative - positive), weight)


class _Softmax(torch.autograd.Function):
    """Cross-entropy over logits states @ items.T + bias that are never all held: gradients are made on the way.

    The right answer is column `target` of the logits or, for samples, a logit `own` of each row that stands beside
    them; `gone` = (rows, columns) are cells that count for nothing. With `low` the three products take bfloat16
    numbers; sums, exponentials and what is added up over pieces keep 24 bits.
    """

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, items: Tensor, bias: Tensor | None, own: Tensor | None, target: Tensor | None,
        gone: tuple[Tensor, Tensor] | None, share: Tensor, low: bool,
    ) -> Tensor:  # fmt: skip
        to_states, to_items = torch.empty_like(states), torch.zeros_like(items)
        to_bias = torch.zeros_like(bias) if bias is not None and ctx.needs_input_grad[2] else None
        to_own = None if own is None else torch.empty_like(own)
        total = states.new_zeros(())
        few, many = (states.bfloat16(), items.bfloat16()) if low else (states, items)
        for rows in _pieces(len(states), len(items), FEW if low else 1):
            if low:
                logits = (few[rows] @ many.T).float()
                logits = logits if bias is None else logits.add_(bias)
            else:
                logits = states[rows] @ items.T if bias is None else torch.addmm(bias, states[rows], items.T)
            if gone is not None:
                first, last = torch.searchsorted(gone[0], torch.tensor([rows.start, rows.stop], device=gone[0].device))
                logits[gone[0][first:last] - rows.start, gone[1][first:last]] = -torch.inf
            part = share[rows].unsqueeze(1)
            if own is not None:
                hit = own[rows].unsqueeze(1)
                top = torch.maximum(logits.amax(1, keepdim=True), hit)
            else:
                assert target is not None
                wanted = target[rows].unsqueeze(1)
                hit, top = logits.gather(1, wanted), logits.amax(1, keepdim=True)
            up = logits.sub_(top).exp_()
            norm = up.sum(1, keepdim=True)
            if to_own is not None:
                alone = (hit - top).exp()
                norm += alone
                to_own[rows] = (part * (alone / norm - 1)).squeeze(1)
            total += ((norm.log() + top - hit) * part).sum()
            up.mul_(part / norm)
            if own is None:
                up.scatter_add_(1, wanted, -part)
            if to_bias is not None:
                to_bias += up.sum(0)
            if low:
                up = up.bfloat16()
                to_states[rows] = up @ many
                to_items += up.T @ few[rows]
            else:
                torch.mm(up, items, out=to_states[rows])
                to_items.addmm_(up.T, states[rows])
        ctx.kept = [t is not None for t in (to_bias, to_own)]
        ctx.save_for_backward(to_states, to_items, *(t for t in (to_bias, to_own) if t is not None))
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        to_states, to_items, *rest = ctx.saved_tensors
        up, found = grads[0], iter(rest)
        more = [next(found) * up if kept else None for kept in ctx.kept]
        return to_states * up, to_items * up, *more, None, None, None, None


def _pieces(n: int, width: int, multiple: int = 1) -> Iterator[slice]:
    width = max(width, 1)
    step = max(1, min(max(PIECE // width, ROWS), CELLS // width))
    step = max(step // multiple, 1) * multiple
    for at in range(0, n, step):
        yield slice(at, min(n, at + step))


def _softmax(states: Tensor, items: Tensor, bias: Tensor | None, own: Tensor | None, *rest: Any) -> Tensor:
    if not torch.is_autocast_enabled(states.device.type):
        return _Softmax.apply(states, items, bias, own, *rest, False)
    given = [None if t is None else t.float() for t in (states, items, bias, own)]
    low = torch.get_autocast_dtype(states.device.type) == torch.bfloat16
    with torch.autocast(states.device.type, enabled=False):  # a sum over a catalogue needs its 24 bits
        if low and states.device.type == "cpu":  # rows without a share change nothing
            first, items, bias, own, target, gone, share = *given, *rest
            own, target = (None if t is None else filled(t) for t in (own, target))
            given, rest = [filled(first), items, bias, own], (target, gone, filled(share))
        return _Softmax.apply(*given, *rest, low)


def _share(weight: Tensor | None, states: Tensor) -> Tensor:
    """What each row counts in the mean."""
    if weight is None:
        return states.new_full((len(states),), 1 / len(states), dtype=torch.promote_types(states.dtype, torch.float32))
    return (weight / weight.sum().clamp_min(1e-12)).detach()


def full_softmax(
    states: Tensor, items: Tensor, target: Tensor, *, bias: Tensor | None = None, weight: Tensor | None = None
) -> Tensor:
    """Cross-entropy over the whole catalogue; memory does not grow with states times items.

    Parameters
    ----------
    states : [n, d]. items : [V, d]. bias : [V] or None.
    target : int64[n], the row of `items`; -1 leaves an example out.
    weight : [n] or None.
    """
    known = target >= 0
    if not bool(known.all()):
        states, target = states[known], target[known]
        weight = None if weight is None else weight[known]
    if not len(states):
        return (states.sum() + items.sum()) * 0.0
    return _softmax(states, items, bias, None, target, None, _share(weight, states))


def sampled_softmax(
    states: Tensor,
    positive: Tensor,
    negative: Tensor,
    target: Tensor,
    sampled: Tensor,
    log_q: Tensor,
    *,
    weight: Tensor | None = None,
) -> Tensor:
    """Cross-entropy over the target and shared samples, each logit less the log of its expected count.

    Parameters
    ----------
    states : [n, d]. positive : [n, d], vectors of the targets. negative : [m, d], vectors of the samples.
    target : int64[n]. sampled : int64[m], drawn with replacement from q.
    log_q : [V], log of the proposal's probability of each item.
    weight : [n] or None.

    Notes
    -----
    With s' = s - log(m q) for the samples the sum over them estimates the sum over the catalogue, and the loss
    approaches the full softmax as m grows. A sample that is the target of its row is masked: it stands there
    already. Y. Bengio, J.-S. Senecal: Adaptive Importance Sampling to Accelerate Training of a Neural
    Probabilistic Language Model. IEEE Trans. Neural Networks 2008.
    """
    if not len(sampled):
        raise OptionError("sampled softmax: no negative samples; draw at least one.")
    if not len(states):
        return (states.sum() + negative.sum()) * 0.0
    correction = (log_q[sampled] + math.log(len(sampled))).to(states.device)
    order = sampled.argsort()
    found = sampled[order]
    first, last = torch.searchsorted(found, target), torch.searchsorted(found, target, right=True)
    row = torch.repeat_interleave(torch.arange(len(target), device=target.device), last - first)
    start = torch.cat([first.new_zeros(1), (last - first).cumsum(0)])[row]
    column = order[first[row] + torch.arange(len(row), device=row.device) - start]
    own = (states * positive).sum(1)
    return _softmax(states, negative, -correction, own, None, (row, column), _share(weight, states))


def info_nce(
    first: Tensor, second: Tensor, temperature: float = 0.1, *, same: Tensor | None = None, symmetric: bool = True
) -> Tensor:
    """Contrastive loss of paired rows; the other rows of the batch are the negatives.

    Parameters
    ----------
    first, second : [n, d]; row i of both belong together.
    same : bool[n, n], pairs that are no negatives of each other (their diagonal is ignored).

    Notes
    -----
    A. van den Oord, Y. Li, O. Vinyals: Representation Learning with Contrastive Predictive Coding. 2018.
    """
    logits = first @ second.T / temperature
    if same is not None:
        hidden = same & ~torch.eye(len(first), dtype=torch.bool, device=first.device)
        logits = logits.masked_fill(hidden, -torch.inf)
    target = torch.arange(len(first), device=first.device)
    one = F.cross_entropy(logits, target)
    return (one + F.cross_entropy(logits.T, target)) / 2 if symmetric else one

"""DIN's interests of packed candidates as one differentiable operation, by the sweeps of `nn.sweeps`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ethogram.nn import sweeps
from ethogram.nn.activation import Dice
from ethogram.nn.rows import Picked

WIDEST = 48
"""Widest events that are swept where a question has several candidates; wider ones multiply faster in blocks, and so
do all where the gate is so cheap that only the multiplication counts (PReLU, ReLU)."""


def able(keys: Picked, act: nn.Module, several: bool) -> bool:
    """Whether events of this kind are swept."""
    there = keys.values.device.type == "cpu" and keys.values.dtype in (torch.float32, torch.bfloat16)
    return there and not (several and (keys.values.shape[1] > WIDEST or not isinstance(act, Dice)))


class _Interests(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, pairs: tuple[np.ndarray, np.ndarray, np.ndarray], act: nn.Module, values: Tensor, queries: Tensor,
        bias: Tensor, product: Tensor, key: Tensor, out: Tensor, last: Tensor, alpha: Tensor,
    ) -> Tensor:  # fmt: skip
        rows, first, spans = pairs
        given = [_array(t) for t in (values, queries, bias, product.T, key.T)]
        asked = (given[0], rows, first, spans, *given[1:])
        dice, pairs_in_all = isinstance(act, Dice), int(spans[-1])
        learn = dice and act.training and pairs_in_all > 0
        width, kind = given[2].shape[1], given[2].dtype
        mean, scale = np.zeros(width, kind), np.zeros(width, kind)
        if learn:
            mean, variance = _moments(asked, _array(act.mean), pairs_in_all)
            act.move(torch.tensor(float(pairs_in_all)), torch.from_numpy(mean), torch.from_numpy(variance))
            scale = 1 / np.sqrt(variance + np.float32(act.eps))
        elif dice:
            mean, scale = _array(act.mean), 1 / np.sqrt(_array(act.variance) + np.float32(act.eps))
        line, bent = _array(out * alpha), _array(out * (1 - alpha))
        scores, found = np.empty(pairs_in_all, np.float32), np.zeros(queries.shape, np.float32)
        sweeps.forward(*asked, line, bent, mean, scale, dice, np.float32(last.item()), scores, found)
        ctx.asked, ctx.gate, ctx.scores = asked, (mean, scale, dice), scores
        ctx.lines, ctx.share = (line, bent), 1 / pairs_in_all if learn else 0.0
        ctx.save_for_backward(out, alpha)
        return torch.from_numpy(found)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        out, alpha = (t.detach() for t in ctx.saved_tensors)
        values, _, _, _, queries, bias, product, key = ctx.asked
        grad, (mean, scale, dice) = _array(grads[0]), ctx.gate
        slope, total = np.empty_like(ctx.scores), np.zeros((4, len(mean)))
        sweeps.slopes(*ctx.asked, mean, scale, dice, grad, slope, total)
        from_z, from_gated, steep, steep_z = (torch.from_numpy(row).to(out.dtype) for row in total)
        # what mean and variance of the pairs take back from every pair
        lift, tilt = (_array(out * (1 - alpha) * s) * scale * np.float32(ctx.share) for s in (steep, steep_z))
        to = [np.zeros_like(x) for x in (values, queries, bias, product, key)]
        sweeps.backward(*ctx.asked, *ctx.lines, mean, scale, dice, lift, tilt, ctx.scores, slope, grad, *to)
        to_values, to_queries, to_bias, to_product, to_key = (torch.from_numpy(x) for x in to)
        to_out = alpha * from_z + (1 - alpha) * from_gated
        to_last = torch.from_numpy(slope).sum()
        given = (to_values, to_queries, to_bias, to_product.T, to_key.T, to_out, to_last, out * (from_z - from_gated))
        return None, None, *given


def _moments(asked: tuple[np.ndarray, ...], near: np.ndarray, pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the hidden values; sums are taken about `near`, so that no digits cancel."""
    total = np.zeros((2, len(near)))
    sweeps.moments(*asked, near, total)
    off, square = total / pairs
    return (near + off).astype(np.float32), np.maximum(square - off * off, 0).astype(np.float32)


def _array(t: Tensor) -> np.ndarray:
    found: np.ndarray = t.detach().contiguous().numpy()
    return found


def interests(
    keys: Picked, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor, bias: Tensor, act: nn.Module,
    product: Tensor, key: Tensor, last: nn.Linear,
) -> Tensor:  # fmt: skip
    """``sum_j a(k_j, q) k_j`` over the events of each candidate's question, [Q, d].

    Parameters
    ----------
    keys : events of all questions. queries : [Q, d] candidates of all questions. bias : [Q, h], their own part of the
        first layer. key_offsets, query_offsets : int64[n + 1].
    act : Dice, PReLU or ReLU; in training Dice takes mean and variance of all pairs.
    product, key : [h, d], first-layer weights of k*q and of k. last : the second layer, h to 1.
    """
    counts = query_offsets.diff().numpy()
    first = np.repeat(key_offsets[:-1].numpy(), counts)
    spans = np.append(0, np.cumsum(np.repeat(key_offsets.diff().numpy(), counts)))
    alpha = getattr(act, "alpha", getattr(act, "weight", None))
    out = last.weight[0]
    alpha = torch.zeros_like(out) if alpha is None else alpha
    given = (keys.values, queries, bias, product, key, out, last.bias[0], alpha)
    pairs = (keys.rows.numpy(), first, spans)
    with torch.autocast(queries.device.type, enabled=False):
        return _Interests.apply(pairs, act, *(t.float() for t in given))

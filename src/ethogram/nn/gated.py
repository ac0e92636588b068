"""A layer of gated units over packed steps, backwards by hand: products of many rows, and one pass for the gates.

    r = sigmoid(x_r + U_r h),   z = sigmoid(x_z + U_z h),   n = tanh(x_n + r * U_n h),   h' = (1 - z) n + z h

x = W input is made for all steps at once by the caller. Step t holds the first ``sizes[t]`` histories, longest first,
so the states of step t - 1 that it needs are the first rows of that step. On the way back the gradient of U is one
product over all steps; torch's own layer makes one for each step, and writes an array of all steps as often.

Reference: K. Cho et al.: Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
Translation. EMNLP 2014.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from ethogram.nn.sweeps import sigmoid

_FAST: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy"}
_ONE, _TWO = np.float32(1), np.float32(2)

# Loops over one row with few arrays each: where a loop has many, the compiler cannot rule out that what it writes is
# what it reads next, and makes no vectors of it.


@njit(**_FAST)
def _gate(x, own, out):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = sigmoid(x[k] + own[k])


@njit(**_FAST)
def _candidate(x, own, reset, out):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = _TWO * sigmoid(_TWO * (x[k] + reset[k] * own[k])) - _ONE


@njit(**_FAST)
def _mixed(before, update, new, out):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = new[k] + update[k] * (before[k] - new[k])


@njit(**_FAST)
def _forwards(x, own, before, gates, after):  # type: ignore[no-untyped-def]
    """One step; `gates` [3, n, h] keeps r, z and n."""
    w = before.shape[1]
    for i in range(len(x)):
        _gate(x[i, :w], own[i, :w], gates[0, i])
        _gate(x[i, w : 2 * w], own[i, w : 2 * w], gates[1, i])
        _candidate(x[i, 2 * w :], own[i, 2 * w :], gates[0, i], gates[2, i])
        _mixed(before[i], gates[1, i], gates[2, i], after[i])


@njit(**_FAST)
def _to_candidate(grad, update, new, out):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = grad[k] * (_ONE - update[k]) * (_ONE - new[k] * new[k])


@njit(**_FAST)
def _to_reset(down, own, reset, out):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = down[k] * own[k] * reset[k] * (_ONE - reset[k])


@njit(**_FAST)
def _bent(gap, update, out):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = gap[k] * update[k] * (_ONE - update[k])


@njit(**_FAST)
def _gap(grad, before, new, out):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = grad[k] * (before[k] - new[k])


@njit(**_FAST)
def _times(a, b, out):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = a[k] * b[k]


@njit(**_FAST)
def _backwards(grad, own, before, gates, to_x, to_own, carried):  # type: ignore[no-untyped-def]
    """One step: gradients of x, of U h and, by way of z, of the state before."""
    w = before.shape[1]
    for i in range(len(grad)):
        reset, update, new = gates[0, i], gates[1, i], gates[2, i]
        _to_candidate(grad[i], update, new, to_x[i, 2 * w :])
        _to_reset(to_x[i, 2 * w :], own[i, 2 * w :], reset, to_own[i, :w])
        _gap(grad[i], before[i], new, carried[i])
        _bent(carried[i], update, to_own[i, w : 2 * w])
        _times(to_x[i, 2 * w :], reset, to_own[i, 2 * w :])
        _times(grad[i], update, carried[i])
        to_x[i, : 2 * w] = to_own[i, : 2 * w]


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, sizes: list[int]) -> Tensor:
        rows, width = len(x), weight.shape[1]
        x = x.detach().contiguous()
        states, gates, own = x.new_empty(rows, width), x.new_empty(3, rows, width), torch.empty_like(x)
        turned, at, before = weight.detach().t(), 0, x.new_zeros(sizes[0], width)
        inputs, outs, held, kept = (t.numpy() for t in (x, states, gates, own))
        for n in sizes:
            here = slice(at, at + n)
            torch.mm(before[:n], turned, out=own[here])
            _forwards(inputs[here], kept[here], before[:n].numpy(), held[:, here], outs[here])
            before, at = states[here], at + n
        ctx.save_for_backward(weight, states, gates, own)
        ctx.sizes = sizes
        return states

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        weight, states, gates, own = ctx.saved_tensors
        sizes, width, rows = ctx.sizes, weight.shape[1], len(states)
        grad, weight = grads[0], weight.detach()
        to_x, to_own = grad.new_empty(rows, 3 * width), grad.new_empty(rows, 3 * width)
        later, carried = grad.new_zeros(sizes[0], width), grad.new_empty(sizes[0], width)
        earlier = grad.new_empty(rows, width)  # the state that each row began from
        arrays = tuple(t.numpy() for t in (own, earlier, gates, to_x, to_own, carried))
        at, held = rows, 0
        for t in range(len(sizes) - 1, -1, -1):
            n = sizes[t]
            at -= n
            here, begin = slice(at, at + n), at - sizes[t - 1]
            earlier[here] = states[begin : begin + n] if t else 0
            later[held:n] = 0  # histories that end with this step
            later[:n] += grad[here]
            u, b, g, x, o, c = arrays
            _backwards(later[:n].numpy(), u[here], b[here], g[:, here], x[here], o[here], c[:n])
            torch.addmm(carried[:n], to_own[here], weight, out=later[:n])
            held = n
        return to_x, to_own.t() @ earlier, None


def layer(x: Tensor, weight: Tensor, sizes: list[int]) -> Tensor:
    """States [T, h] of packed steps.

    Parameters
    ----------
    x : float32[T, 3 h] on the CPU, W input of all steps. weight : [3 h, h], U. sizes : histories of each step, falling.
    """
    found: Tensor = _Layer.apply(x, weight, sizes)
    return found

"""Attention of instants over the events strictly before them, themselves, and a prefix that all may see.

    s_rj = q_r . k_j for the first `visible_r` events of the sequence,   s_r = `own` for the instant itself,
    s_rp = q_r . kp_p + `lift_r` for the rows of the prefix that state_r allows
    out_r = sum of softmax(s) times the values,   mass_r = the part of the softmax that the prefix has

Instants are many (twenty for each event, where an integral is taken) and events are few, so keys and values of events
are made once and every instant of a sequence is one row of a product with them. On the CPU in float32 the products of
a piece stay in the cache, the softmax is one compiled pass, weights are made again on the way back instead of being
kept, and rows are cut so that most of what they may not see is never multiplied. Elsewhere the same in torch.

Nothing is padded: rows and events lie packed, `offsets` on the CPU. Rows of a sequence are ordered by `visible`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from ethogram.nn.sweeps import exp

_FAST: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy"}
PIECE = 320
"""Rows of a product: few enough that what they may not see is small, many enough that the call is."""
_LOW = np.float32(-1e30)


@dataclass(frozen=True, eq=False)
class Rows:
    """Which rows see what.

    Attributes
    ----------
    offsets : int64[n + 1], rows of each sequence. events : int64[n + 1], events of each. Both NumPy.
    visible : int64[R] NumPy, not descending within a sequence; a row sees so many of its sequence's first events.
    """

    offsets: np.ndarray
    events: np.ndarray
    visible: np.ndarray

    def pieces(self) -> list[tuple[int, int, int, int]]:
        """(first row, last row + 1, first event, number of events) of each product."""
        made = []
        for i in range(len(self.offsets) - 1):
            start, stop = int(self.offsets[i]), int(self.offsets[i + 1])
            count = max(1, round((stop - start) / PIECE))
            cuts = np.linspace(start, stop, count + 1).astype(int).tolist()
            for a, b in zip(cuts[:-1], cuts[1:], strict=True):
                if b > a:
                    made.append((a, b, int(self.events[i]), int(self.visible[b - 1])))
        return made


@dataclass(frozen=True, eq=False)
class Prefix:
    """Rows that stand before all events.

    Attributes
    ----------
    keys, values : [P, d]. lift : [R], added to a row's scores of the prefix.
    allowed : bool[S, P], which of the prefix a state may see. state : int64[R], of each row. Both on the CPU.
    """

    keys: Tensor
    values: Tensor
    lift: Tensor
    allowed: Tensor
    state: Tensor


def attend(
    query: Tensor, own: Tensor, value: Tensor, keys: Tensor, values: Tensor, rows: Rows, prefix: Prefix | None = None
) -> tuple[Tensor, Tensor]:
    """(out [R, d], mass [R]); see the module.

    Parameters
    ----------
    query : [R, d], already divided by the square root of the width. own : [R]. value : [R, d], the instants' own.
    keys, values : [E, d] of the events.
    """
    if prefix is None:
        nothing = query.new_zeros(0, query.shape[1])
        lift = query.new_zeros(len(query))
        prefix = Prefix(nothing, nothing, lift, torch.ones(1, 0, dtype=torch.bool), torch.zeros(0, dtype=torch.int64))
    if query.device.type != "cpu" or query.dtype != torch.float32:
        return _plain(query, own, value, keys, values, rows, prefix)
    found: tuple[Tensor, Tensor] = _Attend.apply(
        query, own, value, keys, values, prefix.keys, prefix.values, prefix.lift, rows, prefix.allowed, prefix.state
    )
    return found


def _plain(
    query: Tensor, own: Tensor, value: Tensor, keys: Tensor, values: Tensor, rows: Rows, prefix: Prefix
) -> tuple[Tensor, Tensor]:
    outs, masses = [], []
    width = len(prefix.keys)
    for first, last, event, count in rows.pieces():
        q = query[first:last]
        visible = torch.from_numpy(rows.visible[first:last]).to(q.device)
        seen = torch.arange(count, device=q.device) < visible.unsqueeze(1)
        scores = (q @ keys[event : event + count].T).masked_fill(~seen, -torch.inf)
        parts = [scores, own[first:last].unsqueeze(1)]
        if width:
            allowed = prefix.allowed[prefix.state[first:last]].to(q.device)
            ahead = q @ prefix.keys.T + prefix.lift[first:last].unsqueeze(1)
            parts.insert(0, ahead.masked_fill(~allowed, -torch.inf))
        weight = torch.cat(parts, 1).softmax(1)
        out = weight[:, width:-1] @ values[event : event + count] + weight[:, -1:] * value[first:last]
        if width:
            out = out + weight[:, :width] @ prefix.values
        outs.append(out)
        masses.append(weight[:, :width].sum(1))
    if not outs:
        return torch.zeros_like(query), query.new_zeros(0)
    return torch.cat(outs), torch.cat(masses)


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, own: Tensor, value: Tensor, keys: Tensor, values: Tensor, ahead: Tensor,
        ahead_value: Tensor, lift: Tensor, rows: Rows, allowed: Tensor, state: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        inputs = [t.detach().contiguous() for t in (query, own, value, keys, values, ahead, ahead_value, lift)]
        query, own, value, keys, values, ahead, ahead_value, lift = inputs
        out, mass, top, share = torch.empty_like(value), torch.empty_like(own), torch.empty_like(own), own.clone()
        pieces, width = rows.pieces(), len(ahead)
        score, front = _scratch(query, pieces, width)
        seen, open_ = allowed.numpy(), state.numpy()
        for first, last, event, count in pieces:
            here, n = slice(first, last), last - first
            s, f = score[: n * count].view(n, count), front[: n * width].view(n, width)
            torch.mm(query[here], keys[event : event + count].t(), out=s)
            if width:
                torch.mm(query[here], ahead.t(), out=f)
            _soften(
                s.numpy(), f.numpy(), rows.visible[here], own[here].numpy(), lift[here].numpy(), seen, open_[here],
                top[here].numpy(), share[here].numpy(), mass[here].numpy(),
            )  # fmt: skip
            torch.mm(s, values[event : event + count], out=out[here])
            if width:
                out[here].addmm_(f, ahead_value)
            _add_own(out[here].numpy(), share[here].numpy(), value[here].numpy())
        ctx.save_for_backward(*inputs, out, mass, top, share)
        ctx.rows, ctx.allowed, ctx.state = rows, allowed, state
        return out, mass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        query, own, value, keys, values, ahead, ahead_value, lift, out, mass, top, share = ctx.saved_tensors
        rows, grad, to_mass = ctx.rows, grads[0].contiguous(), grads[1].contiguous()
        to_query, to_own, to_value = torch.empty_like(query), torch.empty_like(own), torch.empty_like(value)
        to_keys, to_values = torch.zeros_like(keys), torch.zeros_like(values)
        to_ahead, to_ahead_value, to_lift = (torch.zeros_like(t) for t in (ahead, ahead_value, lift))
        pieces, width = rows.pieces(), len(ahead)
        score, front = _scratch(query, pieces, width)
        down, down_front = torch.empty_like(score), torch.empty_like(front)
        seen, open_ = ctx.allowed.numpy(), ctx.state.numpy()
        for first, last, event, count in pieces:
            here, n, those = slice(first, last), last - first, slice(event, event + count)
            s, f = score[: n * count].view(n, count), front[: n * width].view(n, width)
            d, df = down[: n * count].view(n, count), down_front[: n * width].view(n, width)
            q, g = query[here], grad[here]
            torch.mm(q, keys[those].t(), out=s)
            torch.mm(g, values[those].t(), out=d)
            if width:
                torch.mm(q, ahead.t(), out=f)
                torch.mm(g, ahead_value.t(), out=df)
            _harden(
                s.numpy(), f.numpy(), d.numpy(), df.numpy(), rows.visible[here], lift[here].numpy(), seen, open_[here],
                top[here].numpy(), own[here].numpy(), share[here].numpy(), out[here].numpy(), g.numpy(),
                mass[here].numpy(), to_mass[here].numpy(), value[here].numpy(), to_own[here].numpy(),
                to_lift[here].numpy(), to_value[here].numpy(),
            )  # fmt: skip
            to_values[those].addmm_(s.t(), g)
            to_keys[those].addmm_(d.t(), q)
            torch.mm(d, keys[those], out=to_query[here])
            if width:
                to_ahead_value.addmm_(f.t(), g)
                to_ahead.addmm_(df.t(), q)
                to_query[here].addmm_(df, ahead)
        return (
            *(to_query, to_own, to_value, to_keys, to_values, to_ahead, to_ahead_value, to_lift),
            *(None, None, None),
        )


def _scratch(query: Tensor, pieces: list[tuple[int, int, int, int]], width: int) -> tuple[Tensor, Tensor]:
    """Room for the largest product of scores, and of those of the prefix."""
    most = max((b - a for a, b, _, _ in pieces), default=0)
    return query.new_empty(max(((b - a) * n for a, b, _, n in pieces), default=0)), query.new_empty(most * width)


@njit(**_FAST)
def _highest(row, n):  # type: ignore[no-untyped-def]
    top = _LOW
    for j in range(n):
        top = max(top, row[j])
    return top


@njit(**_FAST)
def _powers(row, n, top):  # type: ignore[no-untyped-def]
    """e^(row - top) in place of the first n, 0 behind them; their sum."""
    total = np.float32(0)
    for j in range(n):
        e = exp(row[j] - top)
        row[j] = e
        total += e
    for j in range(n, len(row)):
        row[j] = np.float32(0)
    return total


@njit(**_FAST)
def _scale(row, by):  # type: ignore[no-untyped-def]
    for j in range(len(row)):
        row[j] *= by


@njit(**_FAST)
def _lifted(row, lift, allowed):  # type: ignore[no-untyped-def]
    for j in range(len(row)):
        row[j] = row[j] + lift if allowed[j] else _LOW


@njit(**_FAST)
def _soften(score, front, visible, own, lift, allowed, state, top, share, mass):  # type: ignore[no-untyped-def]
    """Scores become weights; of each row the logarithm of its sum, its own weight, and the prefix's."""
    width = front.shape[1]
    for r in range(len(own)):
        n, most = visible[r], max(own[r], _highest(score[r], visible[r]))
        if width:
            _lifted(front[r], lift[r], allowed[state[r]])
            most = max(most, _highest(front[r], width))
        ahead = _powers(front[r], width, most) if width else np.float32(0)
        alone = np.exp(own[r] - most)
        total = ahead + _powers(score[r], n, most) + alone
        by = np.float32(1) / total
        _scale(score[r], by)
        if width:
            _scale(front[r], by)
        top[r], share[r], mass[r] = most + np.log(total), alone * by, ahead * by


@njit(**_FAST)
def _add_own(out, share, value):  # type: ignore[no-untyped-def]
    for r in range(len(out)):
        for k in range(out.shape[1]):
            out[r, k] += share[r] * value[r, k]


@njit(**_FAST)
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = np.float32(0)
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@njit(**_FAST)
def _slope(weight, down, level):  # type: ignore[no-untyped-def]
    """Gradient of the scores, in place of the gradient of the weights; its sum."""
    total = np.float32(0)
    for j in range(len(weight)):
        down[j] = weight[j] * (down[j] - level)
        total += down[j]
    return total


@njit(**_FAST)
def _harden(score, front, down, down_front, visible, lift, allowed, state, top, own, share, out, grad, mass, to_mass,
            value, to_own, to_lift, to_value):  # type: ignore[no-untyped-def]  # fmt: skip
    """Weights from scores again, and the gradients of the scores from those of the weights."""
    width = front.shape[1]
    for r in range(len(own)):
        _powers(score[r], visible[r], top[r])
        level = _dot(out[r], grad[r]) + mass[r] * to_mass[r]
        _slope(score[r], down[r], level)
        if width:
            _lifted(front[r], lift[r], allowed[state[r]])
            _powers(front[r], width, top[r])
            to_lift[r] = _slope(front[r], down_front[r], level - to_mass[r])
        to_own[r] = share[r] * (_dot(grad[r], value[r]) - level)
        for k in range(value.shape[1]):
            to_value[r, k] = share[r] * grad[r, k]

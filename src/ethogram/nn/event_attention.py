"""Attention of instants over the events strictly before them, themselves, and a prefix that all may see.

    s_rj = q_r . k_j / sqrt(d) for the first `visible_r` events of the sequence,   s_r = q_r . k_r / sqrt(d) for itself,
    s_rp = (q_r . kp_p + `lift_r`) / sqrt(d) for the rows of the prefix that state_r allows
    out_r = sum of softmax(s) times the values,   mass_r = the part of the softmax that the prefix has

Instants are many (twenty for each event, where an integral is taken) and events are few, so keys and values of events
are made once and every instant of a sequence is one row of a product with them. On the CPU in float32 the products of
a piece stay in the cache, the softmax is one compiled pass, weights are made again on the way back instead of being
kept, and rows are cut so that most of what they may not see is never multiplied. Elsewhere the same in torch.

Nothing is padded: rows and events lie packed, `offsets` on the CPU. Rows of a sequence are ordered by `visible`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from ethogram.nn.sweeps import add, dot, exp

_FAST: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy"}
PIECE = 640
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
        bounds, events, visible = self.offsets.tolist(), self.events.tolist(), self.visible
        for i in np.flatnonzero(np.diff(self.offsets)).tolist():
            start, stop = bounds[i], bounds[i + 1]
            if stop - start < 1.5 * PIECE:  # sequences of a few rows are many: nothing here may cost
                made.append((start, stop, events[i], int(visible[stop - 1])))
                continue
            cuts = np.linspace(start, stop, round((stop - start) / PIECE) + 1).astype(int).tolist()
            made += [(a, b, events[i], int(visible[b - 1])) for a, b in itertools.pairwise(cuts)]
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


def attend(x: Tensor, keys: Tensor, values: Tensor, rows: Rows, prefix: Prefix | None = None) -> tuple[Tensor, Tensor]:
    """(out [R, d], mass [R]); see the module.

    Parameters
    ----------
    x : [R, 3 d], query, key and value of each row side by side. keys, values : [E, d] of the events.
    """
    if prefix is None:
        nothing = keys.new_zeros(0, keys.shape[1])
        anything = torch.ones(1, 0, dtype=torch.bool)
        prefix = Prefix(nothing, nothing, x.new_zeros(len(x)), anything, torch.zeros(len(x), dtype=torch.int64))
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return _plain(x, keys, values, rows, prefix)
    found: tuple[Tensor, Tensor] = _Attend.apply(
        x, keys, values, prefix.keys, prefix.values, prefix.lift, rows, prefix.allowed, prefix.state
    )
    return found


def _plain(x: Tensor, keys: Tensor, values: Tensor, rows: Rows, prefix: Prefix) -> tuple[Tensor, Tensor]:
    outs, masses = [x.new_zeros(0, keys.shape[1])], [x.new_zeros(0)]
    width, scale = len(prefix.keys), keys.shape[1] ** -0.5
    query, key, value = x.split(keys.shape[1], 1)
    for first, last, event, count in rows.pieces():
        q = query[first:last]
        visible = torch.from_numpy(rows.visible[first:last]).to(q.device)
        seen = torch.arange(count, device=q.device) < visible.unsqueeze(1)
        scores = (q @ keys[event : event + count].T).masked_fill(~seen, -torch.inf)
        parts = [scores, (q * key[first:last]).sum(1, keepdim=True)]
        if width:
            allowed = prefix.allowed[prefix.state[first:last]].to(q.device)
            ahead = q @ prefix.keys.T + prefix.lift[first:last].unsqueeze(1)
            parts.insert(0, ahead.masked_fill(~allowed, -torch.inf))
        weight = (scale * torch.cat(parts, 1)).softmax(1)
        out = weight[:, width:-1] @ values[event : event + count] + weight[:, -1:] * value[first:last]
        if width:
            out = out + weight[:, :width] @ prefix.values
        outs.append(out)
        masses.append(weight[:, :width].sum(1))
    return torch.cat(outs), torch.cat(masses)


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, keys: Tensor, values: Tensor, ahead: Tensor, ahead_value: Tensor, lift: Tensor,
        rows: Rows, allowed: Tensor, state: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        inputs = [t.detach().contiguous() for t in (x, keys, values, ahead, ahead_value, lift)]
        x, keys, values, ahead, ahead_value, lift = inputs
        d = keys.shape[1]
        out, mass, top, share = x.new_empty(len(x), d), torch.empty_like(lift), torch.empty_like(lift), lift.clone()
        pieces, width = rows.pieces(), len(ahead)
        score, front = _scratch(x, pieces, width)
        turned, by = keys.t(), np.float32(d**-0.5)
        # what compiled passes read is sliced as arrays: a slice of a tensor costs as much as a small pass
        seen, open_, given, lifts, tops, shares, masses, outs, scores, fronts = (
            t.numpy() for t in (allowed, state, x, lift, top, share, mass, out, score, front)
        )
        for first, last, event, count in pieces:
            here, n = slice(first, last), last - first
            s, f = score[: n * count].view(n, count), front[: n * width].view(n, width)
            torch.mm(x[here, :d], turned[:, event : event + count], out=s)
            if width:
                torch.mm(x[here, :d], ahead.t(), out=f)
            _soften(
                scores[: n * count].reshape(n, count), fronts[: n * width].reshape(n, width), rows.visible[here],
                given[here], lifts[here], seen, open_[here], tops[here], shares[here], masses[here], by,
            )  # fmt: skip
            torch.mm(s, values[event : event + count], out=out[here])
            if width:
                out[here].addmm_(f, ahead_value)
            _add_own(outs[here], shares[here], given[here])
        ctx.save_for_backward(*inputs, out, mass, top, share)
        ctx.rows, ctx.allowed, ctx.state = rows, allowed, state
        return out, mass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, keys, values, ahead, ahead_value, lift, out, mass, top, share = ctx.saved_tensors
        rows, grad, to_mass = ctx.rows, grads[0].contiguous(), grads[1].contiguous()
        to_x, to_lift = torch.empty_like(x), torch.zeros_like(lift)
        to_keys, to_values, to_ahead, to_ahead_value = (torch.zeros_like(t) for t in (keys, values, ahead, ahead_value))
        pieces, width, d = rows.pieces(), len(ahead), keys.shape[1]
        score, front = _scratch(x, pieces, width)
        down, down_front = torch.empty_like(score), torch.empty_like(front)
        to_query = x.new_empty(max((b - a for a, b, _, _ in pieces), default=0), d)
        by = np.float32(d**-0.5)
        seen, open_, given, lifts, tops, shares, masses, outs, scores, fronts, downs, downs_front = (
            t.numpy() for t in (ctx.allowed, ctx.state, x, lift, top, share, mass, out, score, front, down, down_front)
        )
        slopes, to_masses, to_lifts, to_queries, to_given = (
            t.numpy() for t in (grad, to_mass, to_lift, to_query, to_x)
        )  # fmt: skip
        for first, last, event, count in pieces:
            here, n, those = slice(first, last), last - first, slice(event, event + count)
            s, f = score[: n * count].view(n, count), front[: n * width].view(n, width)
            e, ef = down[: n * count].view(n, count), down_front[: n * width].view(n, width)
            q, g, tq = x[here, :d], grad[here], to_query[:n]
            torch.mm(q, keys[those].t(), out=s)
            torch.mm(g, values[those].t(), out=e)
            if width:
                torch.mm(q, ahead.t(), out=f)
                torch.mm(g, ahead_value.t(), out=ef)
            _harden(
                scores[: n * count].reshape(n, count), fronts[: n * width].reshape(n, width),
                downs[: n * count].reshape(n, count), downs_front[: n * width].reshape(n, width), rows.visible[here],
                lifts[here], seen, open_[here], tops[here], outs[here], slopes[here], masses[here], to_masses[here],
                to_lifts[here], by,
            )  # fmt: skip
            to_values[those].addmm_(s.t(), g)
            to_keys[those].addmm_(e.t(), q)
            torch.mm(e, keys[those], out=tq)
            if width:
                to_ahead_value.addmm_(f.t(), g)
                to_ahead.addmm_(ef.t(), q)
                tq.addmm_(ef, ahead)
            _own_back(
                given[here], shares[here], outs[here], slopes[here], masses[here], to_masses[here], to_queries[:n],
                to_given[here], by,
            )  # fmt: skip
        return to_x, to_keys, to_values, to_ahead, to_ahead_value, to_lift, None, None, None


def _scratch(x: Tensor, pieces: list[tuple[int, int, int, int]], width: int) -> tuple[Tensor, Tensor]:
    """Room for the largest product of scores, and of those of the prefix."""
    most = max((b - a for a, b, _, _ in pieces), default=0)
    return x.new_empty(max(((b - a) * n for a, b, _, n in pieces), default=0)), x.new_empty(most * width)


@njit(**_FAST)
def _highest(row, n):  # type: ignore[no-untyped-def]
    top = _LOW
    for j in range(n):
        top = max(top, row[j])
    return top


@njit(**_FAST)
def _powers(row, n, top, scale):  # type: ignore[no-untyped-def]
    """e^(scale row - top) in place of the first n, 0 behind them; their sum."""
    total = np.float32(0)
    for j in range(n):
        e = exp(scale * row[j] - top)
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
def _soften(score, front, visible, x, lift, allowed, state, top, share, mass, scale):  # type: ignore[no-untyped-def]
    """Scores become weights; of each row the logarithm of its sum, its own weight, and the prefix's."""
    width, d = front.shape[1], x.shape[1] // 3
    for r in range(len(x)):
        n, own = visible[r], dot(x[r, :d], x[r, d : 2 * d])
        most = max(own, _highest(score[r], n))
        if width:
            _lifted(front[r], lift[r], allowed[state[r]])
            most = max(most, _highest(front[r], width))
        most *= scale
        ahead = _powers(front[r], width, most, scale) if width else np.float32(0)
        alone = np.exp(scale * own - most)
        total = ahead + _powers(score[r], n, most, scale) + alone
        by = np.float32(1) / total
        _scale(score[r], by)
        if width:
            _scale(front[r], by)
        top[r], share[r], mass[r] = most + np.log(total), alone * by, ahead * by


@njit(**_FAST)
def _put(out, by, row):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = by * row[k]


@njit(**_FAST)
def _put_sum(out, one, by, row):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = one[k] + by * row[k]


@njit(**_FAST)
def _add_own(out, share, x):  # type: ignore[no-untyped-def]
    d = out.shape[1]
    for r in range(len(out)):
        add(out[r], share[r], x[r, 2 * d :])


@njit(**_FAST)
def _slope(weight, down, level, scale):  # type: ignore[no-untyped-def]
    """Gradient of the scores, in place of the gradient of the weights; its sum."""
    total = np.float32(0)
    for j in range(len(weight)):
        e = scale * weight[j] * (down[j] - level)
        down[j] = e
        total += e
    return total


@njit(**_FAST)
def _harden(score, front, down, down_front, visible, lift, allowed, state, top, out, grad, mass, to_mass, to_lift,
            scale):  # type: ignore[no-untyped-def]  # fmt: skip
    """Weights from scores again, and the gradients of the scores from those of the weights."""
    width = front.shape[1]
    for r in range(len(top)):
        _powers(score[r], visible[r], top[r], scale)
        level = dot(out[r], grad[r]) + mass[r] * to_mass[r]
        _slope(score[r], down[r], level, scale)
        if width:
            _lifted(front[r], lift[r], allowed[state[r]])
            _powers(front[r], width, top[r], scale)
            to_lift[r] = _slope(front[r], down_front[r], level - to_mass[r], scale)


@njit(**_FAST)
def _own_back(x, share, out, grad, mass, to_mass, to_query, to_x, scale):  # type: ignore[no-untyped-def]
    """Gradients of the rows' own key, value and query."""
    d = grad.shape[1]
    for r in range(len(x)):
        level = dot(out[r], grad[r]) + mass[r] * to_mass[r]
        own = scale * share[r] * (dot(grad[r], x[r, 2 * d :]) - level)
        _put_sum(to_x[r, :d], to_query[r], own, x[r, d : 2 * d])
        _put(to_x[r, d : 2 * d], own, x[r, :d])
        _put(to_x[r, 2 * d :], share[r], grad[r])

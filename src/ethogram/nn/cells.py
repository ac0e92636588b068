"""Continuous-time cells over packed sequences, and the likelihood of events given them; backwards by hand.

See `nn.recurrent_process` for the equations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor

from ethogram.nn.sweeps import add, dot, exp, sigmoid
from ethogram.numeric.streams import Streams

_FAST: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy"}
_ONE, _TWO = np.float32(1), np.float32(2)


@dataclass(frozen=True, eq=False)
class Plan:
    """How sequences run side by side, the longest first.

    Attributes
    ----------
    sizes : sequences that have a t-th event, falling. first : of all sequences, the rows of the empty cells.
    event : int64[E], event of the streams at each row of the run. wait : float32[E], time since the event before.
    place : int64[S], row of the cells for state `offsets[i] + i + known`. since : float64[S], its last event's time.
    """

    sizes: list[int]
    first: int
    event: np.ndarray
    wait: np.ndarray
    place: np.ndarray
    since: np.ndarray

    @classmethod
    def of(cls, streams: Streams) -> Plan:
        lengths = streams.lengths
        order = np.argsort(-lengths, kind="stable")
        longest = int(lengths.max(initial=0))
        sizes = (lengths[order][:, None] > np.arange(longest)).sum(0).astype(int).tolist()
        starts = np.concatenate([[0], np.cumsum([len(streams), *sizes])])  # of each step's cells; 0: the empty ones
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        within = np.arange(len(streams.time)) - streams.offsets[streams.owner]
        row = starts[within + 1] - len(streams) + rank[streams.owner]
        event = np.empty(len(streams.time), np.int64)
        event[row] = np.arange(len(streams.time))
        gap = np.diff(streams.time, prepend=0.0)
        begins = streams.offsets[:-1][lengths > 0]
        gap[begins] = 0.0
        owner = np.repeat(np.arange(len(streams)), lengths + 1)
        known = np.arange(len(owner)) - streams.offsets[owner] - owner
        place = starts[known] + rank[owner]
        padded = np.append(streams.time, 0.0)
        began = np.minimum(streams.begin, padded[np.minimum(streams.offsets[:-1], len(streams.time))])
        since = np.where(known > 0, padded[streams.offsets[owner] + known - 1], began[owner])
        return cls(sizes, len(streams), event, gap[event].astype(np.float32), place, since)


def run(x: Tensor, own: Tensor, plan: Plan) -> Tensor:
    """Cells [S, 4, hidden] in the order of the run: c, c_bar, delta, o.

    Parameters
    ----------
    x : [E, 7 hidden], input of each event. own : [7 hidden, hidden], U.
    """
    if x.device.type == "cpu" and x.dtype == torch.float32:
        found: Tensor = _Run.apply(x, own, plan)
        return found
    hidden = own.shape[1]
    now = x.new_zeros(plan.first, 4, hidden)
    made, at = [now], 0
    for n in plan.sizes:
        here = slice(at, at + n)
        c, target, rate, gate = now[:n].unbind(1)
        wait = torch.from_numpy(plan.wait[here]).to(x).unsqueeze(1)
        memory = target + (c - target) * torch.exp(-rate * wait)
        i, f, o, i_bar, f_bar, z, delta = (x[here] + (gate * memory.tanh()) @ own.T).split(hidden, 1)
        i, f, o, i_bar, f_bar, z = (*map(torch.sigmoid, (i, f, o, i_bar, f_bar)), z.tanh())
        now = torch.stack([f * memory + i * z, f_bar * target + i_bar * z, F.softplus(delta), o], 1)
        made.append(now)
        at += n
    return torch.cat(made)


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, own: Tensor, plan: Plan) -> Tensor:
        x, own = x.detach().contiguous(), own.detach()
        hidden, events = own.shape[1], len(x)
        cells = x.new_zeros(plan.first + events, 4, hidden)
        read, gates, memory = x.new_empty(events, hidden), torch.empty_like(x), x.new_empty(events, hidden)
        turned, c, at, before = own.t().contiguous(), cells.numpy(), 0, 0
        for n in plan.sizes:
            here, next_ = slice(at, at + n), plan.first + at
            _fade(c[before : before + n], plan.wait[here], memory[here].numpy(), read[here].numpy())
            torch.addmm(x[here], read[here], turned, out=gates[here])
            _step(gates[here].numpy(), c[before : before + n], memory[here].numpy(), c[next_ : next_ + n])
            before, at = next_, at + n
        ctx.save_for_backward(own, cells, read, gates, memory)
        ctx.plan = plan
        return cells

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        own, cells, read, gates, memory = ctx.saved_tensors
        plan, grad = ctx.plan, grads[0].clone(memory_format=torch.contiguous_format)
        down, to_read = torch.empty_like(gates), torch.empty_like(read)
        c, g = cells.numpy(), grad.numpy()
        at = len(gates)
        for t in range(len(plan.sizes) - 1, -1, -1):
            n = plan.sizes[t]
            at -= n
            here, next_ = slice(at, at + n), plan.first + at
            before = plan.first + at - plan.sizes[t - 1] if t else 0
            was, to_was = c[before : before + n], g[before : before + n]
            to_memory = np.empty((n, own.shape[1]), np.float32)
            _unstep(gates[here].numpy(), was, memory[here].numpy(), c[next_ : next_ + n], g[next_ : next_ + n],
                    down[here].numpy(), to_memory, to_was)  # fmt: skip
            torch.mm(down[here], own, out=to_read[here])
            _unfade(was, plan.wait[here], memory[here].numpy(), to_read[here].numpy(), to_memory, to_was)
        return down, down.t() @ read, None


@njit(**_FAST)
def _tanh(x):  # type: ignore[no-untyped-def]
    return _TWO * sigmoid(_TWO * x) - _ONE


@njit(**_FAST)
def _faded(cell, wait, memory):  # type: ignore[no-untyped-def]
    for k in range(len(memory)):
        memory[k] = cell[1, k] + (cell[0, k] - cell[1, k]) * exp(-cell[2, k] * wait)


@njit(**_FAST)
def _said(gate, memory, out):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = gate[k] * _tanh(memory[k])


@njit(**_FAST)
def _fade(cell, wait, memory, read):  # type: ignore[no-untyped-def]
    for i in range(len(cell)):
        _faded(cell[i], wait[i], memory[i])
        _said(cell[i, 3], memory[i], read[i])


@njit(**_FAST)
def _squash(row, width):  # type: ignore[no-untyped-def]
    for k in range(5 * width):
        row[k] = sigmoid(row[k])
    for k in range(5 * width, 6 * width):
        row[k] = _tanh(row[k])


@njit(**_FAST)
def _mix(a, b, c, d, out):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = a[k] * b[k] + c[k] * d[k]


@njit(**_FAST)
def _soft(x, out):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = max(x[k], np.float32(0)) + np.log1p(np.exp(-abs(x[k])))


@njit(**_FAST)
def _step(gates, cell, memory, after):  # type: ignore[no-untyped-def]
    """`gates`: i, f, o, i_bar, f_bar, z, delta side by side; become what they are after their functions."""
    w = memory.shape[1]
    for i in range(len(gates)):
        _squash(gates[i], w)
        z = gates[i, 5 * w : 6 * w]
        _mix(gates[i, w : 2 * w], memory[i], gates[i, :w], z, after[i, 0])
        _mix(gates[i, 4 * w : 5 * w], cell[i, 1], gates[i, 3 * w : 4 * w], z, after[i, 1])
        _soft(gates[i, 6 * w :], after[i, 2])
        after[i, 3] = gates[i, 2 * w : 3 * w]


@njit(**_FAST)
def _to_sigmoid(grad, other, gate, out):  # type: ignore[no-untyped-def]
    for k in range(len(out)):
        out[k] = grad[k] * other[k] * gate[k] * (_ONE - gate[k])


@njit(**_FAST)
def _unstep(gates, cell, memory, after, grad, down, to_memory, to_cell):  # type: ignore[no-untyped-def]
    w = memory.shape[1]
    for i in range(len(gates)):
        g, row = gates[i], down[i]
        z = g[5 * w : 6 * w]
        _to_sigmoid(grad[i, 0], z, g[:w], row[:w])
        _to_sigmoid(grad[i, 0], memory[i], g[w : 2 * w], row[w : 2 * w])
        _to_sigmoid(grad[i, 1], z, g[3 * w : 4 * w], row[3 * w : 4 * w])
        _to_sigmoid(grad[i, 1], cell[i, 1], g[4 * w : 5 * w], row[4 * w : 5 * w])
        for k in range(w):
            o = g[2 * w + k]
            row[2 * w + k] = grad[i, 3, k] * o * (_ONE - o)
            row[5 * w + k] = (grad[i, 0, k] * g[k] + grad[i, 1, k] * g[3 * w + k]) * (_ONE - z[k] * z[k])
            # sigmoid(x) where softplus(x) is delta
            row[6 * w + k] = grad[i, 2, k] * (_ONE - exp(-after[i, 2, k]))
            to_memory[i, k] = grad[i, 0, k] * g[w + k]
            to_cell[i, 1, k] += grad[i, 1, k] * g[4 * w + k]


@njit(**_FAST)
def _unread(cell, wait, memory, to_read, to_memory, to_cell):  # type: ignore[no-untyped-def]
    for k in range(len(memory)):
        t = _tanh(memory[k])
        to_cell[3, k] += to_read[k] * t
        m = to_memory[k] + to_read[k] * cell[3, k] * (_ONE - t * t)
        e = exp(-cell[2, k] * wait)
        to_cell[0, k] += m * e
        to_cell[1, k] += m * (_ONE - e)
        to_cell[2, k] -= m * (cell[0, k] - cell[1, k]) * wait * e


@njit(**_FAST)
def _unfade(cell, wait, memory, to_read, to_memory, to_cell):  # type: ignore[no-untyped-def]
    for i in range(len(cell)):
        _unread(cell[i], wait[i], memory[i], to_read[i], to_memory[i], to_cell[i])


class Likelihood(torch.autograd.Function):
    """Sum of log intensities at events less their integral, from cells; its gradient is made with it."""

    @staticmethod
    def forward(
        ctx: Any, cells: Tensor, weight: Tensor, bias: Tensor, log_scale: Tensor, asked: tuple[np.ndarray, ...],
        least: float,
    ) -> Tensor:  # fmt: skip
        inputs = [t.detach() for t in (cells, weight, bias, log_scale)]
        if cells.device.type != "cpu" or cells.dtype != torch.float32:
            with torch.enable_grad():
                own = [t.clone().requires_grad_() for t in inputs]
                total = _plain(*own, asked, least)
                ctx.grads = torch.autograd.grad(total, own)
            return total.detach()
        grads = [torch.zeros_like(t) for t in inputs]
        total = _likelihood(
            *(t.contiguous().numpy() for t in inputs), *asked, np.float32(least), *(t.numpy() for t in grads)
        )
        ctx.grads = grads
        return cells.new_tensor(total)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return (*(g * grads[0] for g in ctx.grads), None, None)


def _plain(
    cells: Tensor, weight: Tensor, bias: Tensor, log_scale: Tensor, asked: tuple[np.ndarray, ...], least: float
) -> Tensor:
    from ethogram.nn.softplus import intensities

    place, wait, share, last, kinds, ends = asked

    def at(rows: np.ndarray, waits: np.ndarray) -> Tensor:
        c, target, rate, gate = cells[torch.from_numpy(rows)].unbind(1)
        memory = target + (c - target) * torch.exp(-rate * torch.from_numpy(waits).to(cells).unsqueeze(1))
        return intensities((gate * memory.tanh()) @ weight.T + bias, log_scale)

    inside = at(np.repeat(place, wait.shape[1]), wait.ravel()).sum(1)
    gap = np.repeat(np.arange(len(place)), np.diff(ends))
    own = kinds >= 0
    events = at(place[gap][own], last[gap][own])
    logs = events.gather(1, torch.from_numpy(kinds[own]).unsqueeze(1)).log().sum()
    return logs - (inside * torch.from_numpy(share.ravel()).to(cells)).sum()


@njit(**_FAST)
def _likelihood(cells, weight, bias, log_scale, place, wait, share, last, kinds, ends, least, to_cells, to_weight,
                to_bias, to_scale):  # type: ignore[no-untyped-def]  # fmt: skip
    total, width, types = 0.0, weight.shape[1], len(bias)
    memory, read = np.empty(width, np.float32), np.empty(width, np.float32)
    to_read, nothing = np.empty(width, np.float32), np.zeros(width, np.float32)
    logit, steep = np.empty(types, np.float32), np.empty(types, np.float32)
    rate, bend = np.empty(types, np.float32), np.empty(types, np.float32)
    points = wait.shape[1]
    for g in range(len(place)):
        cell, to_cell = cells[place[g]], to_cells[place[g]]
        many = points + (1 if ends[g + 1] > ends[g] else 0)
        for p in range(many):
            passed = wait[g, p] if p < points else last[g]
            _faded(cell, passed, memory)
            _said(cell[3], memory, read)
            to_read[:] = 0
            for k in range(types):
                s = np.exp(log_scale[k])
                x = (dot(weight[k], read) + bias[k]) / s
                small = np.exp(-abs(x))
                soft = max(x, np.float32(0)) + np.log1p(small)
                logit[k], rate[k] = x, s * soft + least
                steep[k] = _ONE / (_ONE + small) if x >= 0 else small / (_ONE + small)
                bend[k] = s * (soft - x * steep[k])
            for k in range(types):
                if p < points:
                    by = -share[g, p]
                    total += by * rate[k]
                else:
                    by = np.float32(0)
                    for e in range(ends[g], ends[g + 1]):
                        if kinds[e] == k:
                            total += np.log(rate[k])
                            by += _ONE / rate[k]
                    if by == 0:
                        continue
                to_bias[k] += by * steep[k]
                to_scale[k] += by * bend[k]
                add(to_weight[k], by * steep[k], read)
                add(to_read, by * steep[k], weight[k])
            _unread(cell, passed, memory, to_read, nothing, to_cell)
    return total

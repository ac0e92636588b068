"""Rows of a matrix picked and added up: what embeddings, pooling and hash buckets do all day.

On the CPU in float32 the additions run in compiled loops in the order of the index, so that a sum has the same
bytes on every run; elsewhere they go to torch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor


@njit(cache=True, nogil=True, fastmath=True)
def _add(out: np.ndarray, index: np.ndarray, source: np.ndarray) -> None:
    for i in range(len(index)):
        row = index[i]
        for k in range(source.shape[1]):
            out[row, k] += source[i, k]


@njit(cache=True, nogil=True, fastmath=True)
def _spread(out: np.ndarray, index: np.ndarray, source: np.ndarray, offsets: np.ndarray) -> None:
    for i in range(len(offsets) - 1):
        for j in range(offsets[i], offsets[i + 1]):
            row = index[j]
            for k in range(source.shape[1]):
                out[row, k] += source[i, k]


@njit(cache=True, nogil=True)
def _distinct(ids: np.ndarray, place: np.ndarray, out: np.ndarray, inverse: np.ndarray) -> int:
    # place[r] is a guess of where r lies in `out`; a guess left by an earlier call is checked, never cleared
    found = 0
    for i in range(len(ids)):
        row = ids[i]
        at = place[row]
        if at < found and out[at] == row:
            inverse[i] = at
        else:
            place[row] = found
            out[found] = row
            inverse[i] = found
            found += 1
    return found


def fresh_rows(*shape: int) -> Tensor:
    """Zeros float32[shape] whose rows begin at cache lines; a page is given memory by the first write to it.

    NumPy asks for huge pages where the machine has them, torch does not: with small ones every look-up in a table of
    many rows costs a miss of the address cache besides that of the row.
    """
    size = int(np.prod(shape))
    held = np.zeros(size + 16, np.float32)
    first = -held.ctypes.data // 4 % 16
    return torch.from_numpy(held[first : first + size].reshape(shape))


def add_rows(out: Tensor, index: Tensor, source: Tensor) -> Tensor:
    """``out[index[i]] += source[i]`` for every i, in place, in order.

    Parameters
    ----------
    out : float[R, d]. index : int64[N]. source : float[N, d].
    """
    if out.device.type == "cpu" and out.dtype == source.dtype == torch.float32 and out.is_contiguous():
        _add(out.detach().numpy(), index.numpy(), source.detach().contiguous().numpy())
        return out
    return out.index_add_(0, index, source.to(out.dtype))


def spread_rows(out: Tensor, index: Tensor, source: Tensor, offsets: Tensor) -> Tensor:
    """``out[index[j]] += source[i]`` for every j of segment i, in place, in order.

    Parameters
    ----------
    out : float[R, d]. index : int64[N]. source : float[n, d]. offsets : int64[n + 1], of the index by segment.
    """
    if out.device.type == "cpu" and out.dtype == source.dtype == torch.float32 and out.is_contiguous():
        _spread(out.detach().numpy(), index.numpy(), source.detach().contiguous().numpy(), offsets.numpy())
        return out
    return out.index_add_(0, index, source.repeat_interleave(offsets.diff().to(source.device), 0).to(out.dtype))


def distinct(ids: Tensor, place: np.ndarray | None = None) -> tuple[Tensor, Tensor]:
    """Different values of `ids` in order of first appearance, and for each id its place among them.

    Parameters
    ----------
    ids : int64[N], not negative. place : int32 scratch longer than the largest id; any content, reused without
        clearing. Without it (or off the CPU) values come back sorted instead.

    Examples
    --------
    >>> rows, inverse = distinct(torch.tensor([7, 2, 7]), np.zeros(8, np.int32))
    >>> rows.tolist(), inverse.tolist()
    ([7, 2], [0, 1, 0])
    """
    flat = ids.reshape(-1)
    if place is None or flat.device.type != "cpu":
        rows, inverse = torch.unique(flat, return_inverse=True)
        return rows, inverse
    wanted = flat.numpy()
    out, inverse = np.empty(len(wanted), np.int64), np.empty(len(wanted), np.int64)
    found = _distinct(wanted, place, out, inverse)
    return torch.from_numpy(out[:found].copy()), torch.from_numpy(inverse)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.rows = len(values)
        return values.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        (grad,) = grads
        flat = grad.reshape(len(grad), grad.shape[1:].numel())
        out = torch.zeros(ctx.rows, flat.shape[1], dtype=flat.dtype, device=flat.device)
        return add_rows(out, index, flat).view(ctx.rows, *grad.shape[1:]), None


class Picked(NamedTuple):
    """``values[rows]`` that nobody may need to write out: [N, d] of int64[N] rows of float[R, d]."""

    values: Tensor
    rows: Tensor

    @classmethod
    def of(cls, rows: Tensor | Picked) -> Picked:
        """Rows that are written out already, as they are."""
        return rows if isinstance(rows, Picked) else cls(rows, torch.arange(len(rows)))

    def dense(self) -> Tensor:
        """The rows written out."""
        return gather_rows(self.values, self.rows)


def gather_rows(values: Tensor, index: Tensor) -> Tensor:
    """``values[index]`` whose gradient is added up in the order of the index.

    Parameters
    ----------
    values : float[R, ...]. index : int64[N].
    """
    return _Gather.apply(values, index)


class _Take(_Gather):
    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return place_rows(grads[0], ctx.saved_tensors[0], ctx.rows), None


class _Place(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, index: Tensor, rows: int) -> Tensor:
        ctx.save_for_backward(index)
        return values.new_zeros(rows, *values.shape[1:]).index_copy_(0, index, values)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return take_rows(grads[0], ctx.saved_tensors[0]), None, None


def take_rows(values: Tensor, index: Tensor) -> Tensor:
    """``values[index]`` for an index without repeats: its gradient is a copy, not a sum."""
    return _Take.apply(values, index)


def place_rows(values: Tensor, index: Tensor, rows: int) -> Tensor:
    """Zeros [rows, ...] in which row ``index[i]`` is ``values[i]``; the index has no repeats."""
    return _Place.apply(values, index, rows)

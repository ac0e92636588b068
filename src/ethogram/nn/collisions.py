"""Events into hash buckets, and buckets to the candidates that hash alike: two sums, each the other's gradient.

Question q with signatures in G groups of B values owns the rows ``q * G * B ... (q + 1) * G * B`` of a matrix of
bucket sums; an event adds its vector to G of them, a candidate reads G of them. No list of row numbers is made: on
the CPU compiled loops work from the signatures, in the order of the events, so that a sum has the same bytes on
every run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn

from ethogram.nn.ragged import segments
from ethogram.nn.rows import Picked

CELLS = 2**24
"""Floats of bucket sums held at once in one piece of a batch: 64 MB."""


def bucket_interest(
    keys: Tensor | Picked,
    key_codes: Tensor,
    key_offsets: Tensor,
    query_codes: Tensor,
    query_offsets: Tensor,
    buckets: int,
    *,
    normalise: bool = True,
) -> Tensor:
    """Mean over signatures of the candidate's buckets, [Q, dim]; an empty bucket is zero.

    Parameters
    ----------
    keys : [T, dim] events of all questions, which may be picked rows. key_codes : int32[T, G].
    query_codes : int32[Q, G]. key_offsets, query_offsets : int64[n + 1]. buckets : values of a code.
    normalise : divide each bucket's sum by its l2 norm.
    """
    values, rows = picked = Picked.of(keys)
    n, groups, dim = len(key_offsets) - 1, key_codes.shape[1], values.shape[1]
    if _compiled(values) and not (torch.is_grad_enabled() and values.requires_grad):
        out = values.new_empty(len(query_codes), dim)
        left, right = (key_codes.numpy(), key_offsets.numpy()), (query_codes.numpy(), query_offsets.numpy())
        given = values.detach().contiguous().numpy(), rows.numpy()
        _interest(out.numpy(), *given, *left, *right, buckets, normalise)
        return out
    step = max(1, CELLS // (groups * buckets * dim))
    if n > step:
        parts = []
        for first in range(0, n, step):
            left, right = key_offsets[first : first + step + 1], query_offsets[first : first + step + 1]
            k, q = slice(int(left[0]), int(left[-1])), slice(int(right[0]), int(right[-1]))
            mine = (Picked(values, rows[k]), key_codes[k], left - k.start, query_codes[q], right - q.start)
            parts.append(bucket_interest(*mine, buckets, normalise=normalise))
        return torch.cat(parts)
    sums = bucket_sums(picked, key_codes, key_offsets, buckets)
    if normalise:
        sums = sums * inverse_norm(sums).unsqueeze(1)
    each = torch.arange(len(query_codes), device=sums.device)
    found: Tensor = _Adjoint.apply(sums, each, query_codes, query_offsets, buckets, False) / groups
    return found


def bucket_sums(keys: Tensor | Picked, codes: Tensor, offsets: Tensor, buckets: int) -> Tensor:
    """[n * G * B, dim]: the sums of every question's buckets."""
    values, rows = Picked.of(keys)
    found: Tensor = _Adjoint.apply(values, rows.to(values.device), codes, offsets, buckets, True)
    return found


def inverse_norm(sums: Tensor) -> Tensor:
    """1 / |row|, 0 for a zero row, with a gradient that is finite for both."""
    square = sums.square().sum(1)
    real = square > 0
    return torch.where(real, torch.rsqrt(torch.where(real, square, 1.0)), 0.0)


class _Adjoint(torch.autograd.Function):
    """Events into buckets (`into`), or buckets to candidates; event or candidate i is row ``rows[i]`` of its side."""

    @staticmethod
    def forward(
        ctx: Any, source: Tensor, rows: Tensor, codes: Tensor, offsets: Tensor, buckets: int, into: bool
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(rows, codes, offsets)
        ctx.buckets, ctx.into, ctx.count = buckets, into, len(source)
        if into:
            return _spread(source, rows, codes, offsets, buckets)
        return _collect(source, rows, len(rows), codes, offsets, buckets)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        rows, codes, offsets = ctx.saved_tensors
        if ctx.into:
            back = _collect(grads[0], rows, ctx.count, codes, offsets, ctx.buckets)
        else:
            back = _spread(grads[0], rows, codes, offsets, ctx.buckets)
        return back, None, None, None, None, None


def _spread(source: Tensor, rows: Tensor, codes: Tensor, offsets: Tensor, buckets: int) -> Tensor:
    """out[row of codes[i, g]] += source[rows[i]] for every g."""
    out = source.new_zeros((len(offsets) - 1) * codes.shape[1] * buckets, source.shape[1])
    if _compiled(source):
        told = rows.numpy(), codes.numpy(), offsets.numpy(), buckets
        _scatter(out.numpy(), *told, source.detach().contiguous().numpy())
        return out
    index = _index(codes, offsets, buckets)
    for g in range(codes.shape[1]):
        out.index_add_(0, index[:, g], source[rows])
    return out


def _collect(source: Tensor, rows: Tensor, count: int, codes: Tensor, offsets: Tensor, buckets: int) -> Tensor:
    """out[rows[i]] += sum over g of source[row of codes[i, g]]; `out` has `count` rows."""
    out = source.new_zeros(count, source.shape[1])
    if _compiled(source):
        told = rows.numpy(), codes.numpy(), offsets.numpy(), buckets
        _gather(out.numpy(), *told, source.detach().contiguous().numpy())
        return out
    return out.index_add_(0, rows, nn.functional.embedding_bag(_index(codes, offsets, buckets), source, mode="sum"))


def _compiled(source: Tensor) -> bool:
    return source.device.type == "cpu" and source.dtype in (torch.float32, torch.float64)


def _index(codes: Tensor, offsets: Tensor, buckets: int) -> Tensor:
    groups = codes.shape[1]
    base = segments(offsets, codes.device).unsqueeze(1) * groups + torch.arange(groups, device=codes.device)
    return base * buckets + codes


@njit(cache=True, nogil=True, fastmath=True)
def _interest(
    out: np.ndarray, keys: np.ndarray, picked: np.ndarray, key_codes: np.ndarray, key_offsets: np.ndarray,
    query_codes: np.ndarray, query_offsets: np.ndarray, buckets: int, normalise: bool,
) -> None:  # fmt: skip
    """The whole interest in one pass, where nobody asks for a gradient: only one question's buckets are held."""
    groups, dim = key_codes.shape[1], keys.shape[1]
    rows = np.empty((groups * buckets, dim), keys.dtype)
    share = keys.dtype.type(1) / keys.dtype.type(groups)
    for q in range(len(key_offsets) - 1):
        rows[:] = 0
        for i in range(key_offsets[q], key_offsets[q + 1]):
            for g in range(groups):
                row = g * buckets + key_codes[i, g]
                for k in range(dim):
                    rows[row, k] += keys[picked[i], k]
        for row in range(groups * buckets):
            scale = share
            if normalise:
                square = keys.dtype.type(0)
                for k in range(dim):
                    square += rows[row, k] * rows[row, k]
                if square > 0:
                    scale = share / np.sqrt(square)
            for k in range(dim):
                rows[row, k] *= scale
        for i in range(query_offsets[q], query_offsets[q + 1]):
            for k in range(dim):
                out[i, k] = 0
            for g in range(groups):
                row = g * buckets + query_codes[i, g]
                for k in range(dim):
                    out[i, k] += rows[row, k]


@njit(cache=True, nogil=True, fastmath=True)
def _scatter(
    out: np.ndarray, rows: np.ndarray, codes: np.ndarray, offsets: np.ndarray, buckets: int, source: np.ndarray
) -> None:  # fmt: skip
    groups = codes.shape[1]
    for q in range(len(offsets) - 1):
        for i in range(offsets[q], offsets[q + 1]):
            for g in range(groups):
                row = (q * groups + g) * buckets + codes[i, g]
                for k in range(source.shape[1]):
                    out[row, k] += source[rows[i], k]


@njit(cache=True, nogil=True, fastmath=True)
def _gather(
    out: np.ndarray, rows: np.ndarray, codes: np.ndarray, offsets: np.ndarray, buckets: int, source: np.ndarray
) -> None:  # fmt: skip
    groups = codes.shape[1]
    for q in range(len(offsets) - 1):
        for i in range(offsets[q], offsets[q + 1]):
            for g in range(groups):
                row = (q * groups + g) * buckets + codes[i, g]
                for k in range(source.shape[1]):
                    out[rows[i], k] += source[row, k]

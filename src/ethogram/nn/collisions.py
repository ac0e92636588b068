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

CELLS = 2**24
"""Floats of bucket sums held at once in one piece of a batch: 64 MB."""


def bucket_interest(
    keys: Tensor,
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
    keys : [T, dim] events of all questions. key_codes : int32[T, G]. query_codes : int32[Q, G].
    key_offsets, query_offsets : int64[n + 1]. buckets : values of a code.
    normalise : divide each bucket's sum by its l2 norm.
    """
    if _compiled(keys) and not (torch.is_grad_enabled() and keys.requires_grad):
        out = keys.new_empty(len(query_codes), keys.shape[1])
        left, right = (key_codes.numpy(), key_offsets.numpy()), (query_codes.numpy(), query_offsets.numpy())
        _interest(out.numpy(), keys.detach().contiguous().numpy(), *left, *right, buckets, normalise)
        return out
    n, groups, dim = len(key_offsets) - 1, key_codes.shape[1], keys.shape[1]
    step = max(1, CELLS // (groups * buckets * dim))
    if n > step:
        parts = []
        for first in range(0, n, step):
            left, right = key_offsets[first : first + step + 1], query_offsets[first : first + step + 1]
            k, q = slice(int(left[0]), int(left[-1])), slice(int(right[0]), int(right[-1]))
            mine = (keys[k], key_codes[k], left - k.start, query_codes[q], right - q.start)
            parts.append(bucket_interest(*mine, buckets, normalise=normalise))
        return torch.cat(parts)
    sums = bucket_sums(keys, key_codes, key_offsets, buckets)
    if normalise:
        sums = sums * inverse_norm(sums).unsqueeze(1)
    found: Tensor = _Adjoint.apply(sums, query_codes, query_offsets, buckets, False) / groups
    return found


def bucket_sums(keys: Tensor, codes: Tensor, offsets: Tensor, buckets: int) -> Tensor:
    """[n * G * B, dim]: the sums of every question's buckets."""
    found: Tensor = _Adjoint.apply(keys, codes, offsets, buckets, True)
    return found


def inverse_norm(sums: Tensor) -> Tensor:
    """1 / |row|, 0 for a zero row, with a gradient that is finite for both."""
    square = sums.square().sum(1)
    real = square > 0
    return torch.where(real, torch.rsqrt(torch.where(real, square, 1.0)), 0.0)


class _Adjoint(torch.autograd.Function):
    """Events into buckets (`into`), or buckets to candidates."""

    @staticmethod
    def forward(ctx: Any, source: Tensor, codes: Tensor, offsets: Tensor, buckets: int, into: bool) -> Tensor:
        ctx.save_for_backward(codes, offsets)
        ctx.buckets, ctx.into = buckets, into
        return (_spread if into else _collect)(source, codes, offsets, buckets)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        codes, offsets = ctx.saved_tensors
        back = _collect if ctx.into else _spread
        return back(grads[0], codes, offsets, ctx.buckets), None, None, None, None


def _spread(source: Tensor, codes: Tensor, offsets: Tensor, buckets: int) -> Tensor:
    """out[row of codes[i, g]] += source[i] for every g."""
    out = source.new_zeros((len(offsets) - 1) * codes.shape[1] * buckets, source.shape[1])
    if _compiled(source):
        _scatter(out.numpy(), codes.numpy(), offsets.numpy(), buckets, source.detach().contiguous().numpy())
        return out
    index = _index(codes, offsets, buckets)
    for g in range(codes.shape[1]):
        out.index_add_(0, index[:, g], source)
    return out


def _collect(source: Tensor, codes: Tensor, offsets: Tensor, buckets: int) -> Tensor:
    """out[i] = sum over g of source[row of codes[i, g]]."""
    if _compiled(source):
        out = source.new_empty(len(codes), source.shape[1])
        _gather(out.numpy(), codes.numpy(), offsets.numpy(), buckets, source.detach().contiguous().numpy())
        return out
    return nn.functional.embedding_bag(_index(codes, offsets, buckets), source, mode="sum")


def _compiled(source: Tensor) -> bool:
    return source.device.type == "cpu" and source.dtype in (torch.float32, torch.float64)


def _index(codes: Tensor, offsets: Tensor, buckets: int) -> Tensor:
    groups = codes.shape[1]
    base = segments(offsets, codes.device).unsqueeze(1) * groups + torch.arange(groups, device=codes.device)
    return base * buckets + codes


@njit(cache=True, nogil=True, fastmath=True)
def _interest(
    out: np.ndarray, keys: np.ndarray, key_codes: np.ndarray, key_offsets: np.ndarray, query_codes: np.ndarray,
    query_offsets: np.ndarray, buckets: int, normalise: bool,
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
                    rows[row, k] += keys[i, k]
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
def _scatter(out: np.ndarray, codes: np.ndarray, offsets: np.ndarray, buckets: int, source: np.ndarray) -> None:
    groups = codes.shape[1]
    for q in range(len(offsets) - 1):
        for i in range(offsets[q], offsets[q + 1]):
            for g in range(groups):
                row = (q * groups + g) * buckets + codes[i, g]
                for k in range(source.shape[1]):
                    out[row, k] += source[i, k]


@njit(cache=True, nogil=True, fastmath=True)
def _gather(out: np.ndarray, codes: np.ndarray, offsets: np.ndarray, buckets: int, source: np.ndarray) -> None:
    groups = codes.shape[1]
    for q in range(len(offsets) - 1):
        for i in range(offsets[q], offsets[q + 1]):
            for k in range(source.shape[1]):
                out[i, k] = 0
            for g in range(groups):
                row = (q * groups + g) * buckets + codes[i, g]
                for k in range(source.shape[1]):
                    out[i, k] += source[row, k]

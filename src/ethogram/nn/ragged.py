"""Packed ragged tensors: rows of all questions one after another, `offsets` int64[n + 1] on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor

from ethogram.errors import OptionError
from ethogram.nn.rows import Picked, gather_rows, place_rows, spread_rows, take_rows


@dataclass(frozen=True, eq=False)
class Ragged:
    """`values` [T, ...] beside `offsets` int64[n + 1]; row i of the n is ``values[offsets[i]:offsets[i + 1]]``."""

    values: Tensor
    offsets: Tensor

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> Tensor:
        return self.values[int(self.offsets[i]) : int(self.offsets[i + 1])]

    @property
    def lengths(self) -> Tensor:
        return self.offsets.diff()


def as_offsets(offsets: Tensor | np.ndarray | Sequence[int]) -> Tensor:
    """Offsets as int64 on the CPU, whatever they came as."""
    if isinstance(offsets, Tensor):
        return offsets.to("cpu", torch.int64)
    return torch.from_numpy(np.ascontiguousarray(offsets, np.int64))


def segments(offsets: Tensor, device: torch.device | str = "cpu") -> Tensor:
    """Number of the segment that each row belongs to, int64[T].

    >>> segments(torch.tensor([0, 2, 2, 3])).tolist()
    [0, 0, 2]
    """
    lengths = offsets.diff()
    return torch.repeat_interleave(torch.arange(len(lengths)), lengths).to(device)


def each(rows: Tensor, offsets: Tensor) -> Tensor:
    """Row i of [n, ...] for every row of segment i, [T, ...]; nothing is copied where all segments have one row."""
    if len(rows) == int(offsets[-1]) and bool((offsets.diff() == 1).all()):
        return rows
    return gather_rows(rows, segments(offsets, rows.device))


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor, rows: Tensor, offsets: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(rows, offsets)
        ctx.once, ctx.count = len(rows) == 0, len(values)
        if ctx.once:
            rows = torch.arange(len(values), device=values.device)
        return F.embedding_bag(rows, values, offsets[:-1].to(values.device), mode="sum")

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
        rows, offsets = ctx.saved_tensors
        if ctx.once:
            return grad.index_select(0, segments(offsets, grad.device)), None, None
        return spread_rows(grad.new_zeros(ctx.count, grad.shape[1]), rows, grad, offsets), None, None


def segment_sum(values: Tensor | Picked, offsets: Tensor) -> Tensor:
    """Sum of each segment, [n, ...]; an empty one is zero. Picked rows are added up where they lie.

    Sums through `embedding_bag`, over consecutive rows: 4-5 times faster on a CPU than `segment_reduce`, in the
    order of the rows.
    """
    values, rows = values if isinstance(values, Picked) else (values, torch.zeros(0, dtype=torch.int64))
    if not int(offsets[-1]):
        return values.new_zeros(len(offsets) - 1, *values.shape[1:])
    return _Sum.apply(values.reshape(len(values), -1), rows, offsets).view(-1, *values.shape[1:])


def segment_mean(values: Tensor | Picked, offsets: Tensor) -> Tensor:
    """Mean of each segment, [n, ...]; an empty one is zero."""
    total = segment_sum(values, offsets)
    count = offsets.diff().clamp_min(1).to(total.device, total.dtype)
    return total / count.view(-1, *[1] * (total.dim() - 1))


def segment_max(values: Tensor, offsets: Tensor) -> Tensor:
    """Maximum of each segment, [n, ...]; an empty one is zero. Ties share the gradient."""
    where = segments(offsets, values.device).view(-1, *[1] * (values.dim() - 1)).expand_as(values)
    empty = values.new_zeros(len(offsets) - 1, *values.shape[1:])
    return empty.scatter_reduce(0, where, values, "amax", include_self=False)


def segment_softmax(scores: Tensor, offsets: Tensor) -> Tensor:
    """Softmax of scores [T] or [T, h] inside each segment."""
    where = segments(offsets, scores.device)
    top = segment_max(scores.detach(), offsets).index_select(0, where)
    up = torch.exp(scores - top)
    return up / gather_rows(segment_sum(up, offsets), where)


def _places(offsets: Tensor, length: int, device: torch.device) -> Tensor:
    lengths = offsets.diff()
    shift = torch.arange(len(lengths)) * length - offsets[:-1]
    return (torch.arange(int(offsets[-1])) + torch.repeat_interleave(shift, lengths)).to(device)


def pad(values: Tensor, offsets: Tensor, length: int | None = None) -> tuple[Tensor, Tensor]:
    """(padded [n, L, ...] with zeros behind each segment, mask bool[n, L] of real rows)."""
    lengths = offsets.diff()
    longest = int(lengths.max()) if len(lengths) else 0
    if length is not None and length < longest:
        raise OptionError(f"pad: length {length} is below the longest segment, {longest}.")
    length = longest if length is None else length
    out = place_rows(values, _places(offsets, length, values.device), len(lengths) * length)
    mask = torch.arange(length) < lengths[:, None]
    return out.view(len(lengths), length, *values.shape[1:]), mask.to(values.device)


def unpad(padded: Tensor, offsets: Tensor) -> Tensor:
    """The real rows of ``pad``'s result, packed again, [T, ...]."""
    flat = padded.reshape(-1, *padded.shape[2:])
    return take_rows(flat, _places(offsets, padded.shape[1], padded.device))


@njit(cache=True, nogil=True)
def _cut(lengths: np.ndarray, order: np.ndarray, width: np.ndarray, tokens: int, full: float, rows: int,
         widest: int, ends: np.ndarray) -> int:  # fmt: skip
    batches, count, longest, real, wide = 0, 0, 0, 0, 0
    for i in range(len(order)):
        length, w = max(lengths[order[i]], 1), width[order[i]]
        top = max(longest, length)
        if count and (
            (count + 1) * top > tokens or real + length < full * (count + 1) * top or count >= rows or wide + w > widest
        ):
            ends[batches] = i
            batches, count, longest, real, wide, top = batches + 1, 0, 0, 0, 0, length
        count, longest, real, wide = count + 1, top, real + length, wide + w
    if count:
        ends[batches] = len(order)
        batches += 1
    return batches


def bucket_batches(
    lengths: np.ndarray,
    *,
    tokens: int,
    padding: float = 0.2,
    rows: int | None = None,
    widths: np.ndarray | None = None,
    width: int | None = None,
    seed: int | np.random.Generator | None = None,
) -> list[np.ndarray]:
    """Batches of questions of like length.

    Each question is in exactly one batch. A batch padded to its longest question holds at most `tokens` cells
    (unless one question alone exceeds it), at most the share `padding` of them empty, at most `rows` questions
    and at most `width` in the sum of `widths`.

    Parameters
    ----------
    lengths : int[n], events per question (0 counts as 1).
    tokens : cells per batch, padding included.
    padding : largest share of empty cells, in [0, 1).
    widths : int[n], what else a question brings, such as its number of candidates.
    seed : shuffles questions of like length and the order of batches; None sorts by length, longest first.

    Returns
    -------
    list of int64 arrays of question numbers.
    """
    lengths = np.asarray(lengths, np.int64)
    if tokens < 1 or not 0 <= padding < 1:
        raise OptionError(
            f"bucket_batches: tokens = {tokens}, padding = {padding}; tokens start at 1, padding lies in [0, 1)."
        )
    none = np.iinfo(np.int64).max
    wide = np.zeros(len(lengths), np.int64) if widths is None else np.asarray(widths, np.int64)
    if seed is None:
        order = np.argsort(-lengths, kind="stable")
    else:
        rng = np.random.default_rng(seed)
        # inside a geometric class of lengths any mix keeps the bound, so questions meet new neighbours every epoch;
        # the class borders move as well
        step = -np.log1p(-min(max(padding, 1e-9), 0.999))
        bucket = np.floor(np.log(np.maximum(lengths, 1)) / step + rng.random())
        order = np.argsort(rng.random(len(lengths)) - bucket)  # by class, and by chance inside
    ends = np.empty(len(lengths), np.int64)
    n = _cut(lengths, order, wide, tokens, 1 - padding, rows or none, none if width is None else width, ends)
    batches = np.split(order, ends[: n - 1]) if n else []
    return batches if seed is None else [batches[i] for i in rng.permutation(n)]

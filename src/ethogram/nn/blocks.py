"""Plans for working on (events x candidates) of many questions in few dense blocks of bounded size and padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numba import njit
from torch import Tensor

from ethogram.nn.ragged import pad, unpad
from ethogram.nn.rows import gather_rows, place_rows, take_rows

WASTE = 0.25
SLACK = 2048
"""A block may hold a quarter more cells than are real, and always these: a block has a price of its own."""


@dataclass(frozen=True, eq=False)
class Block:
    """Questions that are computed together: event i of question b with candidate c is cell (b, i, c).

    Attributes
    ----------
    key_spans, query_spans : int64[B + 1] offsets inside the block.
    query_rows : int64, the caller's row of each of the block's candidates.
    """

    key_spans: Tensor
    query_spans: Tensor
    query_rows: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """(questions, events of the longest, candidates of the widest)."""
        return len(self.key_spans) - 1, int(self.key_spans.diff().max()), int(self.query_spans.diff().max())

    @property
    def size(self) -> int:
        """Cells, padding included."""
        b, length, count = self.shape
        return b * length * count

    def keys(self, rows: Tensor) -> Tensor:
        """The block's events, padded, [B, L, ...]."""
        return _dense(rows, self.key_spans)

    def queries(self, rows: Tensor) -> Tensor:
        """The block's candidates, padded, [B, C, ...]."""
        return _dense(rows, self.query_spans)

    def packed(self, padded: Tensor) -> Tensor:
        """Rows of the real candidates out of [B, C, ...]."""
        if _even(self.query_spans):
            return padded.reshape(-1, *padded.shape[2:])
        return unpad(padded, self.query_spans)

    @cached_property
    def key_mask(self) -> Tensor | None:
        """bool[B, L] of real events; None where all are."""
        return _mask(self.key_spans)

    @cached_property
    def cell_mask(self) -> Tensor | None:
        """bool[B, L, C] of real cells; None where all are."""
        queries = _mask(self.query_spans)
        if queries is None and self.key_mask is None:
            return None
        b, length, count = self.shape
        events = self.key_mask if self.key_mask is not None else torch.ones(b, length, dtype=torch.bool)
        return events[:, :, None] & (queries[:, None] if queries is not None else torch.ones(b, 1, count).bool())


@dataclass(frozen=True, eq=False)
class Plan:
    """Blocks, and the rows of events and candidates in the order of the blocks."""

    blocks: list[Block]
    key_rows: Tensor
    query_rows: Tensor
    again: bool
    "Some event stands in several blocks."

    def keys(self, rows: Tensor) -> list[Tensor]:
        """Rows [T, ...] of events dealt out to the blocks."""
        pick = gather_rows if self.again else take_rows
        return self._deal(rows, self.key_rows, pick, [int(b.key_spans[-1]) for b in self.blocks])

    def queries(self, rows: Tensor) -> list[Tensor]:
        """Rows [Q, ...] of candidates dealt out to the blocks."""
        return self._deal(rows, self.query_rows, take_rows, [int(b.query_spans[-1]) for b in self.blocks])

    def collect(self, parts: Sequence[Tensor], count: int) -> Tensor:
        """The inverse of `queries`: [count, ...] with zeros for candidates that are in no block."""
        rows = torch.cat(list(parts)) if len(parts) > 1 else parts[0]
        return place_rows(rows, self.query_rows.to(rows.device), count)

    @staticmethod
    def _deal(rows: Tensor, order: Tensor, pick, sizes: list[int]) -> list[Tensor]:  # type: ignore[no-untyped-def]
        # one gather for all blocks: a gather of its own per block would cost a full gradient per block
        if not (len(rows) == len(order) and torch.equal(order, torch.arange(len(order)))):
            rows = pick(rows, order.to(rows.device))
        return list(rows.split(sizes))


def _even(spans: Tensor) -> bool:
    lengths = spans.diff()
    return bool((lengths == lengths[0]).all())


def _dense(rows: Tensor, spans: Tensor) -> Tensor:
    if _even(spans):
        return rows.view(len(spans) - 1, -1, *rows.shape[1:])
    return pad(rows, spans)[0]


def _mask(spans: Tensor) -> Tensor | None:
    lengths = spans.diff()
    return None if _even(spans) else torch.arange(int(lengths.max())) < lengths[:, None]


@njit(cache=True, nogil=True)
def _cut(keys: np.ndarray, queries: np.ndarray, order: np.ndarray, most: int, ends: np.ndarray) -> int:
    blocks, count, length, width, real = 0, 0, 0, 0, 0
    for i in range(len(order)):
        k, q = keys[order[i]], queries[order[i]]
        top, wide = max(length, k), max(width, q)
        cells = (count + 1) * top * wide
        if count and (cells > most or cells > (1 + WASTE) * (real + k * q) + SLACK):
            ends[blocks] = i
            blocks, count, real, top, wide = blocks + 1, 0, 0, k, q
        count, length, width, real = count + 1, top, wide, real + k * q
    if count:
        ends[blocks] = len(order)
        blocks += 1
    return blocks


def plan(key_offsets: Tensor, query_offsets: Tensor, most: int) -> Plan:
    """Blocks of at most `most` cells (or one candidate of one question); empty questions are in none.

    A question with more cells is cut between its candidates. Questions of like shape stand together.
    """
    from ethogram.log.kernels import ragged_rows

    first, asked = key_offsets[:-1].numpy(), query_offsets[:-1].numpy()
    keys, queries = key_offsets.diff().numpy(), query_offsets.diff().numpy()
    question = np.flatnonzero((keys > 0) & (queries > 0))
    piece = np.maximum(most // np.maximum(keys[question], 1), 1)
    pieces = -(-queries[question] // piece)
    again = bool((pieces > 1).any())
    if again:
        within = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        question, piece = np.repeat(question, pieces), np.repeat(piece, pieces)
        start = asked[question] + within * piece
        stop = np.minimum(start + piece, asked[question] + queries[question])
    else:
        start = asked[question]
        stop = start + queries[question]
    lengths, widths = keys[question], stop - start
    if len(question) > 1:
        order = np.lexsort((-widths, -np.floor(np.log(lengths) / np.log(1 + WASTE / 2))))
    else:
        order = np.arange(len(question))
    ends = np.empty(len(order), np.int64)
    n = _cut(lengths, widths, order, most, ends)
    rows, _ = ragged_rows(first[question[order]], first[question[order]] + lengths[order])
    asks, _ = ragged_rows(start[order], stop[order])
    blocks, at, q_at = [], 0, 0
    for b in range(n):
        mine = order[at : ends[b]]
        key_spans = torch.from_numpy(np.append(0, np.cumsum(lengths[mine])))
        query_spans = torch.from_numpy(np.append(0, np.cumsum(widths[mine])))
        width = int(query_spans[-1])
        blocks.append(Block(key_spans, query_spans, torch.from_numpy(asks[q_at : q_at + width])))
        at, q_at = ends[b], q_at + width
    return Plan(blocks, torch.from_numpy(rows), torch.from_numpy(asks), again)

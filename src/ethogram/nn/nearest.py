"""The k events of a history most like a candidate: the retrieval half of retrieve-then-attend."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ethogram.nn.blocks import Block, plan
from ethogram.numeric.topk import TopK

LONG = 2_048
"""Events beyond which a history is searched by blocks that stay in the cache instead of a matrix of all scores."""


@torch.no_grad()
def nearest(
    keys: Tensor,
    key_offsets: Tensor,
    queries: Tensor,
    query_offsets: Tensor,
    k: int,
    limit: int,
    key_tags: Tensor | None = None,
    query_tags: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """(rows of `keys` int64[total], offsets int64[Q + 1]): at most k events per candidate, in order of time.

    Alike means the largest dot product; with tags, most equal tags, the latest among equals, and at least one.
    """
    tagged = key_tags is not None and query_tags is not None
    if not tagged and len(key_offsets) > 1 and keys.device.type == "cpu" and int(key_offsets.diff().max()) > LONG:
        return _searched(keys, key_offsets, queries, query_offsets, k)
    todo = plan(key_offsets, query_offsets, limit)
    left = todo.keys(key_tags if tagged else keys)
    right = todo.queries(query_tags if tagged else queries)
    firsts = torch.repeat_interleave(key_offsets[:-1], query_offsets.diff())
    found_rows, found_queries = [], []
    for block, a, b in zip(todo.blocks, left, right, strict=True):
        alike = _equal(block, a, b) if tagged else torch.bmm(block.keys(a), block.queries(b).transpose(1, 2))
        length = alike.shape[1]
        floor = 0.0 if tagged else -torch.inf
        if tagged:
            place = torch.arange(length, device=alike.device).view(1, -1, 1)
            alike = torch.where(alike > 0, alike * length + place, 0)
        if block.cell_mask is not None:
            alike = alike.masked_fill(~block.cell_mask.to(alike.device), floor)
        best, event = alike.topk(min(k, length), dim=1, sorted=False)
        question, nth, candidate = (best > floor).cpu().nonzero(as_tuple=True)
        row = block.query_rows[block.query_spans[question] + candidate]
        found_queries.append(row)
        found_rows.append(firsts[row] + event.cpu()[question, nth, candidate])
    if not found_rows:
        return torch.zeros(0, dtype=torch.int64, device=keys.device), torch.zeros(len(queries) + 1).long()
    row, query = torch.cat(found_rows), torch.cat(found_queries)
    order = (query * (len(keys) + 1) + row).argsort()
    counts = torch.bincount(query, minlength=len(queries))
    spans = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
    return row[order].to(keys.device), spans


def _searched(
    keys: Tensor, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor, k: int
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """`nearest` without tags, history by history; the latest among equals."""
    events, asked = keys.detach().float().numpy(), queries.detach().float().numpy()
    rows, counts = [], np.zeros(len(queries), np.int64)
    for (a, b), (c, d) in zip(pairwise(key_offsets.tolist()), pairwise(query_offsets.tolist()), strict=True):
        if a == b or c == d:
            continue
        found = np.sort(b - 1 - TopK(events[a:b][::-1]).search(asked[c:d], min(k, b - a))[1], axis=1)
        rows.append(found.reshape(-1).astype(np.int64))
        counts[c:d] = found.shape[1]
    flat = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    return torch.from_numpy(flat), torch.from_numpy(np.concatenate([[0], np.cumsum(counts)]))


def _equal(block: Block, keys: Tensor, queries: Tensor) -> Tensor:
    """Number of equal tags of each cell, float64 so that a place can be added below it exactly."""
    a, b = block.keys(keys), block.queries(queries)
    if a.dtype == torch.bool:
        tags = a.shape[-1]
        a, b = a.float() * 2 - 1, b.float() * 2 - 1
        return ((torch.bmm(a, b.transpose(1, 2)) + tags) / 2).double()
    out = torch.zeros(block.shape, dtype=torch.float64, device=a.device)
    for g in range(a.shape[-1]):
        out += a[:, :, None, g] == b[:, None, :, g]
    return out

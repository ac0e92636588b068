"""What a history says about a candidate, in interchangeable parts: pooled, attended, hashed, or several of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ethogram.log import kernels
from ethogram.nn.attention import TargetAttention
from ethogram.nn.lsh import SimHash
from ethogram.nn.ragged import Ragged, each, segment_mean, segment_sum, segments
from ethogram.nn.rows import Picked


class Interest(Protocol):
    """[T, width] events and [Q, width] candidates, packed by question, to [Q, `width`]."""

    width: int
    picks: bool
    "Reads rows that are picked but not written out."
    tagged: bool
    "Asks for tags."

    def __call__(
        self, keys: Tensor, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor, **tags: Tensor
    ) -> Tensor:
        """Interest of each candidate; `tags` are the `key_tags` and `query_tags` of `TargetAttention`."""
        ...

    def weights(
        self, keys: Tensor, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor, **tags: Tensor
    ) -> Ragged:
        """How much each event counts for each candidate: segment q holds the weights of query q's events."""
        ...


class Pooled(nn.Module):
    """Mean (or sum) of the history, the same for every candidate."""

    picks, tagged = True, False

    def __init__(self, width: int, how: str = "mean") -> None:
        super().__init__()
        self.width, self.how = width, how

    def forward(
        self, keys: Tensor | Picked, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor, **tags: Tensor
    ) -> Tensor:
        pooled = segment_mean(keys, key_offsets) if self.how == "mean" else segment_sum(keys, key_offsets)
        return each(pooled, query_offsets)

    def weights(
        self, keys: Tensor, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor, **tags: Tensor
    ) -> Ragged:
        lengths = key_offsets.diff()[segments(query_offsets)]
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
        share = torch.repeat_interleave(1.0 / lengths.clamp_min(1), lengths)
        return Ragged(share if self.how == "mean" else torch.ones_like(share), offsets)


class Attended(nn.Module):
    """Target attention over the whole history or its last events.

    Parameters
    ----------
    attention : the unit. last : events that are read, from the end; None reads all.
    tags : what a unit that retrieves goes by: "given" (a category), or a `SimHash` of the vectors (its bits).
    mean : divide by the number of events read, so that the interest of a long history is of the size of a short one's.
        The weights of DIN's unit then begin at 1: training starts from mean pooling and learns to deviate.
    """

    picks = True

    def __init__(
        self, attention: TargetAttention, last: int | None = None, tags: Literal["given"] | SimHash | None = None,
        mean: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.attention, self.last, self.tags, self.mean = attention, last, tags, mean
        self.tagged = last is not None or tags is not None
        self.width = attention.dim
        if mean and attention.unit is not None:
            nn.init.ones_(attention.unit.layers[-1].bias)  # type: ignore[arg-type]

    def forward(
        self, keys: Tensor | Picked, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor, **tags: Tensor
    ) -> Tensor:
        rows, offsets = self._recent(key_offsets, tags)
        if isinstance(self.tags, SimHash) and isinstance(keys, Picked):
            keys = keys.dense()
        mine = self._tags(keys, queries, tags, rows)
        if rows is not None:
            keys = Picked(keys.values, keys.rows[rows]) if isinstance(keys, Picked) else keys[rows]
        found: Tensor = self.attention(keys, offsets, queries, query_offsets, **mine)
        return found / self._counts(offsets, query_offsets, found.device).unsqueeze(1) if self.mean else found

    def weights(
        self, keys: Tensor, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor, **tags: Tensor
    ) -> Ragged:
        rows, offsets = self._recent(key_offsets, tags)
        mine = self._tags(keys, queries, tags, rows)
        found: Ragged = self.attention(
            keys if rows is None else keys[rows], offsets, queries, query_offsets, weights=True, **mine
        )[1]
        if self.mean:
            each = self._counts(offsets, query_offsets, found.values.device)
            found = Ragged(found.values / torch.repeat_interleave(each, found.offsets.diff()), found.offsets)
        if rows is None:
            return found
        # back to the whole history: events before the last ones weigh nothing
        lengths = key_offsets.diff()[segments(query_offsets)]
        spans = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
        short = found.offsets.diff()
        first = torch.repeat_interleave(spans[1:] - short, short)
        within = torch.arange(len(first)) - torch.repeat_interleave(found.offsets[:-1], short)
        return Ragged(found.values.new_zeros(int(spans[-1])).index_copy(0, first + within, found.values), spans)

    def _counts(self, offsets: Tensor, query_offsets: Tensor, device: torch.device) -> Tensor:
        """Events behind each candidate (that a unit which retrieves could retrieve), at least 1, float[Q]."""
        most = self.attention.k if self.attention.kind == "topk" else None
        count = offsets.diff().clamp(1, most).float()
        return count[segments(query_offsets)].to(device)

    def _tags(self, keys: Any, queries: Tensor, given: dict[str, Tensor], rows: Tensor | None) -> dict[str, Tensor]:
        if self.tags is None:
            return {}
        mine = (
            {"key_tags": self.tags.bits(keys), "query_tags": self.tags.bits(queries)}
            if isinstance(self.tags, SimHash)
            else {k: given[k] for k in ("key_tags", "query_tags")}
        )
        if rows is not None:
            mine["key_tags"] = mine["key_tags"][rows]
        return mine

    def _recent(self, offsets: Tensor, given: Mapping[str, Tensor]) -> tuple[Tensor | None, Tensor]:
        """(rows of the last events, their offsets), cut between groups of equal time."""
        lengths = offsets.diff()
        if self.last is None or not len(lengths) or int(lengths.max()) <= self.last:
            return None, offsets
        start, stop = offsets[:-1].numpy(), offsets[1:].numpy()
        starts = given["key_starts"].numpy() if "key_starts" in given else np.ones(int(offsets[-1]), bool)
        rows, spans = kernels.ragged_rows(kernels.cut_at_group(start, stop, starts, self.last), stop)
        return torch.from_numpy(rows), torch.from_numpy(spans)


class Several(nn.Module):
    """Several interests side by side; its weights are those of the first part."""

    picks, tagged = True, True

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.width = sum(p.width for p in parts)  # type: ignore[misc]

    def forward(
        self, keys: Tensor | Picked, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor, **tags: Tensor
    ) -> Tensor:
        return torch.cat([p(keys, key_offsets, queries, query_offsets, **tags) for p in self.parts], 1)

    def weights(
        self, keys: Tensor, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor, **tags: Tensor
    ) -> Ragged:
        return self.parts[0].weights(keys, key_offsets, queries, query_offsets, **tags)  # type: ignore[operator, no-any-return]

"""Attention that searches with one set of vectors and sums up another.

    s_j = q . k_j / sqrt(d) + t_0 . t_p(j) / sqrt(d_t)        q, k from the tables of the search
    N   = the K events of largest s_j                          (or those of the candidate's category, or nearest hashes)
    h   = sum_{j in N} softmax_N(s)_j [r_j ; m_p(j)]           r from the tables of the representation

p(j) is the event's place counted from the question in groups of equal time, 1 the last group, so that the order inside
a group says nothing. t and m are vectors of places, 0 the candidate's own. No pair of an event and a candidate is ever
given a vector: a search holds one number per pair, in blocks, and only K events of each candidate are gathered.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ethogram.log import Batch, Features
from ethogram.nn.apart import Apart
from ethogram.nn.attention import TargetAttention
from ethogram.nn.embedding import Tables
from ethogram.nn.lsh import SimHash
from ethogram.nn.mlp import linear
from ethogram.nn.ragged import Ragged

Sharing = Literal["two", "one", "projected", "four"]
Search = Literal["dot", "all", "category", "hash"]


class Decoupled(nn.Module):
    """See the module; an `Interest` with embedding tables of its own.

    Parameters
    ----------
    width : of the representation's vectors, those of the network itself.
    tables : two (search and representation apart), one (shared), projected (shared, a matrix for each role), four
        (candidates and events apart as well).
    search : dot (the K largest), all (every event), category (given tags), hash (nearest signatures).
    keep : K. dim, side : widths of the search's tables. place, places : width of a place's vector, and how many places
        are told apart; what lies further back shares the last.
    several : also give the view of all events, for a second tower that learns beside the first.
    hashes : directions and bits per signature of `search="hash"`. own : widths of the network's own tables.

    Attributes
    ----------
    beside : width of the places' part, which stands behind the `width` columns of what comes back.
    """

    picks, tagged = False, True

    def __init__(
        self, width: int, *, tables: Sharing = "two", search: Search = "dot", keep: int = 20, dim: int = 16,
        side: int = 8, place: int = 8, places: int = 200, several: bool = True, hashes: tuple[int, int] = (48, 3),
        own: tuple[int, int] = (16, 8),
    ) -> None:  # fmt: skip
        super().__init__()
        self.width, self.beside, self.several = width, place, several
        self.sharing, self.search, self.keep, self.dims, self.hashes = tables, search, keep, (dim, side), hashes
        self.places, self.own = places, own

    def bind(self, features: Features, seed: int) -> None:
        """Make the tables; called by the network, which knows the columns."""
        generator = torch.Generator().manual_seed(seed + 1)
        apart = self.sharing in ("two", "four")
        self.look = Apart(features, *self.dims, seed=seed + 101) if apart else None
        self.ask = Apart(features, *self.dims, events=False, seed=seed + 201) if self.sharing == "four" else None
        # what events stand for, where it is not what candidates stand for; of the network's own widths
        self.tell = Apart(features, *self.own, seed=seed + 301) if self.sharing == "four" else None
        size = self.width if self.look is None else self.look.width
        self.maps = None
        if self.sharing == "projected":
            self.maps = nn.ModuleList(linear(size, size, generator, bias=False) for _ in range(2))
        self.means = nn.Parameter(0.05 * torch.randn(self.places + 1, self.beside, generator=generator))
        self.finds = nn.Parameter(self.means.detach().clone()) if apart else None
        self.hash = SimHash(size, *self.hashes, seed=seed) if self.search == "hash" else None
        kind: Literal["dot", "topk"] = "dot" if self.search == "all" else "topk"
        self.near = TargetAttention(size + 1, kind, within="dot", k=self.keep)
        self.every = TargetAttention(size + 1, "dot")

    @property
    def tables(self) -> list[Tables]:
        """Embedding tables of its own."""
        return [m.tables for m in (self.look, self.ask, self.tell) if m is not None]

    def reads(self, batch: Batch, past: np.ndarray, codes: np.ndarray) -> dict[str, Any]:
        """Vectors of its own tables for events `past` and, behind them in `codes`, candidates."""
        n, found = len(past), {}
        if self.look is not None:
            found["key_look"] = self.look(batch, codes[:n], past)
            found["query_look"] = (self.ask or self.look)(batch, codes[n:])
        if self.tell is not None:
            found["key_tell"] = self.tell(batch, codes[:n], past)
        return found

    def forward(
        self, keys: Tensor, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor, **tags: Tensor
    ) -> Tensor:  # fmt: skip
        """[Q, width + beside] from the events that the search finds."""
        look, ask, tell, by = self._roles(keys, key_offsets, queries, tags)
        found: Tensor = self.near(look, key_offsets, ask, query_offsets, values=tell, **by)
        return found

    def views(
        self, keys: Tensor, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor, **tags: Tensor
    ) -> list[Tensor]:  # fmt: skip
        """The same, and from all events: it gives gradients to those that the search does not find."""
        look, ask, tell, by = self._roles(keys, key_offsets, queries, tags)
        found = self.near(look, key_offsets, ask, query_offsets, values=tell, **by)
        return [found, self.every(look, key_offsets, ask, query_offsets, values=tell)]

    @torch.no_grad()
    def weights(
        self, keys: Tensor, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor, *, whole: bool = False,
        **tags: Tensor,
    ) -> Ragged:  # fmt: skip
        """Share of each event for each candidate, 0 where the search does not find it; `whole` over all events."""
        look, ask, tell, by = self._roles(keys, key_offsets, queries, tags)
        if whole:
            return self.every(look, key_offsets, ask, query_offsets, values=tell, weights=True)[1]
        found: Ragged = self.near(look, key_offsets, ask, query_offsets, values=tell, weights=True, **by)[1]
        return found

    def _roles(
        self, keys: Tensor, key_offsets: Tensor, queries: Tensor, tags: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """(vectors to look at, vectors to ask with, what is summed up, what else the search goes by)."""
        look, ask, tell = tags.get("key_look", keys), tags.get("query_look", queries), tags.get("key_tell", keys)
        if self.maps is not None:
            one, other = self.maps
            look, ask, tell = one(look), one(ask), other(tell)
        by: dict[str, Tensor] = {}
        if self.hash is not None:
            by = {"key_tags": self.hash.bits(look), "query_tags": self.hash.bits(ask)}
        elif self.search == "category":
            by = {name: tags[name] for name in ("key_tags", "query_tags")}
        place = places(tags["key_starts"], key_offsets, self.places).to(look.device)
        finds = self.means if self.finds is None else self.finds
        bias = (finds @ finds[0] * self.beside**-0.5)[place].unsqueeze(1)
        # the place's score as one more column; the unit divides all by the root of its width
        size = look.shape[1]
        look = torch.cat([look * size**-0.5, bias], 1) * (size + 1) ** 0.5
        ask = torch.cat([ask, ask.new_ones(len(ask), 1)], 1)
        return look, ask, torch.cat([tell, self.means[place]], 1), by


def places(starts: Tensor, offsets: Tensor, most: int) -> Tensor:
    """Groups from the end of its history to each event, 1 ... most, int64[T].

    Parameters
    ----------
    starts : bool[T], event begins a group of equal time. offsets : int64[n + 1].

    Examples
    --------
    >>> places(torch.tensor([True, True, False, True, True]), torch.tensor([0, 4, 5]), 9).tolist()
    [3, 2, 2, 1, 1]
    """
    if not len(starts):
        return torch.zeros(0, dtype=torch.int64)
    begins = starts.clone()
    begins[offsets[:-1][offsets.diff() > 0]] = True
    group = begins.cumsum(0)
    lengths = offsets.diff()
    last = group[(offsets[1:] - 1).clamp_min(0)]
    return (torch.repeat_interleave(last, lengths) - group + 1).clamp(1, most)

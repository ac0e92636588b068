"""Which items go with which: sparse item-item weights, built row by row in memory no larger than the result.

Every row is gathered in one dense accumulator (Gustavson's algorithm), so no list of pairs ever exists. Sums run
in the order of the log, so equal logs give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ethogram.errors import OptionError
from ethogram.log import Histories, facts, room
from ethogram.numeric import walks
from ethogram.numeric.interactions import Interactions

ENTRY = 8
"""Bytes of one neighbour: int32 code and float32 weight."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Compressed sparse rows [V, V]: row a holds the items that a speaks for, by ascending code.

    Attributes
    ----------
    offsets : int64[V + 1]. codes : int32[entries]. weights : float32[entries].
    cap : longest row kept, where rows were cut (the largest weights stay, ties by ascending code); else None.
    """

    offsets: np.ndarray
    codes: np.ndarray
    weights: np.ndarray
    cap: int | None = None

    def add(
        self, items: np.ndarray, weights: np.ndarray, offsets: np.ndarray, prior: np.ndarray, out: np.ndarray
    ) -> None:
        """``out[i, b] = sum over entries e of trace i of weights[e] * row(items[e])[b] + prior[b]``, in place."""
        walks.spread(items, weights, offsets, self.offsets, self.codes, self.weights, prior, out)

    def between(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Weight that each a[i] gives b[i], float64; 0 where it gives none or a code is -1."""
        return walks.looked_up(a, b, self.offsets, self.codes, self.weights)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"offsets": self.offsets, "codes": self.codes, "weights": self.weights}


@dataclass(frozen=True, eq=False)
class Baskets:
    """Distinct items of each user, distinct users of each item, ascending: a binary matrix by rows and by columns."""

    user_offsets: np.ndarray
    items: np.ndarray
    item_offsets: np.ndarray
    users: np.ndarray

    @classmethod
    def of(cls, histories: Histories) -> Baskets:
        """From whole histories, one per user."""
        size = len(histories.vocabularies["item"])
        met = Interactions.of(histories, np.append(np.arange(size), -1), size)
        turned = met.transposed()
        return cls(met.offsets, met.items, turned.offsets, turned.items)

    def pairs(self) -> int:
        """Upper bound of the entries of the matrix of items that share a user."""
        sizes = np.diff(self.user_offsets)
        reach = np.zeros(len(self.item_offsets) - 1, np.int64)
        np.add.at(reach, self.items, np.repeat(sizes - 1, sizes))
        return int(np.minimum(reach, max(len(reach) - 1, 0)).sum())


@dataclass(frozen=True, eq=False)
class ThroughUsers:
    """The rows of `cosines` without holding them: each question walks from its items to their users and on.

    Costs one pass over all distinct (user, item) pairs a question, whatever the number of entries. `spared` is the
    upper bound of the entries that rows would have had.
    """

    baskets: Baskets
    scale: np.ndarray
    spared: int

    cap = None

    def add(
        self, items: np.ndarray, weights: np.ndarray, offsets: np.ndarray, prior: np.ndarray, out: np.ndarray
    ) -> None:
        """See `Neighbours.add`."""
        b = self.baskets
        step = (b.item_offsets, b.users, b.user_offsets, b.items)
        walks.spread_through_users(items, weights, offsets, *step, self.scale, prior, out)

    def between(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """See `Neighbours.between`."""
        shared = walks.common_users(a, b, self.baskets.item_offsets, self.baskets.users)
        return shared * self.scale[a] * self.scale[b]

    def arrays(self) -> dict[str, np.ndarray]:
        b = self.baskets
        return {
            "user_offsets": b.user_offsets, "items": b.items, "item_offsets": b.item_offsets, "users": b.users,
            "scale": self.scale, "spared": np.array([self.spared]),
        }  # fmt: skip


def similar(
    histories: Histories, counts: np.ndarray, *, cap: int | None = None, limit: int
) -> Neighbours | ThroughUsers:
    """Cosine rows; where all of them could need more than `limit` bytes, the same sums through users.

    `counts` float64[V], at least 1, stands under the root (see `cosines`).
    """
    baskets = Baskets.of(histories)
    if cap is None and (entries := baskets.pairs()) * ENTRY > limit:
        return ThroughUsers(baskets, 1 / np.sqrt(counts), entries)
    return cosines(baskets, counts, cap)


def from_arrays(arrays: Mapping[str, np.ndarray], cap: int | None) -> Neighbours | ThroughUsers:
    """What `arrays()` gave, as it was."""
    given = {k: np.asarray(v) for k, v in arrays.items()}
    if "spared" not in given:
        return Neighbours(given["offsets"], given["codes"], given["weights"], cap)
    baskets = Baskets(given["user_offsets"], given["items"], given["item_offsets"], given["users"])
    return ThroughUsers(baskets, given["scale"], int(given["spared"][0]))


def cosines(baskets: Baskets, counts: np.ndarray, cap: int | None = None) -> Neighbours:
    """``C[a, b]`` = users with both / sqrt(counts[a] counts[b]), C[a, a] = 0; `counts` float64[V], at least 1."""
    scale = 1 / np.sqrt(counts)
    step = (baskets.item_offsets, baskets.users, baskets.user_offsets, baskets.items)
    sizes = walks.shared_sizes(*step)
    offsets = _ends_of(np.minimum(sizes, cap) if cap else sizes)
    codes, weights = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32)
    walks.shared(*step, scale, offsets, codes, weights)
    return Neighbours(offsets, codes, weights, _told(sizes, cap))


def transitions(
    histories: Histories, counts: np.ndarray, *, gap: int, reverse: float, limit: int, cap: int | None = None
) -> Neighbours:
    """``P = D^-1/2 (T + reverse T') D^-1/2`` with T[a, b] the sum of 1/g over b following a at g <= `gap` groups.

    Parameters
    ----------
    histories : whole histories, one per user. counts : float64[V], the diagonal of D, at least 1.
    limit : bytes; where all entries would need more, rows are cut to the longest length that fits.
    """
    if gap < 1:
        raise OptionError(f"gap = {gap} is not a distance; give 1 or more.")
    scale = 1 / np.sqrt(counts)
    item, group, first, owner = _groups(histories)
    offsets, places = walks.occurrences(item, len(counts))
    step = (offsets, places, item, group, first, owner, gap, reverse)
    sizes = walks.followed_sizes(*step)
    if cap is None and sizes.sum() * ENTRY > limit:
        cap = longest(sizes, limit // ENTRY)
    ends = _ends_of(np.minimum(sizes, cap) if cap else sizes)
    codes, weights = np.empty(ends[-1], np.int32), np.empty(ends[-1], np.float32)
    walks.followed(*step, scale, ends, codes, weights)
    return Neighbours(ends, codes, weights, _told(sizes, cap))


def none(size: int) -> Neighbours:
    """No item speaks for any."""
    return Neighbours(np.zeros(size + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))


def itself(size: int) -> Neighbours:
    """Every item speaks for itself alone, with weight 1."""
    return Neighbours(np.arange(size + 1), np.arange(size, dtype=np.int32), np.ones(size, np.float32))


def longest(sizes: np.ndarray, entries: int) -> int:
    """Largest row length, at least 1, to which rows can be cut so that no more than `entries` stay.

    >>> longest(np.array([5, 2, 9]), 12)
    5
    """
    low, high = 1, int(sizes.max(initial=1))
    while low < high:
        middle = (low + high + 1) // 2
        if np.minimum(sizes, middle).sum() <= entries:
            low = middle
        else:
            high = middle - 1
    return low


def _told(sizes: np.ndarray, cap: int | None) -> int | None:
    return cap if cap is not None and (sizes > cap).any() else None


def _ends_of(sizes: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _groups(histories: Histories) -> tuple[np.ndarray, ...]:
    """Flat (item, group of each row, first row of each group, history of each group)."""
    span = histories.span
    if span is not None:  # nothing lies between: no copy
        offsets = np.append(histories.start, span.stop) - span.start
        item = np.asarray(histories.item)[span]
        starts = room.empty(len(item), bool)
        starts[:] = histories.starts[span]
    else:
        rows, offsets = histories.flat()
        item, starts = room.taken(np.asarray(histories.item), rows), room.taken(histories.starts, rows)
    full = np.diff(offsets) > 0
    starts[offsets[:-1][full]] = True
    group = facts.numbered(starts, np.int32 if len(item) < 1 << 31 else np.int64)
    first = facts.places(starts)
    ends = np.append(np.searchsorted(first, offsets[:-1]), len(first))
    owner = facts.repeat(np.arange(len(offsets) - 1, dtype=np.int32), ends)
    return item, group, _ended(first, len(item)), owner


def _ended(first: np.ndarray, n: int) -> np.ndarray:
    out = room.empty(len(first) + 1, np.int64)
    out[:-1], out[-1] = first, n
    return out

"""Which items go with which: sparse item-item weights, built row by row in memory no larger than the result.

Every row is gathered in one dense accumulator (Gustavson's algorithm), so no list of pairs ever exists. Sums run
in the order of the log, so equal logs give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from ethogram.errors import OptionError
from ethogram.log import Histories, facts, room
from ethogram.log.kernels import ragged_rows
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
    """A matrix of users and items by rows and by columns: who met what, and how often.

    Attributes
    ----------
    user_offsets : int64[users + 1]. items : int32[pairs], distinct and ascending inside a user.
    counts : float32[pairs], of each pair; ones, where only whether counts.
    item_offsets : int64[V + 1]. users, times : the same pairs by item.
    """

    user_offsets: np.ndarray
    items: np.ndarray
    counts: np.ndarray
    item_offsets: np.ndarray
    users: np.ndarray
    times: np.ndarray

    @classmethod
    def of(cls, histories: Histories, *, often: bool = False) -> Baskets:
        """From whole histories, one per user; `often` counts every event of a pair."""
        size = len(histories.vocabularies["item"])
        met = Interactions.of(histories, np.append(np.arange(size), -1), size)
        if not often:
            met = replace(met, counts=np.ones_like(met.counts))
        turned = met.transposed()
        return cls(met.offsets, met.items, met.counts, turned.offsets, turned.items, turned.counts)

    @property
    def by_item(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.item_offsets, self.users, self.times

    @property
    def by_user(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.user_offsets, self.items, self.counts

    def squares(self) -> np.ndarray:
        """float64[V]: squared length of each item's column."""
        owner = np.repeat(np.arange(len(self.item_offsets) - 1), np.diff(self.item_offsets))
        return np.bincount(owner, self.times.astype(np.float64) ** 2, minlength=len(self.item_offsets) - 1)

    def reach(self) -> np.ndarray:
        """int64[V]: upper bound of the number of other items that share a user with each item."""
        sizes = np.diff(self.user_offsets)
        reach = np.bincount(self.items, np.repeat(sizes - 1, sizes), minlength=len(self.item_offsets) - 1)
        return np.minimum(reach.astype(np.int64), max(len(reach) - 1, 0))


@dataclass(frozen=True, eq=False)
class ThroughUsers:
    """The rows of `cosines` without holding them: each question walks from its items to their users and on.

    Costs one pass over all distinct (user, item) pairs a question, whatever the number of entries. `spared` is the
    upper bound of the entries that rows would have had; with `own` an item speaks for itself, too.
    """

    baskets: Baskets
    scale: np.ndarray
    spared: int
    own: bool = False

    cap = None

    def add(
        self, items: np.ndarray, weights: np.ndarray, offsets: np.ndarray, prior: np.ndarray, out: np.ndarray
    ) -> None:
        """See `Neighbours.add`."""
        step = (*self.baskets.by_item, *self.baskets.by_user)
        walks.spread_through_users(self.own, items, weights, offsets, *step, self.scale, prior, out)

    def between(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """See `Neighbours.between`."""
        shared = walks.common_users(a, b, *self.baskets.by_item)
        if not self.own:
            shared[a == b] = 0
        return shared * self.scale[a] * self.scale[b]

    def arrays(self) -> dict[str, np.ndarray]:
        held = {f.name: getattr(self.baskets, f.name) for f in fields(self.baskets)}
        return {**held, "scale": self.scale, "spared": np.array([self.spared]), "own": np.array([self.own])}


def similar(baskets: Baskets, squares: np.ndarray, *, cap: int | None, limit: int, own: bool
            ) -> Neighbours | ThroughUsers:  # fmt: skip
    """Cosine rows (see `cosines`); where they could need more than `limit` bytes, the same sums through users."""
    if cap is None and (entries := int(baskets.reach().sum())) * ENTRY > limit:
        return ThroughUsers(baskets, 1 / np.sqrt(squares), entries, own)
    return cosines(baskets, squares, cap, own)


def from_arrays(arrays: Mapping[str, np.ndarray], cap: int | None) -> Neighbours | ThroughUsers:
    """What `arrays()` gave, as it was."""
    given = {k: np.asarray(v) for k, v in arrays.items()}
    if "spared" not in given:
        return Neighbours(given["offsets"], given["codes"], given["weights"], cap)
    baskets = Baskets(**{f.name: given[f.name] for f in fields(Baskets)})
    return ThroughUsers(baskets, given["scale"], int(given["spared"][0]), bool(given["own"][0]))


def cosines(baskets: Baskets, squares: np.ndarray, cap: int | None = None, own: bool = False) -> Neighbours:
    """``C[a, b] = sum over users of n[u, a] n[u, b] / sqrt(squares[a] squares[b])``; C[a, a] = 0 without `own`.

    `squares` float64[V], above 0.
    """
    scale = 1 / np.sqrt(squares)
    if cap is None:
        ends = _ends_of(walks.shared_sizes(own, *baskets.by_item[:2], *baskets.by_user[:2]))
    else:  # cut rows are short: room for what they may hold is cheaper than a pass that counts
        ends = _ends_of(np.minimum(baskets.reach() + own, cap))
    codes, weights = np.empty(ends[-1], np.int32), np.empty(ends[-1], np.float32)
    sizes = walks.shared(own, *baskets.by_item, *baskets.by_user, scale, ends, codes, weights)
    if cap is None or (np.minimum(sizes, cap) == np.diff(ends)).all():
        return Neighbours(ends, codes, weights, _told(sizes, cap))
    rows, offsets = ragged_rows(ends[:-1], ends[:-1] + np.minimum(sizes, cap))
    return Neighbours(offsets, codes[rows], weights[rows], _told(sizes, cap))


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

"""Bucket tables of a hashed slate network as stored bytes: a request reads one table, whatever the history's length.

    sdim   G x 2^tau sums of event vectors in float64, and counts: 16 x 8 x 40 x 8 bytes = 40 KiB

Sums of float32 vectors in float64 are exact, so that a table that was moved on event by event equals one made at once
(to 1e-5 where it fades, `memory`). Whatever rounding leaves, a bucket whose count returns to zero is zero, and after
1,000 events a table is built anew from the ring.

What of a ring is history depends on all of it (`ethogram.serve.behaviour`): a table notes how many events there are of
both kinds, and is built anew when that rule changes sides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from struct import Struct
from typing import Any

import numpy as np

from ethogram.errors import NotFitted, OptionError, StateError
from ethogram.log import Histories
from ethogram.nn.buckets import BucketTable
from ethogram.serve.behaviour import parted
from ethogram.serve.state import Entry

UPDATES = 1_000
"""Events that come or fall out before a table is built anew."""
MAGIC = b"EBT1"
HEAD = Struct("<4s16sIIIIII?q")
"""Magic, version, groups, buckets, dim, updates, plain, labelled, whether it has a time, time."""

Encode = Callable[[Sequence[Sequence[Entry]]], Histories]
"""From lists of events, oldest first, to histories that a model reads."""
Events = Callable[[Sequence[Sequence[Entry]]], tuple[np.ndarray, np.ndarray]]
"""From lists of events to (signatures int32[T, G], vectors float32[T, dim]) of all of them in turn."""
Moves = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Signatures, vectors and times of events."""


@dataclass(frozen=True)
class Held:
    """A table with what is needed to move it on.

    updates : events that came or fell out since it was built. plain, labelled : events of the ring of both kinds.
    """

    table: BucketTable
    updates: int = 0
    plain: int = 0
    labelled: int = 0


def bucket_tables(system: Any, encode: Encode) -> BucketTables:
    """The tables of a fitted system (`sdim`).

    Parameters
    ----------
    system : a slate system whose first interest is hashed. encode : events to histories with `item` and `time`.

    Raises
    ------
    OptionError
        The system does not read its whole history by hash buckets; it has to read the ring.
    NotFitted
    """
    from ethogram.nn import serving

    ranker = system.fitted
    if ranker is None:
        raise NotFitted("bucket tables: the system is not fitted; fit it, or load a saved one.")
    empty, features = serving.nobody(ranker), ranker.features
    if features.last is not None or features.sequences.get("history") is not None:
        raise OptionError(
            "bucket tables: this model reads the last events, or one kind of them, only; a table holds all that the "
            "ring does. Fit it with last=None, or let it read the ring."
        )
    return BucketTables(empty, lambda lists: serving.events(ranker, encode(lists)))


class BucketTables:
    """A `Deriving` that keeps a bucket table of each user.

    Parameters
    ----------
    empty : the table of nobody, whose version names the embeddings and directions. events : the model's encoding.
    """

    def __init__(self, empty: BucketTable, events: Events) -> None:
        self.empty, self._events = empty, events
        self.version = f"buckets:{empty.version}"
        self._stamp = hashlib.blake2b(empty.version.encode(), digest_size=16).digest()

    # -- as the store keeps it ----------------------------------------------------------------------------------------

    def dump(self, held: Held) -> bytes:
        """Raw numbers behind a header."""
        table, time = held.table, held.table.time
        head = HEAD.pack(
            MAGIC, self._stamp, *table.sums.shape, held.updates, held.plain, held.labelled, time is not None, time or 0
        )
        return b"".join((head, table.sums.astype("<f8").tobytes(), table.counts.astype("<i4").tobytes()))

    def load(self, kept: bytes) -> Held:
        """The inverse; arrays are views of the bytes.

        Raises
        ------
        StateError
            These are not bytes of a table of this version.
        """
        shape, size = self.empty.sums.shape, self.empty.sums.size
        if len(kept) != HEAD.size + 8 * size + 4 * self.empty.counts.size:
            raise StateError(f"bucket table: {len(kept)} bytes are no table {list(shape)}; drop what was derived.")
        magic, stamp, *rest, updates, plain, labelled, timed, time = HEAD.unpack_from(kept)
        if (magic, stamp, tuple(rest)) != (MAGIC, self._stamp, shape):
            raise StateError("bucket table: kept by another version or another program; drop what was derived.")
        sums = np.frombuffer(kept, "<f8", size, HEAD.size).reshape(shape)
        counts = np.frombuffer(kept, "<i4", offset=HEAD.size + 8 * size).reshape(shape[:2])
        table = BucketTable(sums, counts, self.empty.version, self.empty.memory, time if timed else None)
        return Held(table, updates, plain, labelled)

    # -- Deriving -----------------------------------------------------------------------------------------------------

    def build(self, rings: Sequence[Sequence[Entry]]) -> list[bytes]:
        parts = [parted(ring) for ring in rings]
        read = [plain or labelled for plain, labelled in parts]
        moves = self._encoded(read)
        tables = [self.empty.add(*move) if len(move[0]) else self.empty for move in moves]
        return [self.dump(Held(t, 0, len(p), len(s))) for t, (p, s) in zip(tables, parts, strict=True)]

    def update(
        self, held: Sequence[bytes], added: Sequence[Sequence[Entry]], expired: Sequence[Sequence[Entry]]
    ) -> list[bytes | None]:
        made: list[Held | None] = []
        read: list[list[Entry]] = []
        for kept, come, gone in zip(held, added, expired, strict=True):
            (plain, labelled), (old, past), was = parted(come), parted(gone), self.load(kept)
            now = Held(
                was.table, was.updates + len(come) + len(gone),
                was.plain + len(plain) - len(old), was.labelled + len(labelled) - len(past),
            )  # fmt: skip
            worn = now.updates >= UPDATES or bool(was.plain) != bool(now.plain)
            made.append(None if worn else now)
            read += [[], []] if worn else [plain, old] if now.plain else [labelled, past]
        moves = self._encoded(read)
        return [None if h is None else self._moved(h, moves[2 * n], moves[2 * n + 1]) for n, h in enumerate(made)]

    def _moved(self, held: Held, come: Moves, gone: Moves) -> bytes | None:
        table = held.table
        try:
            if len(come[0]):
                table = table.add(*come)
            if len(gone[0]):
                table = table.expire(*gone)
        except StateError:  # not what it should have held
            return None
        return self.dump(replace(held, table=table))

    def _encoded(self, lists: Sequence[Sequence[Entry]]) -> list[Moves]:
        """(signatures, vectors, times) of each list, from one pass of the network."""
        codes, vectors = self._events(lists)
        ends = np.cumsum([0, *map(len, lists)])
        time = np.fromiter((e.time for events in lists for e in events), np.int64, int(ends[-1]))
        return [(codes[a:b], vectors[a:b], time[a:b]) for a, b in pairwise(ends)]

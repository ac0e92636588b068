"""Events of a run, packed, one record per tick, each chained to the one before by its hash.

    chain_t = blake2b-128(chain_{t-1} || record_t)

The last link is the run's fingerprint: equal exactly where all that happened is equal. Wall time is in no record.
A record: tick, number of events, which optional columns there are, then column by column:

    uid uint32, k uint8, verb uint8, via uint8 (128 is added to what was refused), policy uint8, object int32,
    value float32 [, cause int64] [, texts: places uint32, ends uint64, bytes]

An event's id says when, who and which: ``tick << 40 | (uid + 1) << 8 | k``, where the world itself comes before all
people. So it does not hang on how many others acted.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from ethogram.errors import StateError, WorldError
from ethogram.world.acts import Batch

REFUSED = 128
MOST_ACTS = 256
_HEAD = struct.Struct("<qIIQ")
_COLUMNS = (
    ("uid", np.uint32), ("k", np.uint8), ("verb", np.uint8), ("via", np.uint8), ("policy", np.uint8),
    ("object", np.int32), ("value", np.float32),
)  # fmt: skip
_WIDTH = sum(np.dtype(kind).itemsize for _, kind in _COLUMNS)
_CAUSE, _TEXT = 1, 2
LINK = 16
"""Bytes of a link of the chain."""


def ids(tick: int, uid: np.ndarray, k: np.ndarray | int) -> np.ndarray:
    """Ids of events, int64."""
    who = (uid.astype(np.int64) + 1) & 0xFFFFFFFF
    return (np.int64(tick) << 40) | (who << 8) | np.asarray(k, np.int64)


def numbered(batch: Batch, tick: int) -> np.ndarray:
    """uint8: for each act its number among the acts of the same person at this tick.

    Raises
    ------
    WorldError
        Somebody does more than 256 things in one tick.
    """
    uid = batch.uid
    if len(uid) < 2 or (uid[1:] > uid[:-1]).all():
        return np.zeros(len(uid), np.uint8)
    order = np.argsort(uid, kind="stable")
    ordered = uid[order]
    start = np.r_[True, ordered[1:] != ordered[:-1]]
    place = np.arange(len(uid)) - np.maximum.accumulate(np.where(start, np.arange(len(uid)), 0))
    if place.max() >= MOST_ACTS:
        who = ordered[int(place.argmax())]
        raise WorldError(f"tick {tick}: person {who} does more than {MOST_ACTS} things; use more ticks.")
    made = np.empty(len(uid), np.uint8)
    made[order] = place
    return made


@dataclass
class Record:
    """The events of one tick."""

    tick: int
    uid: np.ndarray
    k: np.ndarray
    verb: np.ndarray
    via: np.ndarray
    policy: np.ndarray
    object: np.ndarray
    value: np.ndarray
    cause: np.ndarray | None
    text: dict[int, str]

    def __len__(self) -> int:
        return len(self.uid)

    @property
    def event(self) -> np.ndarray:
        return ids(self.tick, self.uid, self.k)

    @property
    def refused(self) -> np.ndarray:
        return self.via >= REFUSED

    def encode(self) -> list[bytes | memoryview]:
        """The record as pieces of bytes (not joined: a tick of a million people has many)."""
        flags = (_CAUSE if self.cause is not None else 0) | (_TEXT if self.text else 0)
        pieces: list[bytes | memoryview] = [b""]
        for name, kind in _COLUMNS:
            pieces.append(_bytes(getattr(self, name), kind))
        if self.cause is not None:
            pieces.append(_bytes(self.cause, np.int64))
        size = 0
        if self.text:
            places = sorted(self.text)
            words = [self.text[p].encode("utf-8", "surrogatepass") for p in places]
            ends = np.cumsum([len(w) for w in words])
            parts = (struct.pack("<I", len(places)), np.array(places, np.uint32).tobytes(),
                     ends.astype(np.uint64).tobytes(), *words)  # fmt: skip
            pieces += parts
            size = sum(len(p) for p in parts)
        pieces[0] = _HEAD.pack(self.tick, len(self), flags, size)
        return pieces

    @classmethod
    def empty(cls, tick: int) -> Record:
        """A tick at which nothing happened."""
        columns = {name: np.zeros(0, kind) for name, kind in _COLUMNS}
        return cls(tick, cause=None, text={}, **columns)

    @classmethod
    def of(cls, batch: Batch, tick: int) -> Record:
        """The acts of a tick, in the order in which they stand; `k` must be there."""
        assert batch.k is not None
        via = batch.via if batch.done is None else batch.via + np.where(batch.done, 0, REFUSED).astype(np.uint8)
        return cls(
            tick, batch.uid, batch.k, batch.verb, via, batch.policy, batch.object, batch.value, batch.cause, batch.text
        )


def _bytes(column: np.ndarray, kind: Any) -> memoryview:
    return np.ascontiguousarray(column, kind).data.cast("B")


def link(chain: bytes, pieces: list[bytes | memoryview]) -> bytes:
    """The next link of the chain."""
    digest = blake2b(chain, digest_size=LINK)
    for piece in pieces:
        digest.update(piece)
    return digest.digest()


def decode(data: memoryview, at: int) -> tuple[Record, int]:
    """The record that begins at a place, and where the next one does.

    Raises
    ------
    StateError
        The data ends before the record does.
    """
    if at + _HEAD.size > len(data):
        raise StateError("the events end within the head of a record.")
    tick, n, flags, size = _HEAD.unpack_from(data, at)
    end = at + _HEAD.size + n * (_WIDTH + (8 if flags & _CAUSE else 0)) + size
    if end > len(data) or flags > 3:
        raise StateError(f"the events end within the record of tick {tick}.")
    at += _HEAD.size
    columns = {}
    for name, kind in (*_COLUMNS, *((("cause", np.int64),) if flags & _CAUSE else ())):
        columns[name] = np.frombuffer(data, kind, n, at)
        at += n * np.dtype(kind).itemsize
    text: dict[int, str] = {}
    if flags & _TEXT:
        (m,) = struct.unpack_from("<I", data, at)
        places = np.frombuffer(data, np.uint32, m, at + 4)
        ends = np.frombuffer(data, np.uint64, m, at + 4 + 4 * m).astype(np.int64)
        base = at + 4 + 12 * m
        starts = np.r_[0, ends[:-1]]
        for place, a, b in zip(places.tolist(), starts.tolist(), ends.tolist(), strict=True):
            text[place] = bytes(data[base + a : base + b]).decode("utf-8", "surrogatepass")
    return Record(tick, cause=columns.pop("cause", None), text=text, **columns), end
